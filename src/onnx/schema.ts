// The messages of the ONNX IR as one table: field → number and encoding. Reader and writer are loops over it; the compiler holds it to proto.ts.
import type {
  AttributeProto,
  Blob,
  DeviceConfigurationProto,
  DimensionProto,
  ElementTypeProto,
  FunctionProto,
  GraphProto,
  Int64,
  IntIntListEntryProto,
  MapTypeProto,
  ModelProto,
  NodeDeviceConfigurationProto,
  NodeProto,
  OpaqueTypeProto,
  OperatorSetIdProto,
  ShardedDimProto,
  ShardingSpecProto,
  SimpleShardedDimProto,
  SparseTensorProto,
  StringStringEntryProto,
  TensorAnnotation,
  TensorProto,
  TensorSegment,
  TensorShapeProto,
  TensorTypeProto,
  TrainingInfoProto,
  TypeProto,
  ValueInfoProto,
} from "./proto.js";

/** The messages by their full names in onnx.proto. */
export interface Messages {
  AttributeProto: AttributeProto;
  DeviceConfigurationProto: DeviceConfigurationProto;
  FunctionProto: FunctionProto;
  GraphProto: GraphProto;
  IntIntListEntryProto: IntIntListEntryProto;
  ModelProto: ModelProto;
  NodeDeviceConfigurationProto: NodeDeviceConfigurationProto;
  NodeProto: NodeProto;
  OperatorSetIdProto: OperatorSetIdProto;
  ShardedDimProto: ShardedDimProto;
  ShardingSpecProto: ShardingSpecProto;
  SimpleShardedDimProto: SimpleShardedDimProto;
  SparseTensorProto: SparseTensorProto;
  StringStringEntryProto: StringStringEntryProto;
  TensorAnnotation: TensorAnnotation;
  TensorProto: TensorProto;
  "TensorProto.Segment": TensorSegment;
  TensorShapeProto: TensorShapeProto;
  "TensorShapeProto.Dimension": DimensionProto;
  TrainingInfoProto: TrainingInfoProto;
  TypeProto: TypeProto;
  "TypeProto.Map": MapTypeProto;
  "TypeProto.Opaque": OpaqueTypeProto;
  "TypeProto.Optional": ElementTypeProto;
  "TypeProto.Sequence": ElementTypeProto;
  "TypeProto.SparseTensor": TensorTypeProto;
  "TypeProto.Tensor": TensorTypeProto;
  ValueInfoProto: ValueInfoProto;
}

export type MessageName = keyof Messages;

/** `int32` also stands for enums; `blob` is bytes that are left where they are. */
export type NumberKind = "int64" | "uint64" | "int32" | "float" | "double";
export type ScalarKind = NumberKind | "string" | "bytes" | "blob";
export type Kind = ScalarKind | MessageName;

/** `many` is written one element at a time, `packed` as one run of numbers; both encodings are read for both, as protobuf asks. */
export type Label = "one" | "many" | "packed";

export interface Field<K extends Kind = Kind, L extends Label = Label> {
  readonly number: number;
  readonly kind: K;
  readonly label: L;
  /** Of the fields with the same group, the last one in the file counts. */
  readonly oneof: string | undefined;
}

type Same<A, B> = [A, B] extends [B, A] ? true : false;
type NameOf<T> = { [N in MessageName]: Same<T, Messages[N]> extends true ? N : never }[MessageName];
type KindOf<T> = [T] extends [string]
  ? "string"
  : [T] extends [number]
    ? "int32" | "float"
    : [T] extends [Int64]
      ? "int64"
      : [T] extends [Uint8Array]
        ? "bytes"
        : NameOf<T>;
type FieldOf<T> = [T] extends [Blob]
  ? Field<"blob", "one"> | Field<NumberKind, "packed">
  : [T] extends [(infer E)[]]
    ? Field<KindOf<E>, "many">
    : Field<KindOf<T>, "one">;
type Fields<M> = { readonly [P in Exclude<keyof M, "unknown">]-?: FieldOf<NonNullable<M[P]>> };

function one<K extends Kind>(number: number, kind: K, oneof?: string): Field<K, "one"> {
  return { number, kind, label: "one", oneof };
}

function many<K extends Kind>(number: number, kind: K): Field<K, "many"> {
  return { number, kind, label: "many", oneof: undefined };
}

function packed<K extends NumberKind>(number: number, kind: K): Field<K, "packed"> {
  return { number, kind, label: "packed", oneof: undefined };
}

/** Every message and field of onnx.proto (IR version 14). */
export const SCHEMA: { readonly [N in MessageName]: Fields<Messages[N]> } = {
  ModelProto: {
    irVersion: one(1, "int64"),
    producerName: one(2, "string"),
    producerVersion: one(3, "string"),
    domain: one(4, "string"),
    modelVersion: one(5, "int64"),
    docString: one(6, "string"),
    graph: one(7, "GraphProto"),
    opsetImport: many(8, "OperatorSetIdProto"),
    metadataProps: many(14, "StringStringEntryProto"),
    trainingInfo: many(20, "TrainingInfoProto"),
    functions: many(25, "FunctionProto"),
    configuration: many(26, "DeviceConfigurationProto"),
  },
  OperatorSetIdProto: { domain: one(1, "string"), version: one(2, "int64") },
  StringStringEntryProto: { key: one(1, "string"), value: one(2, "string") },
  TrainingInfoProto: {
    initialization: one(1, "GraphProto"),
    algorithm: one(2, "GraphProto"),
    initializationBinding: many(3, "StringStringEntryProto"),
    updateBinding: many(4, "StringStringEntryProto"),
  },
  DeviceConfigurationProto: {
    name: one(1, "string"),
    numDevices: one(2, "int32"),
    device: many(3, "string"),
  },
  GraphProto: {
    node: many(1, "NodeProto"),
    name: one(2, "string"),
    initializer: many(5, "TensorProto"),
    docString: one(10, "string"),
    input: many(11, "ValueInfoProto"),
    output: many(12, "ValueInfoProto"),
    valueInfo: many(13, "ValueInfoProto"),
    quantizationAnnotation: many(14, "TensorAnnotation"),
    sparseInitializer: many(15, "SparseTensorProto"),
    metadataProps: many(16, "StringStringEntryProto"),
  },
  NodeProto: {
    input: many(1, "string"),
    output: many(2, "string"),
    name: one(3, "string"),
    opType: one(4, "string"),
    attribute: many(5, "AttributeProto"),
    docString: one(6, "string"),
    domain: one(7, "string"),
    overload: one(8, "string"),
    metadataProps: many(9, "StringStringEntryProto"),
    deviceConfigurations: many(10, "NodeDeviceConfigurationProto"),
  },
  NodeDeviceConfigurationProto: {
    configurationId: one(1, "string"),
    shardingSpec: many(2, "ShardingSpecProto"),
    pipelineStage: one(3, "int32"),
  },
  ShardingSpecProto: {
    tensorName: one(1, "string"),
    device: many(2, "int64"),
    indexToDeviceGroupMap: many(3, "IntIntListEntryProto"),
    shardedDim: many(4, "ShardedDimProto"),
  },
  IntIntListEntryProto: { key: one(1, "int64"), value: many(2, "int64") },
  ShardedDimProto: { axis: one(1, "int64"), simpleSharding: many(2, "SimpleShardedDimProto") },
  SimpleShardedDimProto: {
    dimValue: one(1, "int64", "dim"),
    dimParam: one(2, "string", "dim"),
    numShards: one(3, "int64"),
  },
  AttributeProto: {
    name: one(1, "string"),
    f: one(2, "float"),
    i: one(3, "int64"),
    s: one(4, "bytes"),
    t: one(5, "TensorProto"),
    g: one(6, "GraphProto"),
    floats: many(7, "float"),
    ints: many(8, "int64"),
    strings: many(9, "bytes"),
    tensors: many(10, "TensorProto"),
    graphs: many(11, "GraphProto"),
    docString: one(13, "string"),
    tp: one(14, "TypeProto"),
    typeProtos: many(15, "TypeProto"),
    type: one(20, "int32"),
    refAttrName: one(21, "string"),
    sparseTensor: one(22, "SparseTensorProto"),
    sparseTensors: many(23, "SparseTensorProto"),
  },
  ValueInfoProto: {
    name: one(1, "string"),
    type: one(2, "TypeProto"),
    docString: one(3, "string"),
    metadataProps: many(4, "StringStringEntryProto"),
  },
  TensorAnnotation: {
    tensorName: one(1, "string"),
    quantParameterTensorNames: many(2, "StringStringEntryProto"),
  },
  TensorProto: {
    dims: many(1, "int64"),
    dataType: one(2, "int32"),
    segment: one(3, "TensorProto.Segment"),
    floatData: packed(4, "float"),
    int32Data: packed(5, "int32"),
    stringData: many(6, "bytes"),
    int64Data: packed(7, "int64"),
    name: one(8, "string"),
    rawData: one(9, "blob"),
    doubleData: packed(10, "double"),
    uint64Data: packed(11, "uint64"),
    docString: one(12, "string"),
    externalData: many(13, "StringStringEntryProto"),
    dataLocation: one(14, "int32"),
    metadataProps: many(16, "StringStringEntryProto"),
  },
  "TensorProto.Segment": { begin: one(1, "int64"), end: one(2, "int64") },
  SparseTensorProto: {
    values: one(1, "TensorProto"),
    indices: one(2, "TensorProto"),

    dims: many(3, "int64"),
  },
  TypeProto: {
    tensorType: one(1, "TypeProto.Tensor", "value"),
    sequenceType: one(4, "TypeProto.Sequence", "value"),
    mapType: one(5, "TypeProto.Map", "value"),
    denotation: one(6, "string"),
    opaqueType: one(7, "TypeProto.Opaque", "value"),
    sparseTensorType: one(8, "TypeProto.SparseTensor", "value"),
    optionalType: one(9, "TypeProto.Optional", "value"),
  },
  "TypeProto.Tensor": { elemType: one(1, "int32"), shape: one(2, "TensorShapeProto") },
  "TypeProto.SparseTensor": { elemType: one(1, "int32"), shape: one(2, "TensorShapeProto") },
  "TypeProto.Sequence": { elemType: one(1, "TypeProto") },
  "TypeProto.Optional": { elemType: one(1, "TypeProto") },
  "TypeProto.Map": { keyType: one(1, "int32"), valueType: one(2, "TypeProto") },
  "TypeProto.Opaque": { domain: one(1, "string"), name: one(2, "string") },
  TensorShapeProto: { dim: many(1, "TensorShapeProto.Dimension") },
  "TensorShapeProto.Dimension": {
    dimValue: one(1, "int64", "value"),
    dimParam: one(2, "string", "value"),
    denotation: one(3, "string"),
  },
  FunctionProto: {
    name: one(1, "string"),
    input: many(4, "string"),
    output: many(5, "string"),
    attribute: many(6, "string"),
    node: many(7, "NodeProto"),
    docString: one(8, "string"),
    opsetImport: many(9, "OperatorSetIdProto"),
    domain: one(10, "string"),
    attributeProto: many(11, "AttributeProto"),
    valueInfo: many(12, "ValueInfoProto"),
    overload: one(13, "string"),
    metadataProps: many(14, "StringStringEntryProto"),
  },
};

/** Wire types of protobuf. */
export const WIRE = {
  varint: 0,
  fixed64: 1,
  length: 2,
  group: 3,
  endGroup: 4,
  fixed32: 5,
} as const;

/** A message as the loops see it. Property names come from the table, never from a file. */
export interface PlainMessage {
  [field: string]: unknown;
  unknown?: Uint8Array[];
}

/** A message of the table made ready for the loops. */
export interface MessageType {
  readonly name: MessageName;
  /** Sparse: the fields by their numbers, which stay below 32. */
  readonly byNumber: readonly (FieldType | undefined)[];
  /** In the order of their numbers, as they are written. */
  readonly fields: readonly FieldType[];
}

interface FieldHead {
  readonly name: string;
  readonly number: number;
}

/** What the loops do with a field: go into a message, take a scalar, or take a run of numbers as a blob. */
export type FieldType = FieldHead &
  (
    | {
        readonly shape: "message";
        readonly type: MessageType;
        readonly many: boolean;
        readonly rivals: readonly string[];
      }
    | {
        readonly shape: "scalar";
        readonly kind: ScalarKind;
        readonly many: boolean;
        readonly rivals: readonly string[];
      }
    | { readonly shape: "packed"; readonly kind: NumberKind }
  );

const compiled = compile();

export function messageType(name: MessageName): MessageType {
  const type = compiled.get(name);
  if (type === undefined) throw new Error(`internal: no message ${name}`);
  return type;
}

function compile(): Map<Kind, MessageType> {
  type Draft = { name: MessageName; byNumber: (FieldType | undefined)[]; fields: FieldType[] };
  const types = new Map<Kind, Draft>();
  for (const name of Object.keys(SCHEMA) as MessageName[])
    types.set(name, { name, byNumber: [], fields: [] });
  for (const draft of types.values()) {
    const rows = Object.entries<Field>(SCHEMA[draft.name]);
    for (const [name, { number, kind, label, oneof }] of rows) {
      const head = { name, number };
      const many = label === "many";
      const rivals = rows
        .filter(([other, field]) => other !== name && oneof !== undefined && field.oneof === oneof)
        .map(([other]) => other);
      const type = types.get(kind);
      if (type !== undefined) draft.fields.push({ ...head, shape: "message", type, many, rivals });
      else if (label === "packed")
        draft.fields.push({ ...head, shape: "packed", kind: kind as NumberKind });
      else draft.fields.push({ ...head, shape: "scalar", kind: kind as ScalarKind, many, rivals });
    }
    draft.fields.sort((a, b) => a.number - b.number);
    draft.byNumber = Array.from({ length: 32 }, (_, n) => draft.fields.find((f) => f.number === n));
  }
  return types;
}

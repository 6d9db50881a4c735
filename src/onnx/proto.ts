// The messages of the ONNX IR as plain data, field for field as in onnx.proto (camelCase). Absent fields are absent properties.
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

/** Bytes that may not be in memory yet. `read` returns a view where it can and never keeps what it had to load. */
export interface Blob {
  readonly byteLength: number;
  read(): Uint8Array;
}

/** An int64 of the file: a number where it is exact, a bigint beyond 2^53. */
export type Int64 = number | bigint;

/** Fields that the schema does not know, kept as they were: tag and payload, in their order. */
export interface Unknowns {
  unknown?: Uint8Array[];
}

export interface ModelProto extends Unknowns {
  irVersion?: Int64;
  opsetImport?: OperatorSetIdProto[];
  producerName?: string;
  producerVersion?: string;
  domain?: string;
  modelVersion?: Int64;
  docString?: string;
  graph?: GraphProto;
  metadataProps?: StringStringEntryProto[];
  trainingInfo?: TrainingInfoProto[];
  functions?: FunctionProto[];
  configuration?: DeviceConfigurationProto[];
}

export interface OperatorSetIdProto extends Unknowns {
  domain?: string;
  version?: Int64;
}

export interface StringStringEntryProto extends Unknowns {
  key?: string;
  value?: string;
}

export interface TrainingInfoProto extends Unknowns {
  initialization?: GraphProto;
  algorithm?: GraphProto;
  initializationBinding?: StringStringEntryProto[];
  updateBinding?: StringStringEntryProto[];
}

export interface DeviceConfigurationProto extends Unknowns {
  name?: string;
  numDevices?: number;
  device?: string[];
}

export interface GraphProto extends Unknowns {
  node?: NodeProto[];
  name?: string;
  initializer?: TensorProto[];
  sparseInitializer?: SparseTensorProto[];
  docString?: string;
  input?: ValueInfoProto[];
  output?: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
  quantizationAnnotation?: TensorAnnotation[];
  metadataProps?: StringStringEntryProto[];
}

export interface NodeProto extends Unknowns {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  domain?: string;
  overload?: string;
  attribute?: AttributeProto[];
  docString?: string;
  metadataProps?: StringStringEntryProto[];
  deviceConfigurations?: NodeDeviceConfigurationProto[];
}

export interface NodeDeviceConfigurationProto extends Unknowns {
  configurationId?: string;
  shardingSpec?: ShardingSpecProto[];
  pipelineStage?: number;
}

export interface ShardingSpecProto extends Unknowns {
  tensorName?: string;
  device?: Int64[];
  indexToDeviceGroupMap?: IntIntListEntryProto[];
  shardedDim?: ShardedDimProto[];
}

export interface IntIntListEntryProto extends Unknowns {
  key?: Int64;
  value?: Int64[];
}

export interface ShardedDimProto extends Unknowns {
  axis?: Int64;
  simpleSharding?: SimpleShardedDimProto[];
}

export interface SimpleShardedDimProto extends Unknowns {
  dimValue?: Int64;
  dimParam?: string;
  numShards?: Int64;
}

export const ATTRIBUTE_TYPES = {
  undefined: 0,
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  typeProto: 13,
  typeProtos: 14,
} as const;

export interface AttributeProto extends Unknowns {
  name?: string;
  refAttrName?: string;
  docString?: string;
  type?: number;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  sparseTensor?: SparseTensorProto;
  tp?: TypeProto;
  floats?: number[];
  ints?: Int64[];
  strings?: Uint8Array[];
  tensors?: TensorProto[];
  graphs?: GraphProto[];
  sparseTensors?: SparseTensorProto[];
  typeProtos?: TypeProto[];
}

export interface ValueInfoProto extends Unknowns {
  name?: string;
  type?: TypeProto;
  docString?: string;
  metadataProps?: StringStringEntryProto[];
}

export interface TensorAnnotation extends Unknowns {
  tensorName?: string;
  quantParameterTensorNames?: StringStringEntryProto[];
}

export interface TensorProto extends Unknowns {
  dims?: Int64[];
  dataType?: number;
  segment?: TensorSegment;
  // The typed fields hold their elements as little-endian bytes, 4 or 8 each, whatever their encoding in the file (varints for integers).
  floatData?: Blob;
  int32Data?: Blob;
  stringData?: Uint8Array[];
  int64Data?: Blob;
  name?: string;
  docString?: string;
  rawData?: Blob;
  externalData?: StringStringEntryProto[];
  /** 0 in the file (or absent), 1 = external. */
  dataLocation?: number;
  doubleData?: Blob;
  uint64Data?: Blob;
  metadataProps?: StringStringEntryProto[];
}

export interface TensorSegment extends Unknowns {
  begin?: Int64;
  end?: Int64;
}

export interface SparseTensorProto extends Unknowns {
  values?: TensorProto;
  indices?: TensorProto;
  dims?: Int64[];
}

export interface TypeProto extends Unknowns {
  tensorType?: TensorTypeProto;
  sequenceType?: ElementTypeProto;
  mapType?: MapTypeProto;
  optionalType?: ElementTypeProto;
  sparseTensorType?: TensorTypeProto;
  opaqueType?: OpaqueTypeProto;
  denotation?: string;
}

export interface TensorTypeProto extends Unknowns {
  elemType?: number;
  shape?: TensorShapeProto;
}

export interface ElementTypeProto extends Unknowns {
  elemType?: TypeProto;
}

export interface MapTypeProto extends Unknowns {
  keyType?: number;
  valueType?: TypeProto;
}

export interface OpaqueTypeProto extends Unknowns {
  domain?: string;
  name?: string;
}

export interface TensorShapeProto extends Unknowns {
  dim?: DimensionProto[];
}

export interface DimensionProto extends Unknowns {
  dimValue?: Int64;
  dimParam?: string;
  denotation?: string;
}

export interface FunctionProto extends Unknowns {
  name?: string;
  input?: string[];
  output?: string[];
  attribute?: string[];
  attributeProto?: AttributeProto[];
  node?: NodeProto[];
  docString?: string;
  opsetImport?: OperatorSetIdProto[];
  domain?: string;
  overload?: string;
  valueInfo?: ValueInfoProto[];
  metadataProps?: StringStringEntryProto[];
}

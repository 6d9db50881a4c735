// From the graph back to the file's messages. Tensors that nobody touched are written as they were read.
import { DTYPES } from "../onnx/dtypes.js";
import {
  ATTRIBUTE_TYPES as TYPES,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TypeProto,
  type ValueInfoProto,
} from "../onnx/proto.js";
import { tensorToProto } from "../onnx/tensor-proto.js";
import type { Attribute } from "./attribute.js";
import type { Dim, Graph, Node, Value } from "./graph.js";
import type { Model } from "./model.js";

/**
 * The messages of a model, ready to be encoded; nothing is read from disk yet. Types of inner values are left out: runtimes infer them, and a
 * stale one stops other tools.
 */
export function exportModel(model: Model): ModelProto {
  return {
    ...model.rest,
    irVersion: model.irVersion,
    opsetImport: [...model.opsets].map(([domain, version]) =>
      domain === "" ? { version } : { domain, version },
    ),
    graph: graphToProto(model.graph),
    ...(model.functions.length === 0 ? {} : { functions: [...model.functions] }),
  };
}

function graphToProto(graph: Graph): GraphProto {
  const proto: GraphProto = {
    name: graph.name,
    node: [...graph.nodes()].map(nodeToProto),
    input: graph.inputs.map(infoOf),
    output: graph.outputs.map(infoOf),
  };
  const initializers = [...graph.initializers()];
  proto.initializer = initializers.flatMap((value) =>
    value.tensor === undefined ? [] : [tensorToProto(value.name, value.tensor)],
  );
  const sparse = initializers.flatMap(({ name, sparse: tensor }) =>
    tensor === undefined ? [] : [{ ...tensor, values: { ...tensor.values, name } }],
  );
  if (sparse.length > 0) proto.sparseInitializer = sparse;
  if (graph.docString !== undefined) proto.docString = graph.docString;
  if (graph.metadata !== undefined) proto.metadataProps = graph.metadata;
  if (graph.quantizationAnnotations !== undefined)
    proto.quantizationAnnotation = graph.quantizationAnnotations;
  if (graph.unknown !== undefined) proto.unknown = graph.unknown;
  return proto;
}

function nodeToProto(node: Node): NodeProto {
  return {
    input: node.inputs.map((value) => value?.name ?? ""),
    output: node.outputs.map((value) => value?.name ?? ""),
    opType: node.opType,
    attribute: [...node.attributes].map(([name, a]) => attributeToProto(name, a)),
    ...(node.name === "" ? {} : { name: node.name }),
    ...(node.domain === "" ? {} : { domain: node.domain }),
    ...(node.overload === undefined ? {} : { overload: node.overload }),
    ...(node.docString === undefined ? {} : { docString: node.docString }),
    ...(node.metadata === undefined ? {} : { metadataProps: node.metadata }),
    ...(node.deviceConfigurations === undefined
      ? {}
      : { deviceConfigurations: node.deviceConfigurations }),
    ...(node.unknown === undefined ? {} : { unknown: node.unknown }),
  };
}

function attributeToProto(name: string, attribute: Attribute): AttributeProto {
  const proto = valueToProto(name, attribute);
  return attribute.docString === undefined ? proto : { ...proto, docString: attribute.docString };
}

function valueToProto(name: string, attribute: Attribute): AttributeProto {
  switch (attribute.type) {
    case "int":
      return { name, type: TYPES.int, i: attribute.value };
    case "float":
      return { name, type: TYPES.float, f: attribute.value };
    case "string":
      return { name, type: TYPES.string, s: attribute.value };
    case "ints":
      return { name, type: TYPES.ints, ints: [...attribute.value] };
    case "floats":
      return { name, type: TYPES.floats, floats: [...attribute.value] };
    case "strings":
      return { name, type: TYPES.strings, strings: [...attribute.value] };
    case "tensor":
      return {
        name,
        type: TYPES.tensor,
        t: tensorToProto(undefined, attribute.value),
      };
    case "tensors":
      return {
        name,
        type: TYPES.tensors,
        tensors: attribute.value.map((t) => tensorToProto(undefined, t)),
      };
    case "graph":
      return { name, type: TYPES.graph, g: graphToProto(attribute.value) };
    case "graphs":
      return { name, type: TYPES.graphs, graphs: attribute.value.map(graphToProto) };
    case "reference":
    case "opaque":
      return { ...attribute.proto, name };
  }
}

function infoOf(value: Value): ValueInfoProto {
  const declared = value.typeProto?.tensorType?.elemType;
  const stale =
    declared !== undefined && value.dtype !== undefined && declared !== DTYPES[value.dtype].code;
  const type = stale ? typeOf(value) : (value.typeProto ?? typeOf(value));
  return {
    name: value.name,
    ...(type === undefined ? {} : { type }),
    ...(value.docString === undefined ? {} : { docString: value.docString }),
    ...(value.metadata === undefined ? {} : { metadataProps: value.metadata }),
  };
}

function typeOf(value: Value): TypeProto | undefined {
  if (value.dtype === undefined) return undefined;
  const elemType = DTYPES[value.dtype].code;
  if (value.shape === undefined) return { tensorType: { elemType } };
  return { tensorType: { elemType, shape: { dim: value.shape.map(dimToProto) } } };
}

function dimToProto(dim: Dim): { dimValue?: number; dimParam?: string } {
  if (typeof dim === "number") return { dimValue: dim };
  return dim === null ? {} : { dimParam: dim };
}

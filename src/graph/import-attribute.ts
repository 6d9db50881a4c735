// One attribute from its message: which field holds it is told by its type, in old files by the field that is there.
import { InvalidGraphError } from "../errors.js";
import type { ExternalData } from "../onnx/external.js";
import { ATTRIBUTE_TYPES as TYPES, type AttributeProto, type GraphProto } from "../onnx/proto.js";
import { tensorFromProto } from "../onnx/tensor-proto.js";
import type { Attribute } from "./attribute.js";
import { describe, type Graph, type Node } from "./graph.js";

/**
 * `body` makes the graph of a subgraph. Throws InvalidGraphError where a tensor or a graph is missing; an absent number or string is 0 or
 * empty, as protobuf has it.
 */
export function attributeFromProto(
  proto: AttributeProto,
  node: Node,
  external: ExternalData | undefined,
  body: (graph: GraphProto) => Graph,
): Attribute {
  const attribute = valueFromProto(proto, node, external, body);
  return proto.docString === undefined ? attribute : { ...attribute, docString: proto.docString };
}

function valueFromProto(
  proto: AttributeProto,
  node: Node,
  external: ExternalData | undefined,
  body: (graph: GraphProto) => Graph,
): Attribute {
  if (proto.refAttrName !== undefined && proto.refAttrName !== "")
    return { type: "reference", value: proto.refAttrName, proto };
  const missing = (what: string): never => {
    throw new InvalidGraphError(
      `attribute "${proto.name ?? ""}" should hold a ${what} and holds none`,
      describe(node),
    );
  };
  switch (proto.type || typeOf(proto)) {
    case TYPES.float:
      return { type: "float", value: proto.f ?? 0 };
    case TYPES.int:
      return { type: "int", value: proto.i ?? 0 };
    case TYPES.string:
      return { type: "string", value: proto.s ?? new Uint8Array() };
    case TYPES.floats:
      return { type: "floats", value: proto.floats ?? [] };
    case TYPES.ints:
      return { type: "ints", value: proto.ints ?? [] };
    case TYPES.strings:
      return { type: "strings", value: proto.strings ?? [] };
    case TYPES.tensor:
      if (proto.t === undefined) return missing("tensor");
      return { type: "tensor", value: tensorFromProto(proto.t, external) };
    case TYPES.tensors:
      return {
        type: "tensors",
        value: (proto.tensors ?? []).map((t) => tensorFromProto(t, external)),
      };
    case TYPES.graph:
      if (proto.g === undefined) return missing("graph");
      return { type: "graph", value: body(proto.g) };
    case TYPES.graphs:
      return { type: "graphs", value: (proto.graphs ?? []).map(body) };
    default:
      return { type: "opaque", proto };
  }
}

function typeOf(proto: AttributeProto): number {
  if (proto.f !== undefined) return TYPES.float;
  if (proto.i !== undefined) return TYPES.int;
  if (proto.s !== undefined) return TYPES.string;
  if (proto.t !== undefined) return TYPES.tensor;
  if (proto.g !== undefined) return TYPES.graph;
  if (proto.ints !== undefined) return TYPES.ints;
  if (proto.floats !== undefined) return TYPES.floats;
  if (proto.strings !== undefined) return TYPES.strings;
  if (proto.tensors !== undefined) return TYPES.tensors;
  if (proto.graphs !== undefined) return TYPES.graphs;
  if (proto.sparseTensor !== undefined) return TYPES.sparseTensor;
  return TYPES.undefined;
}

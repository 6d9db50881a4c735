// From the file's messages to the graph: names become edges, types are read, bodies of If, Loop and Scan become graphs inside their node.
import { InvalidGraphError } from "../errors.js";
import { dtypeOfCode } from "../onnx/dtypes.js";
import type { ExternalData } from "../onnx/external.js";
import {
  ATTRIBUTE_TYPES as TYPES,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TypeProto,
} from "../onnx/proto.js";
import { tensorFromProto } from "../onnx/tensor-proto.js";
import type { Attribute } from "./attribute.js";
import { describe, Graph, type Dim, type Node, type Value } from "./graph.js";
import type { Model } from "./model.js";

/**
 * The graph of a decoded model. Tensors stay where they are; `external` opens the files that hold external data. Nodes that are out of order
 * are sorted. Throws InvalidGraphError (cycles, names used twice or never made), TensorDataError and ExternalDataError.
 */
export function importModel(proto: ModelProto, external?: ExternalData): Model {
  const { graph: graphProto, functions, opsetImport, irVersion, ...rest } = proto;
  if (graphProto === undefined) throw new InvalidGraphError("the model has no graph");
  const opsets = new Map<string, number>();
  for (const { domain, version } of opsetImport ?? []) {
    const name = domain === undefined || domain === "ai.onnx" ? "" : domain;
    opsets.set(name, Number(version ?? 0));
  }
  const graph = new Graph();
  fill(graph, graphProto, external);
  graph.sort();
  return { graph, opsets, irVersion: Number(irVersion ?? 0), functions: functions ?? [], rest };
}

/** Builds nodes and values first, edges after: a value may be made after it is named. */
function fill(graph: Graph, proto: GraphProto, external: ExternalData | undefined): void {
  graph.name = proto.name ?? "";
  graph.docString = proto.docString;
  graph.metadata = proto.metadataProps;
  graph.quantizationAnnotations = proto.quantizationAnnotation;
  for (const info of proto.input ?? []) {
    const value = graph.addInput(info.name ?? "");
    setType(value, info.type);
    value.typeProto = info.type;
    value.docString = info.docString;
    value.metadata = info.metadataProps;
  }
  for (const tensor of proto.initializer ?? [])
    graph.addNamedInitializer(tensor.name ?? "", tensorFromProto(tensor, external));
  for (const sparse of proto.sparseInitializer ?? []) {
    const name = sparse.values?.name ?? "";
    const value = graph.value(name) ?? graph.addSparse(name, sparse);
    value.sparse = sparse;
  }
  const made: { node: Node; proto: NodeProto }[] = [];
  for (const nodeProto of proto.node ?? []) {
    const node = graph.addNode({
      op: nodeProto.opType ?? "",
      domain: nodeProto.domain ?? "",
      name: nodeProto.name ?? "",
      inputs: [],
      outputs: nodeProto.output ?? [],
      attributes: new Map(),
    });
    node.overload = nodeProto.overload;
    node.docString = nodeProto.docString;
    node.metadata = nodeProto.metadataProps;
    node.deviceConfigurations = nodeProto.deviceConfigurations;
    made.push({ node, proto: nodeProto });
  }
  forbidShadows(graph);
  for (const { node, proto: nodeProto } of made) {
    node.setInputs((nodeProto.input ?? []).map((name) => lookUp(graph, name, node)));
    for (const attribute of nodeProto.attribute ?? []) {
      const name = attribute.name ?? "";
      if (node.attributes.has(name))
        throw new InvalidGraphError(`attribute "${name}" stands twice`, describe(node));
      node.attributes.set(name, attributeOf(attribute, graph, external));
    }
  }
  for (const info of proto.output ?? []) {
    const value = lookUp(graph, info.name ?? "", undefined);
    if (value === undefined) throw new InvalidGraphError("an output of the graph has no name");
    if (value.typeProto === undefined) {
      setType(value, info.type);
      value.typeProto = info.type;
      value.docString = info.docString;
      value.metadata = info.metadataProps;
    }
    graph.addOutput(value);
  }
  for (const info of proto.valueInfo ?? []) {
    const value = graph.value(info.name ?? "");
    if (value !== undefined && value.dtype === undefined) setType(value, info.type);
  }
}

function lookUp(graph: Graph, name: string, node: Node | undefined): Value | undefined {
  if (name === "") return undefined;
  const value = graph.resolve(name);
  if (value === undefined)
    throw new InvalidGraphError(
      `value "${name}" is read but nothing makes it`,
      node === undefined ? undefined : describe(node),
    );
  return value;
}

/** ONNX forbids a body to use a name again that the graphs around it have: readers could not tell which one is meant. */
function forbidShadows(graph: Graph): void {
  if (graph.parent === undefined) return;
  for (const value of graph.values())
    if (graph.parent.resolve(value.name) !== undefined)
      throw new InvalidGraphError(
        `the name "${value.name}" in a subgraph hides a value of the graph around it`,
        value.producer === undefined ? undefined : describe(value.producer),
      );
}

function setType(value: Value, type: TypeProto | undefined): void {
  const tensor = type?.tensorType;
  if (tensor === undefined) return;
  value.dtype ??= dtypeOfCode(tensor.elemType ?? 0);
  value.shape ??= tensor.shape && (tensor.shape.dim ?? []).map(dimOf);
}

function dimOf(dim: { dimValue?: number | bigint; dimParam?: string }): Dim {
  if (dim.dimValue !== undefined) return dim.dimValue >= 0 ? Number(dim.dimValue) : null;
  return dim.dimParam === undefined || dim.dimParam === "" ? null : dim.dimParam;
}

function attributeOf(
  proto: AttributeProto,
  graph: Graph,
  external: ExternalData | undefined,
): Attribute {
  if (proto.refAttrName !== undefined && proto.refAttrName !== "")
    return { type: "reference", value: proto.refAttrName, proto };
  const body = (g: GraphProto): Graph => {
    const inner = new Graph(graph);
    fill(inner, g, external);
    return inner;
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
      if (proto.t === undefined) break;
      return { type: "tensor", value: tensorFromProto(proto.t, external) };
    case TYPES.tensors:
      return {
        type: "tensors",
        value: (proto.tensors ?? []).map((t) => tensorFromProto(t, external)),
      };
    case TYPES.graph:
      if (proto.g === undefined) break;
      return { type: "graph", value: body(proto.g) };
    case TYPES.graphs:
      return { type: "graphs", value: (proto.graphs ?? []).map(body) };
  }
  return { type: "opaque", proto };
}

/** Old files leave the type out: then the field that is there tells it. */
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
  return proto.graphs === undefined ? TYPES.undefined : TYPES.graphs;
}

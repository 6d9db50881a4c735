// From the file's messages to the graph: names become edges, types are read, bodies of If, Loop and Scan become graphs inside their node.
import { InvalidGraphError } from "../errors.js";
import { dtypeOfCode } from "../onnx/dtypes.js";
import type { ExternalData } from "../onnx/external.js";
import type {
  DimensionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TypeProto,
  ValueInfoProto,
} from "../onnx/proto.js";
import { tensorFromProto } from "../onnx/tensor-proto.js";
import { describe, Graph, type Dim, type Node, type Value } from "./graph.js";
import { attributeFromProto } from "./import-attribute.js";
import type { Model } from "./model.js";

/** Graphs inside graphs that a model may have; runtimes stop well before. */
const MAX_DEPTH = 64;

/**
 * The graph of a decoded model. Tensors stay where they are; `external` opens the files that hold external data. Nodes that are out of order
 * are sorted. A name in a subgraph that hides one around it is changed, where the format leaves no doubt which one is meant. Throws
 * InvalidGraphError (cycles, names used twice or never made), TensorDataError and ExternalDataError.
 */
export function importModel(proto: ModelProto, external?: ExternalData): Model {
  const { graph: graphProto, functions, opsetImport, irVersion, ...rest } = proto;
  if (graphProto === undefined) throw new InvalidGraphError("the model has no graph");
  const opsets = new Map<string, number>();
  for (const { domain, version } of opsetImport ?? []) {
    const name = domain === undefined || domain === "ai.onnx" ? "" : domain;
    opsets.set(name, Number(version ?? 0));
  }
  const graph = fill({
    graph: new Graph(),
    proto: graphProto,
    values: new Map(),
    wired: new Set(),
    depth: 0,
    external,
  });
  graph.sort();
  return { graph, opsets, irVersion: Number(irVersion ?? 0), functions: functions ?? [], rest };
}

/** A graph while it is being filled. */
interface Scope {
  readonly graph: Graph;
  readonly proto: GraphProto;
  /** Its values by their names in the file. */
  readonly values: Map<string, Value>;
  /** Nodes of all open graphs that end before this point of the file. */
  readonly wired: Set<Node>;
  readonly depth: number;
  readonly external: ExternalData | undefined;
  readonly around?: Scope;
}

/** Builds nodes and values first, edges after: a value may be made after it is named. */
function fill(scope: Scope): Graph {
  const { graph, proto, values } = scope;
  if (scope.depth > MAX_DEPTH)
    throw new InvalidGraphError(`subgraphs are nested more than ${MAX_DEPTH} deep`);
  graph.name = proto.name ?? "";
  graph.docString = proto.docString;
  graph.metadata = proto.metadataProps;
  graph.quantizationAnnotations = proto.quantizationAnnotation;
  graph.unknown = proto.unknown;
  for (const info of proto.input ?? []) {
    const name = named(info.name, "an input of the graph");
    const value = graph.addInput(unhidden(name, scope));
    define(name, value, scope);
    declare(value, info);
  }
  addInitializers(scope);
  const made = (proto.node ?? []).map((message) => addNode(message, scope));
  made.forEach((node, i) => {
    const message = proto.node?.[i] ?? {};
    node.setInputs((message.input ?? []).map((name) => lookUp(name, scope, node)));
    for (const attribute of message.attribute ?? []) {
      const name = named(attribute.name, "an attribute", node);
      if (node.attributes.has(name))
        throw new InvalidGraphError(`attribute "${name}" stands twice`, describe(node));
      node.attributes.set(
        name,
        attributeFromProto(attribute, node, scope.external, (body) =>
          fill({
            ...scope,
            graph: new Graph(graph),
            proto: body,
            values: new Map(),
            depth: scope.depth + 1,
            around: scope,
          }),
        ),
      );
    }
    scope.wired.add(node);
  });
  for (const info of proto.output ?? []) {
    const value = lookUp(named(info.name, "an output of the graph"), scope);
    if (value === undefined) continue;
    if (value.graph === graph && value.typeProto === undefined) declare(value, info);
    graph.addOutput(value);
  }
  for (const info of proto.valueInfo ?? []) {
    const value = values.get(info.name ?? "");
    if (value !== undefined) setType(value, info.type);
  }
  return graph;
}

function addInitializers(scope: Scope): void {
  const { graph, proto, values, external } = scope;
  // The default of an input goes by the input's name; anything else that has the name already is an error there.
  const target = (name: string): string => values.get(name)?.name ?? unhidden(name, scope);
  for (const tensor of proto.initializer ?? []) {
    const name = named(tensor.name, "an initializer");
    const value = graph.addNamedInitializer(target(name), tensorFromProto(tensor, external));
    values.set(name, value);
  }
  for (const sparse of proto.sparseInitializer ?? []) {
    const name = named(sparse.values?.name, "a sparse initializer");
    values.set(name, graph.addSparse(target(name), sparse));
  }
}

function addNode(proto: NodeProto, scope: Scope): Node {
  const outputs = proto.output ?? [];
  const node = scope.graph.addNode({
    op: proto.opType ?? "",
    domain: proto.domain ?? "",
    name: proto.name ?? "",
    inputs: [],
    outputs: outputs.map((name) => (name === "" ? "" : unhidden(name, scope))),
    attributes: new Map(),
  });
  if (node.opType === "") throw new InvalidGraphError("the node has no operator", describe(node));
  outputs.forEach((name, i) => {
    const value = node.outputs[i];
    if (value === undefined) return;
    const hidden = scope.around && find(name, scope.around);
    if (hidden !== undefined && (!hidden.producer || scope.wired.has(hidden.producer)))
      throw new InvalidGraphError(
        `the name "${name}" in a subgraph hides a value of the graph around it`,
        describe(node),
      );
    define(name, value, scope);
  });
  node.overload = proto.overload;
  node.docString = proto.docString;
  node.metadata = proto.metadataProps;
  node.deviceConfigurations = proto.deviceConfigurations;
  node.unknown = proto.unknown;
  return node;
}

function named(name: string | undefined, what: string, node?: Node): string {
  if (name === undefined || name === "")
    throw new InvalidGraphError(`${what} has no name`, node && describe(node));
  return name;
}

/** `name`, or a fresh one where a graph around has it too: inside, readers mean the inner value. */
function unhidden(name: string, { graph, values }: Scope): string {
  const free = values.has(name) || graph.resolve(name) === undefined;
  return free ? name : graph.freshName(name);
}

function define(name: string, value: Value, { values }: Scope): void {
  if (values.has(name))
    throw new InvalidGraphError(
      `the name "${name}" is used twice`,
      value.producer && describe(value.producer),
    );
  values.set(name, value);
}

function find(name: string, scope: Scope): Value | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.around) {
    const value = at.values.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

function lookUp(name: string, scope: Scope, node?: Node): Value | undefined {
  if (name === "") return undefined;
  const value = find(name, scope);
  if (value === undefined)
    throw new InvalidGraphError(
      node === undefined
        ? `nothing makes the output "${name}" of the graph`
        : `value "${name}" is read but nothing makes it`,
      node && describe(node),
    );
  return value;
}

/** What an input or an output says of itself. */
function declare(value: Value, { type, docString, metadataProps }: ValueInfoProto): void {
  setType(value, type);
  value.typeProto = type;
  value.docString = docString;
  value.metadata = metadataProps;
}

function setType(value: Value, type: TypeProto | undefined): void {
  const tensor = type?.tensorType;
  if (tensor === undefined) return;
  value.dtype ??= dtypeOfCode(tensor.elemType ?? 0);
  value.shape ??= tensor.shape && (tensor.shape.dim ?? []).map(dimOf);
}

function dimOf({ dimValue, dimParam }: DimensionProto): Dim {
  if (dimValue !== undefined) return dimValue >= 0 ? Number(dimValue) : null;
  return dimParam === undefined || dimParam === "" ? null : dimParam;
}

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
    renamed: new Map(),
    invented: new Set(),
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
  /** Names of the file that are others in the graph. */
  readonly renamed: Map<string, string>;
  /** What they are then: names that the file does not mean. */
  readonly invented: Set<string>;
  /** Nodes of all open graphs that end before this point of the file. */
  readonly wired: Set<Node>;
  readonly depth: number;
  readonly external: ExternalData | undefined;
  readonly around?: Scope;
}

/** Builds nodes and values first, edges after: a value may be made after it is named. */
function fill(scope: Scope): Graph {
  const { graph, proto } = scope;
  if (scope.depth > MAX_DEPTH)
    throw new InvalidGraphError(`subgraphs are nested more than ${MAX_DEPTH} deep`);
  graph.name = proto.name ?? "";
  graph.docString = proto.docString;
  graph.metadata = proto.metadataProps;
  graph.quantizationAnnotations = proto.quantizationAnnotation;
  graph.unknown = proto.unknown;
  for (const info of proto.input ?? []) {
    const name = named(info.name, "an input of the graph");
    declare(graph.addInput(newName(name, scope)), info);
  }
  addInitializers(scope);
  const messages = lastConstants(proto.node ?? []);
  const made = messages.map((message) => addNode(message, scope));
  made.forEach((node, i) => {
    const message = messages[i] ?? {};
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
            renamed: new Map(),
            invented: new Set(),
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
    const value = valueIn(info.name ?? "", scope);
    if (value !== undefined) setType(value, info.type);
  }
  return graph;
}

/**
 * Tools that shrink or join graphs leave Constants whose name comes again, with another value. onnxruntime takes the last of them for all
 * uses, and so do we; any other name that is made twice is an error later.
 */
function lastConstants(nodes: readonly NodeProto[]): readonly NodeProto[] {
  const last = new Map<string, NodeProto>();
  for (const node of nodes) if (isConstant(node)) last.set(node.output?.[0] ?? "", node);
  const placed = new Set<string>();
  return nodes.flatMap((node) => {
    const name = node.output?.[0] ?? "";
    if (!isConstant(node)) return [node];
    if (placed.has(name)) return [];
    placed.add(name);
    return [last.get(name) ?? node];
  });
}

function isConstant({ opType, domain = "", output = [] }: NodeProto): boolean {
  return opType === "Constant" && domain === "" && output.length === 1 && output[0] !== "";
}

function addInitializers(scope: Scope): void {
  const { graph, proto, external } = scope;
  // The default of an input goes by the input's name; anything else that has the name already is an error there.
  const target = (name: string): string => valueIn(name, scope)?.name ?? newName(name, scope);
  for (const tensor of proto.initializer ?? []) {
    const name = named(tensor.name, "an initializer");
    graph.addNamedInitializer(target(name), tensorFromProto(tensor, external));
  }
  for (const sparse of proto.sparseInitializer ?? []) {
    const name = named(sparse.values?.name, "a sparse initializer");
    graph.addSparse(target(name), sparse);
  }
}

function addNode(proto: NodeProto, scope: Scope): Node {
  const outputs = proto.output ?? [];
  const node = scope.graph.addNode({
    op: proto.opType ?? "",
    domain: proto.domain ?? "",
    name: proto.name ?? "",
    inputs: [],
    outputs: outputs.map((name) => (name === "" ? "" : newName(name, scope))),
    attributes: new Map(),
  });
  if (node.opType === "") throw new InvalidGraphError("the node has no operator", describe(node));
  if (scope.around !== undefined)
    for (const name of outputs) {
      const hidden = find(name, scope.around);
      if (hidden !== undefined && (!hidden.producer || scope.wired.has(hidden.producer)))
        throw new InvalidGraphError(
          `the name "${name}" in a subgraph hides a value of the graph around it`,
          describe(node),
        );
    }
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

/**
 * The name for a new value of the graph: that of the file, or a fresh one where a graph around has it too (inside, readers mean the inner
 * value). A name that this graph has already stays what it is, and is an error where it is used.
 */
function newName(name: string, scope: Scope): string {
  const { graph, renamed, invented } = scope;
  const known = renamed.get(name);
  if (known !== undefined) return known;
  if (valueIn(name, scope) !== undefined || graph.resolve(name) === undefined) return name;
  const fresh = graph.freshName(name);
  renamed.set(name, fresh);
  invented.add(fresh);
  return fresh;
}

/** The value of a graph by its name in the file. */
function valueIn(name: string, { graph, renamed, invented }: Scope): Value | undefined {
  const known = renamed.get(name);
  if (known !== undefined) return graph.value(known);
  return invented.has(name) ? undefined : graph.value(name);
}

function find(name: string, scope: Scope): Value | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.around) {
    const value = valueIn(name, at);
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

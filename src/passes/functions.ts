// Replaces calls of model-local functions by their bodies: every later step then sees plain operators only.
import { InvalidGraphError } from "../errors.js";
import type { Attribute } from "../graph/attribute.js";
import { describe, Graph, type Node, type Value } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import type { FunctionProto } from "../onnx/proto.js";
import { raiseOpset } from "./opset.js";

/** Nodes that inlining may add: functions that call functions that call … can describe more than any machine holds. */
const MAX_NODES = 200_000;
const MAX_DEPTH = 500;
/** Up to this operator set, bodies are raised to the model's; later ones changed nothing that existed before. */
const SETTLED = 18;

type Attributes = ReadonlyMap<string, Attribute>;

/** A function as it is read once: its nodes in a graph of their own, and the declared defaults of its attributes. */
interface Body {
  readonly graph: Graph;
  readonly defaults: Attributes;
}

interface Inlining {
  readonly model: Model;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  readonly bodies: Map<string, Body>;
  added: number;
}

/**
 * Inlines every call, calls inside functions and inside bodies of If, Loop and Scan included; afterwards the model has no functions.
 * References to a function's attributes become what the call gives, or the declared default, or are left out. Inner names are made unique;
 * the values that a call makes keep the caller's names. Operator sets that only the functions import are added; where the default ones
 * differ, the older side is raised. Returns the number of calls. Throws InvalidGraphError for functions that call themselves, or that are
 * too large when written out.
 */
export function inlineFunctions(model: Model): number {
  if (model.functions.length === 0) return 0;
  const functions = new Map(
    model.functions.map((f) => [keyOf(f.domain, f.name, f.overload), f] as const),
  );
  mergeOpsets(model);
  const inlining: Inlining = { model, functions, bodies: new Map(), added: 0 };
  let calls = 0;
  for (const node of model.graph.allNodes()) calls += inlineCall(inlining, node, []);
  model.functions = [];
  return calls;
}

function domainOf(domain = ""): string {
  return domain === "ai.onnx" ? "" : domain;
}

function keyOf(domain = "", name = "", overload = ""): string {
  return `${domainOf(domain)}:${name}:${overload}`;
}

/** Every domain at the newest version that the model or one of its functions asks for. */
function mergeOpsets(model: Model): void {
  const { opsets } = model;
  for (const { opsetImport } of model.functions)
    for (const { domain, version } of opsetImport ?? []) {
      const name = domainOf(domain);
      const wanted = Number(version ?? 1);
      const existing = opsets.get(name);
      if (name === "" && existing !== undefined) raiseOpset(model, Math.min(wanted, SETTLED));
      opsets.set(name, Math.max(existing ?? 0, wanted));
    }
}

/** Inlines one node if it is a call, and the calls in what takes its place. */
function inlineCall(inlining: Inlining, node: Node, callers: readonly string[]): number {
  const key = keyOf(node.domain, node.opType, node.overload);
  const proto = inlining.functions.get(key);
  if (proto === undefined || node.graph === undefined) return 0;
  if (callers.includes(key))
    throw new InvalidGraphError(`function ${node.op} calls itself`, describe(node));
  if (callers.length >= MAX_DEPTH)
    throw new InvalidGraphError(
      `functions call each other more than ${MAX_DEPTH} deep`,
      describe(node),
    );
  const chain = [...callers, key];
  let calls = 1;
  for (const added of instantiate(inlining, node, bodyOf(inlining, key, proto)))
    calls += inlineCall(inlining, added, chain);
  return calls;
}

function bodyOf(inlining: Inlining, key: string, proto: FunctionProto): Body {
  const known = inlining.bodies.get(key);
  if (known !== undefined) return known;
  const { model } = inlining;
  const read = importModel({
    irVersion: model.irVersion,
    opsetImport: proto.opsetImport ?? [],
    graph: {
      // The first node carries the defaults: attributes are read in one place only.
      node: [{ opType: "Defaults", attribute: proto.attributeProto ?? [] }, ...(proto.node ?? [])],
      input: (proto.input ?? []).map((name) => ({ name })),
      output: (proto.output ?? []).map((name) => ({ name })),
    },
  });
  const { graph } = read;
  const carrier = [...graph.nodes()].find((node) => node.opType === "Defaults");
  const defaults = new Map(carrier?.attributes);
  if (carrier !== undefined) graph.removeNode(carrier);
  const version = model.opsets.get("");
  if (version !== undefined && read.opsets.has("")) raiseOpset(read, Math.min(version, SETTLED));
  const body = { graph, defaults };
  inlining.bodies.set(key, body);
  return body;
}

/** Writes the body in front of the call, hands the call's readers over, and removes it. Returns the new nodes, those in subgraphs too. */
function instantiate(inlining: Inlining, call: Node, body: Body): Node[] {
  const { graph } = call;
  if (graph === undefined) return [];
  const prefix = call.name || call.outputs.find((o) => o !== undefined)?.name || call.opType;
  const copy: Copy = {
    values: new Map(),
    attributes: new Map([...body.defaults, ...call.attributes]),
    prefix,
    name: (inner) => graph.freshName(`${prefix}/${inner}`),
    nodes: [],
  };
  body.graph.inputs.forEach((input, i) => copy.values.set(input, call.input(i)));
  copyContent(copy, body.graph, graph, call);
  inlining.added += copy.nodes.length;
  if (inlining.added > MAX_NODES)
    throw new InvalidGraphError(
      `its functions, written out, have more than ${MAX_NODES} nodes`,
      describe(call),
    );
  const results = body.graph.outputs.map((output) => copy.values.get(output));
  handOver(graph, call, results, new Set(copy.nodes));
  return copy.nodes;
}

function handOver(
  graph: Graph,
  call: Node,
  results: readonly (Value | undefined)[],
  added: ReadonlySet<Node>,
): void {
  const renames: [value: Value, name: string][] = [];
  call.outputs.forEach((output, i) => {
    if (output === undefined) return;
    const result = results[i];
    if (result === undefined) {
      if (output.uses.size === 0) return;
      throw new InvalidGraphError(`the function has no output ${i}`, describe(call));
    }
    const { name } = output;
    result.dtype ??= output.dtype;
    result.shape ??= output.shape;
    graph.replaceUses(output, result);
    const isNew = result.producer !== undefined && added.has(result.producer);
    if (isNew && !renames.some(([value]) => value === result)) renames.push([result, name]);
  });
  graph.removeNode(call);
  for (const [value, name] of renames)
    if (graph.resolve(name) === undefined) graph.rename(value, name);
}

interface Copy {
  /** Copies by original; what is not in it belongs to the graphs around and stands for itself. */
  readonly values: Map<Value, Value | undefined>;
  readonly attributes: Attributes;
  readonly prefix: string;
  /** A free name for a value. */
  readonly name: (inner: string) => string;
  /** The copied nodes. */
  readonly nodes: Node[];
}

function copied(copy: Copy, value: Value | undefined): Value | undefined {
  return value !== undefined && copy.values.has(value) ? copy.values.get(value) : value;
}

function copyContent(copy: Copy, from: Graph, to: Graph, before: Node | undefined): void {
  for (const value of from.initializers()) {
    if (value.tensor === undefined || from.isInput(value)) continue;
    copy.values.set(value, to.addNamedInitializer(copy.name(value.name), value.tensor));
  }
  for (const node of from.nodes()) {
    const made = to.addNode({
      op: node.opType,
      domain: node.domain,
      name: node.name === "" ? "" : `${copy.prefix}/${node.name}`,
      inputs: node.inputs.map((value) => copied(copy, value)),
      outputs: node.outputs.map((value) => (value === undefined ? "" : copy.name(value.name))),
      attributes: new Map(),
      before,
    });
    made.overload = node.overload;
    made.docString = node.docString;
    made.metadata = node.metadata;
    node.outputs.forEach((value, i) => {
      if (value !== undefined) copy.values.set(value, made.outputs[i]);
    });
    copy.nodes.push(made);
    for (const [name, attribute] of node.attributes) {
      const bound = boundAttribute(copy, attribute, to);
      if (bound !== undefined) made.attributes.set(name, bound);
    }
  }
}

/** An attribute as it stands in the copy; undefined where it refers to one that the call leaves out. */
function boundAttribute(copy: Copy, attribute: Attribute, to: Graph): Attribute | undefined {
  switch (attribute.type) {
    case "reference": {
      const given = copy.attributes.get(attribute.value);
      // A graph that the call gives reads the caller's values.
      return given && boundAttribute({ ...copy, attributes: new Map() }, given, to);
    }
    case "graph":
      return { type: "graph", value: copyGraph(copy, attribute.value, to) };
    case "graphs":
      return { type: "graphs", value: attribute.value.map((g) => copyGraph(copy, g, to)) };
    default:
      return attribute;
  }
}

function copyGraph(copy: Copy, from: Graph, parent: Graph): Graph {
  const graph = new Graph(parent);
  graph.name = from.name;
  graph.docString = from.docString;
  for (const input of from.inputs) {
    const { dtype, shape } = input;
    const type = { ...(dtype === undefined ? {} : { dtype }), ...(shape && { shape }) };
    const made = graph.addInput(copy.name(input.name), type);
    made.typeProto = input.typeProto;
    made.tensor = input.tensor;
    copy.values.set(input, made);
  }
  copyContent(copy, from, graph, undefined);
  for (const output of from.outputs) {
    const value = copied(copy, output);
    if (value === undefined) throw new InvalidGraphError(`"${output.name}" is left out by a call`);
    graph.addOutput(value);
  }
  return graph;
}

// The legal form of a graph, written down: what every pass may rely on and must leave behind. Tests run it after each pass.
import { InvalidGraphError } from "../errors.js";
import { byteLengthOf, elementCount } from "../onnx/dtypes.js";
import type { Tensor } from "../onnx/tensor.js";
import type { Attribute } from "./attribute.js";
import { describe, Graph, type Node, type Value } from "./graph.js";
import type { Model } from "./model.js";

/**
 * Checks that each value is made once, before it is read and under a name of its own; that use-lists and input slots agree in both
 * directions; that the list of nodes is whole; that constants have the type and size of their tensors; that attributes can be written.
 * Subgraphs too. Throws InvalidGraphError at the first thing that is wrong. Linear time.
 */
export function verify(graph: Graph | Model): void {
  const root = graph instanceof Graph ? graph : graph.graph;
  if (root.parent !== undefined) fail("a subgraph was given, expected the outermost graph");
  const state: State = { slots: new Map(), made: new Set(), graphs: new Map(), open: new Set() };
  checkGraph(root, state);
  for (const g of state.graphs.keys()) for (const value of g.values()) checkUses(value, state);
}

interface State {
  /** Number of slots that read each value. */
  readonly slots: Map<Value, number>;
  /** Values that exist at this point of the walk. */
  readonly made: Set<Value>;
  /** All graphs that were met, with their outputs. */
  readonly graphs: Map<Graph, readonly Value[]>;
  /** The graph at this point of the walk and those around it. */
  readonly open: Set<Graph>;
}

function fail(detail: string, node?: Node): never {
  throw new InvalidGraphError(detail, node === undefined ? undefined : describe(node));
}

function checkGraph(graph: Graph, state: State): void {
  if (state.graphs.has(graph)) fail(`the subgraph "${graph.name}" stands in two places`);
  state.graphs.set(graph, graph.outputs);
  state.open.add(graph);
  for (const value of graph.values()) checkValue(value, graph, state);
  for (const value of graph.inputs)
    if (graph.value(value.name) !== value) fail(`input "${value.name}" is not in its graph`);
  checkList(graph);
  for (const node of graph.nodes()) checkNode(node, graph, state);
  graph.outputs.forEach((value, i) => {
    if (!isVisible(value, state)) fail(`output ${i}, "${value.name}", does not exist`);
    countSlot(value, state);
  });
  state.open.delete(graph);
}

/** A value of the graph's table: its name, where it comes from, and its content. */
function checkValue(value: Value, graph: Graph, state: State): void {
  const { name, producer, tensor, dtype, shape } = value;
  if (name === "") fail("a value has no name", producer);
  if (graph.value(name) !== value || value.graph !== graph)
    fail(`value "${name}" stands in the table of another graph or under another name`, producer);
  if (graph.parent?.resolve(name) !== undefined)
    fail(`the name "${name}" in a subgraph hides a value of the graph around it`, producer);
  if (producer === undefined) {
    const content = tensor !== undefined || value.sparse !== undefined;
    if (!value.isInput && !content)
      fail(`value "${name}" is no input, has no content, and no node makes it`);
    state.made.add(value);
  } else {
    if (producer.graph !== graph) fail(`value "${name}" is made by a node that was removed`);
    if (producer.outputs[value.producerIndex] !== value)
      fail(`value "${name}" is not output ${value.producerIndex} of its node`, producer);
    if (value.isInput || tensor !== undefined)
      fail(`value "${name}" is made by a node and also an input or a constant`, producer);
  }
  if (tensor === undefined) return;
  checkTensor(tensor, `"${name}"`);
  // An input's declared dims may be symbols where its default has numbers.
  const fits =
    shape === undefined
      ? value.isInput
      : shape.length === tensor.dims.length &&
        shape.every(
          (dim, i) => dim === tensor.dims[i] || (value.isInput && typeof dim !== "number"),
        );
  if ((dtype !== tensor.dtype && !(value.isInput && dtype === undefined)) || !fits)
    fail(
      `constant "${name}" is ${dtype} [${shape?.join(", ")}], its tensor ${tensor.dtype} [${tensor.dims.join(", ")}]`,
    );
}

function checkTensor({ dtype, dims, data, strings }: Tensor, what: string, node?: Node): void {
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
    fail(`tensor ${what} has the dims [${dims.join(", ")}]`, node);
  const count = elementCount(dims);
  const [want, have, unit] =
    dtype === "string"
      ? [count, strings?.length ?? 0, "strings"]
      : [byteLengthOf(dtype, count), data.byteLength, "bytes"];
  if (want !== have)
    fail(`tensor ${what}, ${dtype} [${dims.join(", ")}], needs ${want} ${unit}, has ${have}`, node);
}

function checkList(graph: Graph): void {
  let count = 0;
  let last: Node | undefined;
  const names = new Set<string>();
  for (let node = graph.first; node !== undefined; node = node.next) {
    if (node.graph !== graph || node.previous !== last || ++count > graph.size)
      fail("the list of nodes is broken", node);
    if (node.name !== "" && names.has(node.name)) fail("another node has the same name", node);
    names.add(node.name);
    last = node;
  }
  if (last !== graph.last || count !== graph.size)
    fail(`the list of nodes is broken: ${count} nodes of ${graph.size} can be reached`);
}

function checkNode(node: Node, graph: Graph, state: State): void {
  if (node.opType === "") fail("the node has no operator", node);
  for (const value of node.inputs) {
    if (value === undefined) continue;
    if (!isVisible(value, state))
      fail(
        state.open.has(value.graph)
          ? `input "${value.name}" is read before it is made`
          : `input "${value.name}" belongs to a graph that cannot be seen from here`,
        node,
      );
    countSlot(value, state);
  }
  for (const [name, attribute] of node.attributes) checkAttribute(name, attribute, node);
  for (const sub of node.subgraphs()) {
    if (sub.parent !== graph) fail(`the subgraph "${sub.name}" has another parent`, node);
    checkGraph(sub, state);
  }
  node.outputs.forEach((value, i) => {
    if (value === undefined) return;
    if (value.producer !== node || value.producerIndex !== i || graph.value(value.name) !== value)
      fail(`output ${i}, "${value.name}", is not a value of this node and graph`, node);
    state.made.add(value);
  });
}

function isVisible(value: Value, state: State): boolean {
  return (
    state.made.has(value) && state.open.has(value.graph) && value.graph.value(value.name) === value
  );
}

function countSlot(value: Value, state: State): void {
  state.slots.set(value, (state.slots.get(value) ?? 0) + 1);
}

/** Each use stands for a slot that holds the value; equal numbers then mean that each slot has its use. */
function checkUses(value: Value, { slots, graphs }: State): void {
  const taken = new Map<Node | Graph, Set<number>>();
  for (const use of value.uses) {
    const reader = use.kind === "node" ? use.node : use.graph;
    const home = reader instanceof Graph ? reader : reader.graph;
    const held =
      use.kind === "node" ? use.node.inputs[use.index] : graphs.get(use.graph)?.[use.index];
    const indices = taken.get(reader) ?? new Set();
    if (home === undefined || !graphs.has(home) || held !== value || indices.has(use.index))
      fail(`value "${value.name}" lists a reader that does not read it`, value.producer);
    taken.set(reader, indices.add(use.index));
  }
  const read = slots.get(value) ?? 0;
  if (read !== value.uses.size)
    fail(
      `value "${value.name}" is read ${read} times but lists ${value.uses.size}`,
      value.producer,
    );
}

function checkAttribute(name: string, attribute: Attribute, node: Node): void {
  if (name === "") fail("an attribute has no name", node);
  const wrong = (what: unknown): never =>
    fail(`attribute "${name}" is of type ${attribute.type} but holds ${String(what)}`, node);
  switch (attribute.type) {
    case "int":
      if (!isInt64(attribute.value)) wrong(attribute.value);
      return;
    case "ints":
      for (const value of attribute.value) if (!isInt64(value)) wrong(value);
      return;
    case "float":
      if (typeof attribute.value !== "number") wrong(attribute.value);
      return;
    case "floats":
      for (const value of attribute.value) if (typeof value !== "number") wrong(value);
      return;
    case "tensor":
      checkTensor(attribute.value, `of attribute "${name}"`, node);
      return;
    case "tensors":
      for (const tensor of attribute.value) checkTensor(tensor, `of attribute "${name}"`, node);
      return;
    default:
  }
}

function isInt64(value: unknown): boolean {
  if (typeof value === "bigint") return BigInt.asIntN(64, value) === value;
  return Number.isSafeInteger(value);
}

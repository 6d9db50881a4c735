// Copies of graphs to edit: values, nodes and bodies are new, tensors are shared (they are handles on bytes that nobody writes).
import type { Attribute } from "./attribute.js";
import { Graph, type Node, type Value } from "./graph.js";
import type { Model } from "./model.js";

/** The same model anew, in the same order, under the same names: editing one leaves the other alone. Linear time; no tensor is read. */
export function cloneModel(model: Model): Model {
  const { opsets, irVersion, functions, rest } = model;
  const graph = fill(new Graph(), model.graph, new Map());
  return { graph, opsets: new Map(opsets), irVersion, functions, rest };
}

/** `copies` has the new value of each old one that can be seen. Nodes come first, edges after: a body may read what stands below it. */
function fill(graph: Graph, from: Graph, copies: Map<Value, Value>): Graph {
  graph.name = from.name;
  graph.docString = from.docString;
  graph.metadata = from.metadata?.slice();
  graph.quantizationAnnotations = from.quantizationAnnotations?.slice();
  graph.unknown = from.unknown?.slice();
  for (const input of from.inputs) copies.set(input, graph.addInput(input.name));
  for (const value of from.initializers()) {
    const { name, tensor, sparse } = value;
    if (tensor !== undefined) copies.set(value, graph.addNamedInitializer(name, tensor));
    else if (sparse !== undefined) copies.set(value, graph.addSparse(name, sparse));
  }
  const nodes = Array.from(from.nodes(), (node) => [node, addCopy(graph, node, copies)] as const);
  for (const value of from.values()) describeAs(copied(value, copies), value);
  for (const [node, copy] of nodes) {
    copy.setInputs(node.inputs.map((input) => input && copied(input, copies)));
    for (const [name, attribute] of node.attributes)
      copy.attributes.set(name, attributeCopy(attribute, graph, copies));
  }
  for (const output of from.outputs) graph.addOutput(copied(output, copies));
  return graph;
}

function addCopy(graph: Graph, node: Node, copies: Map<Value, Value>): Node {
  const { opType: op, domain, name, outputs } = node;
  const names = outputs.map((output) => output?.name ?? "");
  const copy = graph.addNode({
    op,
    domain,
    name,
    inputs: [],
    outputs: names,
    attributes: new Map(),
  });
  copy.overload = node.overload;
  copy.docString = node.docString;
  copy.metadata = node.metadata?.slice();
  copy.deviceConfigurations = node.deviceConfigurations?.slice();
  copy.unknown = node.unknown?.slice();
  outputs.forEach((output, i) => {
    if (output !== undefined) copies.set(output, copy.output(i));
  });
  return copy;
}

function attributeCopy(attribute: Attribute, graph: Graph, copies: Map<Value, Value>): Attribute {
  const inside = (body: Graph): Graph => fill(new Graph(graph), body, copies);
  if (attribute.type === "graph") return { ...attribute, value: inside(attribute.value) };
  if (attribute.type === "graphs") return { ...attribute, value: attribute.value.map(inside) };
  return attribute;
}

function copied(value: Value, copies: ReadonlyMap<Value, Value>): Value {
  const copy = copies.get(value);
  if (copy === undefined) throw new Error(`internal: "${value.name}" is not in the graph`);
  return copy;
}

function describeAs(copy: Value, value: Value): void {
  copy.dtype = value.dtype;
  copy.shape = value.shape;
  copy.typeProto = value.typeProto;
  copy.docString = value.docString;
  copy.metadata = value.metadata?.slice();
}

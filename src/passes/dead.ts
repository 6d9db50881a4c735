// Removes what nothing reads: nodes, and initializers. ONNX operators have no side effects, so an unread result is no result.
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { graphsOf } from "./pass.js";

/**
 * Removes nodes none of whose outputs is read, and initializers without readers; a reader inside a subgraph counts. Inputs stay (with their
 * defaults), and so do single unread outputs of nodes that are needed. Linear time.
 */
export function removeDead(model: Model): number {
  const { graph } = model;
  let changes = 0;
  // Last first: in a sorted graph the readers of a node are gone when it is looked at. The stack serves graphs that are not sorted.
  const stack = [...graph.allNodes()];
  while (stack.length > 0) {
    const node = stack.pop();
    if (node?.graph === undefined || !isUnread(node)) continue;
    const reads = readsOf(node);
    node.graph.removeNode(node);
    changes++;
    for (const { producer } of reads) if (producer !== undefined) stack.push(producer);
  }
  for (const scope of graphsOf(graph)) changes += removeUnreadInitializers(scope);
  return changes;
}

function isUnread(node: Node): boolean {
  return node.outputs.every((output) => output === undefined || output.uses.size === 0);
}

/** Values that a node reads, those that its subgraphs read from around them included. */
function readsOf(node: Node): Set<Value> {
  const reads = new Set<Value>();
  for (const value of node.inputs) if (value !== undefined) reads.add(value);
  const inside = new Set<Graph>();
  for (const body of node.subgraphs()) for (const graph of graphsOf(body)) inside.add(graph);
  for (const graph of inside) {
    for (const value of graph.outputs) reads.add(value);
    for (const inner of graph.nodes())
      for (const value of inner.inputs) if (value !== undefined) reads.add(value);
  }
  for (const value of reads) if (inside.has(value.graph)) reads.delete(value);
  return reads;
}

function removeUnreadInitializers(graph: Graph): number {
  const unread = [...graph.initializers()].filter((v) => v.uses.size === 0 && !v.isInput);
  for (const value of unread) graph.removeInitializer(value);
  return unread.length;
}

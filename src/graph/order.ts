// The topological order of a graph's nodes. Stable: only what stands after its readers moves, to right before the first of them.
import { InvalidGraphError } from "../errors.js";
import type { Graph } from "./graph.js";
import { describe, type Node, type Value } from "./node.js";

/**
 * The nodes of `graph` in a valid order, or undefined where they are in one already. What a node's subgraphs read from outside counts as
 * read by the node. Throws InvalidGraphError naming a node of a cycle. Linear time.
 */
export function validOrder(graph: Graph): Node[] | undefined {
  const nodes = [...graph.nodes()];
  if (isOrdered(nodes, graph)) return undefined;
  const order: Node[] = [];
  const done = new Set<Node>();
  const open = new Set<Node>();
  for (const root of nodes) {
    if (done.has(root)) continue;
    const stack = [{ node: root, sources: sourcesOf(root, graph) }];
    open.add(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const source = top.sources.next().value;
      if (source === undefined) {
        stack.pop();
        open.delete(top.node);
        done.add(top.node);
        order.push(top.node);
      } else if (open.has(source)) {
        throw new InvalidGraphError("the graph has a cycle through this node", describe(source));
      } else if (!done.has(source)) {
        open.add(source);
        stack.push({ node: source, sources: sourcesOf(source, graph) });
      }
    }
  }
  return order;
}

function isOrdered(nodes: readonly Node[], graph: Graph): boolean {
  const before = new Set<Node>();
  for (const node of nodes) {
    for (const source of sourcesOf(node, graph)) if (!before.has(source)) return false;
    before.add(node);
  }
  return true;
}

/** Nodes of `graph` that make what a node reads. */
function* sourcesOf(node: Node, graph: Graph): Generator<Node, undefined> {
  for (const { producer } of readsOf(node)) if (producer?.graph === graph) yield producer;
}

/** Values that a node reads: its inputs, and what its subgraphs read (their own values included). */
function* readsOf(node: Node): Generator<Value> {
  for (const value of node.inputs) if (value !== undefined) yield value;
  for (const sub of node.subgraphs()) {
    for (const inner of sub.nodes()) yield* readsOf(inner);
    yield* sub.outputs;
  }
}

// What a pass is: one rewrite of a model in place. Passes know structure, never a target; a target names the passes it wants.
import type { Graph, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";

/** Rewrites the model in place and returns how many changes it made; 0 means that a second run would make none either. */
export type Pass = (model: Model) => number;

/** The graph and all graphs inside its nodes, outer ones first. */
export function* graphsOf(graph: Graph): Generator<Graph> {
  yield graph;
  for (const node of graph.nodes()) for (const sub of node.subgraphs()) yield* graphsOf(sub);
}

/**
 * Gives `to`, which is about to replace `from`, its name and type, so that reports, plans and statistics still find it. The name of an output
 * of the graph passes on in `replaceUses` anyway.
 */
export function succeed(from: Value, to: Value): void {
  to.dtype = from.dtype;
  to.shape = from.shape;
  if (from.isOutput || from.graph !== to.graph) return;
  const { name, graph } = from;
  graph.rename(from, graph.freshName(`${name}_before`));
  graph.rename(to, name);
}

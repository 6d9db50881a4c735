// Reverse-mode differentiation of a graph into the same graph: from the loss back to the values that are trained.
import type { Graph, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { inferGrowing } from "../ops/infer.js";
import { Backward, isDifferentiable } from "./backward.js";
import { propagate, reads, takeGradient, type Gradients } from "./propagate.js";
import { propagateRecomputing } from "./recompute.js";
import type { GradientTable } from "./rule.js";
import { GRADIENTS } from "./table.js";

export interface DifferentiateOptions {
  /** Rows for operators of the caller's own, before those of the table. */
  readonly rules?: GradientTable;
  /**
   * Keep only what goes from one residual block to the next, and compute the inside of each block once more on the way back: about a third more
   * time, memory of one block instead of all. Default: false.
   */
  readonly recompute?: boolean;
}

/**
 * Appends to the outermost graph what computes d `loss` / d `wrt`, and returns one gradient for each value of `wrt`, of its shape and type: zeros
 * where the loss does not depend on it. `loss` has one element (of a larger one, the sum is differentiated). Fills dtype and shape of all
 * values on the way.
 *
 * Gradients go only where they are needed, from the loss to `wrt`, and only through floats: shapes, masks and positions have none. Where a value
 * is read several times its gradients add up. Throws NoGradientError where the way crosses an operator without a rule, or the body of a
 * control flow operator.
 */
export function differentiate(
  model: Model,
  loss: Value,
  wrt: readonly Value[],
  options: DifferentiateOptions = {},
): Value[] {
  const types = inferGrowing(model);
  const rules = { ...GRADIENTS, ...options.rules };
  const nodes = [...model.graph.nodes()];
  const b = new Backward(model, types, rules, dependents(model.graph, wrt));
  const gradients: Gradients = new Map([[loss, [b.fill(1, loss)]]]);
  if (options.recompute === true) propagateRecomputing(nodes, gradients, wrt, b);
  else propagate(nodes, gradients, b);
  return wrt.map((value) => takeGradient(gradients, value, b) ?? b.zerosLike(value));
}

/** `wrt` and every float value that is computed from it. */
function dependents(graph: Graph, wrt: readonly Value[]): Set<Value> {
  const found = new Set(wrt);
  for (const node of graph.nodes()) {
    let reached = false;
    for (const value of reads(node)) reached ||= found.has(value);
    if (!reached) continue;
    for (const output of node.outputs)
      if (output !== undefined && isDifferentiable(output)) found.add(output);
  }
  return found;
}

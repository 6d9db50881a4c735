// Reverse-mode differentiation of a graph into the same graph: from the loss back to the values that are trained.
import { NoGradientError } from "../errors-training.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES } from "../onnx/dtypes.js";
import { Backward } from "./backward.js";
import type { GradientRule, GradientTable } from "./rule.js";
import { GRADIENTS } from "./table.js";

export interface DifferentiateOptions {
  /** Rows for operators of the caller's own, before those of the table. */
  readonly rules?: GradientTable;
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
  const b = new Backward(model, dependents(model.graph, wrt));
  const nodes = [...model.graph.nodes()];
  const gradients = new Map<Value, Value[]>([[loss, [b.fill(1, loss)]]]);
  const gradientOf = (value: Value | undefined): Value | undefined => {
    const parts = value && gradients.get(value);
    if (value === undefined || parts === undefined) return undefined;
    const sum = b.add(parts);
    if (sum !== undefined) gradients.set(value, [sum]);
    return sum;
  };
  for (const node of nodes.toReversed()) {
    if (![...reads(node)].some((value) => b.wants(value))) continue;
    const upstream = node.outputs.map((output) => gradientOf(output));
    if (upstream.every((gradient) => gradient === undefined)) continue;
    const found = ruleOf(node, options.rules ?? {}, b).gradient(node, upstream, b);
    for (const [i, input] of node.inputs.entries()) {
      const gradient = found[i];
      if (gradient === undefined || !b.wants(input)) continue;
      const parts = gradients.get(input);
      if (parts === undefined) gradients.set(input, [gradient]);
      else parts.push(gradient);
    }
  }
  return wrt.map((value) => gradientOf(value) ?? b.zerosLike(value));
}

function ruleOf(node: Node, extra: GradientTable, b: Backward): GradientRule {
  const rule = Object.hasOwn(extra, node.op) ? extra[node.op] : GRADIENTS[node.op];
  const name = node.name || (node.outputs.find((o) => o !== undefined)?.name ?? "?");
  if (rule === undefined) throw new NoGradientError(node.op, name);
  for (const body of node.subgraphs())
    if ([...outerReads(body)].some((value) => b.wants(value)))
      throw new NoGradientError(node.op, name, "the gradient would have to pass through its body");
  return rule;
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

/** Values without a known type may be floats. */
function isDifferentiable({ dtype }: Value): boolean {
  return dtype === undefined || DTYPES[dtype].kind === "float";
}

/** What a node reads, its bodies included. */
function* reads(node: Node): Generator<Value> {
  for (const input of node.inputs) if (input !== undefined) yield input;
  for (const body of node.subgraphs()) yield* outerReads(body);
}

function* outerReads(body: Graph): Generator<Value> {
  for (const node of body.nodes()) yield* reads(node);
  yield* body.outputs;
}

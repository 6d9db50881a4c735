// The walk back over nodes in order: gradients of what they read from those of what they give.
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Backward } from "./backward.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule } from "./rule.js";

/** Gradients by value; where a value is read several times, several, to be added up. */
export type Gradients = Map<Value, Value[]>;

/** The gradient of a value as far as it is known. */
export function takeGradient(gradients: Gradients, value: Value, b: Backward): Value | undefined {
  const parts = gradients.get(value);
  const sum = parts && b.add(parts);
  if (sum !== undefined) gradients.set(value, [sum]);
  return sum;
}

/** Fills `gradients`, which holds those of the ends, for all that `nodes` read. Throws NoGradientError. */
export function propagate(nodes: readonly Node[], gradients: Gradients, b: Backward): void {
  for (const node of nodes.toReversed()) {
    if (![...reads(node)].some((value) => b.wants(value))) continue;
    const upstream = node.outputs.map((output) => output && takeGradient(gradients, output, b));
    if (upstream.every((gradient) => gradient === undefined)) continue;
    const found = ruleOf(node, b).gradient(node, upstream, b);
    for (const [i, input] of node.inputs.entries()) {
      const gradient = found[i];
      if (gradient === undefined || !b.wants(input)) continue;
      const parts = gradients.get(input);
      if (parts === undefined) gradients.set(input, [gradient]);
      else parts.push(gradient);
    }
  }
}

/**
 * A row of an operator that is written with others: `expand` writes it out (one value for each output that it knows), once more, and the gradient
 * goes through that.
 */
export const through = (
  expand: (node: Node, b: Backward) => readonly (Value | undefined)[],
): GradientRule => ({
  gradient(node, upstream, b) {
    const { last } = b.graph;
    const ends = expand(node, b);
    const gradients: Gradients = new Map();
    upstream.forEach((gradient, i) => {
      const end = ends[i];
      if (gradient === undefined || end === undefined) return;
      gradients.set(end, [...(gradients.get(end) ?? []), gradient]);
    });
    const inner: Node[] = [];
    for (let at = last?.next; at !== undefined; at = at.next) inner.push(at);
    propagate(inner, gradients, b);
    const seen = new Set<Value>();
    return node.inputs.map((input) => {
      if (!b.wants(input) || seen.has(input)) return undefined;
      seen.add(input);
      return takeGradient(gradients, input, b);
    });
  },
});

function ruleOf(node: Node, b: Backward): GradientRule {
  const rule = Object.hasOwn(b.rules, node.op) ? b.rules[node.op] : undefined;
  if (rule === undefined) throw noGradient(node);
  for (const body of node.subgraphs())
    if ([...outerReads(body)].some((value) => b.wants(value)))
      throw noGradient(node, "the gradient would have to pass through its body");
  return rule;
}

/** What a node reads, its bodies included. */
export function* reads(node: Node): Generator<Value> {
  for (const input of node.inputs) if (input !== undefined) yield input;
  for (const body of node.subgraphs()) yield* outerReads(body);
}

function* outerReads(body: Graph): Generator<Value> {
  for (const node of body.nodes()) yield* reads(node);
  yield* body.outputs;
}

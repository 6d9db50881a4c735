// Takes the guard `Where(IsNaN(p), 0, p)` off the attention probabilities, where exporters put it against rows that are masked as a whole. It
// walks the largest tensors of a Transformer twice, mostly for nothing.
import type { Node, Value } from "../graph/graph.js";
import { opset, type Model } from "../graph/model.js";
import { scalarOf } from "../onnx/values.js";
import { inferTypes } from "../ops/infer.js";
import { hasTrait } from "../ops/traits.js";
import { boundsOfGraph, isFinite, type Bounds } from "./bounds.js";
import { succeed } from "./pass.js";

export interface NanGuardOptions {
  /**
   * Move the guards that cannot be removed behind the product with the values. Default true; false where the probabilities will be
   * quantized: integers have no NaN, so the row must be mended before.
   */
  readonly behindProduct?: boolean;
}

/**
 * Softmax gives NaN for a row whose scores are all -infinity (or hold a NaN or +infinity), and only then; the whole row is NaN.
 *
 * - Where interval arithmetic proves that every score is finite (the mask's fill is, sums of masks do not overflow, and products of
 *   activations stay below 1e30; see bounds.ts), the guard is removed.
 * - Else, where the guarded probabilities are read by one product with the values, `MatMul(p, v)`, the guard moves behind it: a row of NaN
 *   makes exactly its own row of the product NaN, which then becomes the same zeros. The product is smaller by the factor of sequence
 *   length over head width.
 *
 * Both give the same function as long as the values and, for the first, the scores are finite; a model that computes infinities or NaN
 * elsewhere may differ in how it is wrong.
 */
export function removeNanGuards(model: Model, options: NanGuardOptions = {}): number {
  const { behindProduct = true } = options;
  const guards = [...model.graph.allNodes()].flatMap((node) => guardAt(node) ?? []);
  if (guards.length === 0) return 0;
  inferTypes(model);
  const boundsOf = boundsOfGraph();
  let changes = 0;
  for (const guard of guards) {
    if (!keepsShape(guard)) continue;
    if (areScoresFinite(guard.softmax, boundsOf)) remove(guard);
    else if (!behindProduct || !moveBehindProduct(guard, model)) continue;
    changes++;
  }
  return changes;
}

interface Guard {
  /** The Where. */
  readonly node: Node;
  readonly isNaN: Node;
  readonly probabilities: Value;
  readonly zero: Value;
  readonly softmax: Node;
}

function guardAt(node: Node): Guard | undefined {
  const [condition, zero, probabilities] = node.inputs;
  if (node.op !== "Where" || node.outputs[0] === undefined) return undefined;
  if (condition === undefined || probabilities === undefined) return undefined;
  const isNaN = condition.producer;
  if (isNaN?.op !== "IsNaN" || isNaN.input(0) !== probabilities) return undefined;
  if (zero?.tensor === undefined || !zero.isConstant || scalarOf(zero.tensor) !== 0)
    return undefined;
  const softmax = softmaxOf(probabilities);
  return softmax && { node, isNaN, probabilities, zero, softmax };
}

/** The Softmax that makes a value, element types aside. */
function softmaxOf(value: Value): Node | undefined {
  let node = value.producer;
  while (node !== undefined && hasTrait(node, "same elements")) node = node.input(0)?.producer;
  return node?.op === "Softmax" ? node : undefined;
}

/** The zero must not add dims of its own. */
function keepsShape({ zero, probabilities }: Guard): boolean {
  const rank = zero.tensor?.dims.length ?? 0;
  return rank === 0 || rank <= (probabilities.rank ?? 0);
}

function areScoresFinite(softmax: Node, boundsOf: (value: Value) => Bounds | undefined): boolean {
  const scores = softmax.input(0);
  return scores !== undefined && isFinite(boundsOf(scores));
}

function remove({ node, isNaN, probabilities }: Guard): void {
  const { graph } = node;
  if (graph === undefined) return;
  graph.replaceUses(node.output(), probabilities);
  graph.removeNode(node);
  removeIfUnread(isNaN);
}

function moveBehindProduct(guard: Guard, model: Model): boolean {
  const { node, isNaN, probabilities, softmax } = guard;
  const { graph } = node;
  const use = node.output().onlyUse;
  const product = use?.node;
  if (graph === undefined || product?.outputs[0] === undefined) return false;
  if (product.graph !== graph || product.op !== "MatMul") return false;
  if (use?.index !== 0 || product.input(1) === node.output()) return false;
  const rank = probabilities.rank;
  if (rank === undefined || rank < 2 || !isAlongLastAxis(softmax, rank, opset(model))) return false;
  // A vector of values makes one number of each row; the zero, where it has dims, must not have more than the product has.
  const values = product.input(1);
  if (values?.rank === undefined || values.rank < 2) return false;
  product.setInput(0, probabilities);
  graph.removeNode(node);
  removeIfUnread(isNaN);
  guardResult(product, guard);
  return true;
}

/** Puts a guard of the same names behind the product; all its readers read the guard's result. */
function guardResult(product: Node, { node, isNaN, zero }: Guard): void {
  const { graph, next: before } = product;
  if (graph === undefined) return;
  const raw = product.output();
  const test = graph.addNode({ op: "IsNaN", name: isNaN.name, inputs: [undefined], before });
  const inputs = [test.output(), zero, undefined];
  const guarded = graph.addNode({ op: "Where", name: node.name, inputs, before });
  succeed(raw, guarded.output());
  graph.replaceUses(raw, guarded.output());
  test.setInput(0, raw);
  guarded.setInput(2, raw);
  test.output().dtype = "bool";
  test.output().shape = raw.shape;
}

/** Softmax before version 13 flattens all axes from `axis` on: the same only for the last one. */
function isAlongLastAxis(softmax: Node, rank: number, version: number): boolean {
  const axis = softmax.int("axis", version >= 13 ? -1 : 1);
  return axis === -1 || axis === rank - 1;
}

function removeIfUnread(node: Node): void {
  if (node.outputs.every((output) => output === undefined || output.uses.size === 0))
    node.graph?.removeNode(node);
}

// Moves the scale of attention scores, 1/√d, from behind the product of queries and keys to the queries: the same function, on a smaller tensor, and
// nothing but the mask is left between the product and its Softmax.
import type { Node, Value } from "../graph/graph.js";
import { emit } from "../graph/match.js";
import type { Model } from "../graph/model.js";
import { scalarOf } from "../onnx/values.js";
import { hasTrait } from "../ops/traits.js";

const MOST_STEPS = 8;

/**
 * `Softmax(… q · k * s …)` becomes `Softmax(… (q * s) · k …)`, for a product of two activations that nothing but the scale (a Mul or Div by a
 * constant of one element) reads. Exact up to the rounding of single operators, to the bit where s is a power of two.
 */
export function scaleBeforeProduct(model: Model): number {
  let changes = 0;
  for (const node of model.graph.allNodes()) {
    const [q, k] = node.inputs;
    if (node.op !== "MatMul" || q === undefined || k === undefined) continue;
    if (q.isConstant || k.isConstant) continue;
    const scaling = scalingOf(node, q);
    if (scaling === undefined || !reachesSoftmax(scaling.node.output())) continue;
    const scaled = emit(node, scaling.node.op, [q, scaling.factor]);
    scaled.dtype = q.dtype;
    scaled.shape = q.shape;
    node.setInput(0, scaled);
    node.graph?.replaceUses(scaling.node.output(), node.output());
    node.graph?.removeNode(scaling.node);
    changes++;
  }
  return changes;
}

/** The only reader of the product, if it multiplies or divides by one number. */
function scalingOf(product: Node, q: Value): { node: Node; factor: Value } | undefined {
  const use = product.output().onlyUse;
  if (use === undefined || use.node.graph !== product.graph) return undefined;
  const { node } = use;
  if (node.op !== "Mul" && !(node.op === "Div" && use.index === 0)) return undefined;
  const factor = node.input(1 - use.index);
  const tensor = factor?.isConstant === true ? factor.tensor : undefined;
  if (factor === undefined || tensor === undefined || scalarOf(tensor) === undefined)
    return undefined;
  return tensor.dims.length <= (q.rank ?? 0) ? { node, factor } : undefined;
}

function reachesSoftmax(scores: Value): boolean {
  let at = scores;
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const node = at.onlyUse?.node;
    if (node?.op === "Softmax") return true;
    if (node === undefined || !isBetween(node)) return false;
    at = node.output();
  }
  return false;
}

/** What may stand between the scale and the Softmax: the mask, reshapes, casts. */
function isBetween(node: Node): boolean {
  const { op } = node;
  return op === "Where" || op === "Reshape" || hasTrait(node, "arithmetic", "same elements");
}

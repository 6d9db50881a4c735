// When onnxruntime makes one Gemm of a MatMul and the Add behind it.
import type { Dim, Node, Value } from "../graph/graph.js";
import type { Dequantized } from "./lint.js";

/** The node behind a product that becomes part of a Gemm, and its other operand as the bias. */
export interface Merged {
  readonly node: Node;
  readonly bias: Value;
  /** True where a Reshape to a matrix is put in front of the Gemm, and one back behind it. */
  readonly reshaped: boolean;
}

/** MatMul and Add; Gemm without bias and Sum. */
export function mergedBias(product: Node): Merged | undefined {
  const [a, b, c] = product.inputs;
  const use = product.output().onlyUse;
  const node = use?.node;
  const bias = node?.inputs.length === 2 ? node.input(1 - use!.index) : undefined;
  if (node === undefined || bias === undefined || bias === product.output()) return undefined;
  if (a?.shape === undefined || b?.shape?.length !== 2 || bias.shape === undefined)
    return undefined;
  const isMatrix = a.shape.length === 2;
  if (product.op === "Gemm") {
    if (node.op !== "Sum" || c !== undefined) return undefined;
    const n = b.shape[product.int("transB", 0) === 0 ? 1 : 0];
    const m = a.shape[product.int("transA", 0) === 0 ? 0 : 1];
    return isBias(bias.shape, m, n, true) ? { node, bias, reshaped: false } : undefined;
  }
  if (product.op !== "MatMul" || node.op !== "Add") return undefined;
  if (!isMatrix && ![...a.shape, ...b.shape].every((dim) => typeof dim === "number"))
    return undefined;
  return isBias(bias.shape, a.shape[0], b.shape[1], isMatrix)
    ? { node, bias, reshaped: !isMatrix }
    : undefined;
}

/** Whether a Gemm reads its weight turned: by its own attribute, or by a Transpose of a DequantizeLinear that it takes in. */
export function isTurned(product: Node): boolean {
  const own = product.op === "Gemm" && product.int("transB", 0) !== 0;
  return own !== (product.input(1)?.producer?.op === "Transpose");
}

/** [N]; beside a matrix [M, K] also [1, N], [M, 1] and [M, N]. */
function isBias(
  shape: readonly Dim[],
  m: Dim | undefined,
  n: Dim | undefined,
  isMatrix: boolean,
): boolean {
  const same = (x: Dim | undefined, y: Dim | undefined) => x !== null && x !== undefined && x === y;
  const [first, second] = shape;
  if (shape.length === 1) return same(first, n);
  if (!isMatrix || shape.length !== 2) return false;
  return (first === 1 && same(second, n)) || (same(first, m) && (second === 1 || same(second, n)));
}

/**
 * True where onnxruntime quantizes a constant float bias (and a constant float weight) of Gemm or Conv itself: its activation has one scale, and
 * its result goes to a QuantizeLinear alone.
 */
export function quantizesConstants(
  node: Node,
  activation: Dequantized | undefined,
  weight: { readonly value: Value; readonly dq: Dequantized | undefined },
  bias: Value | undefined,
): boolean {
  if (activation?.scale === undefined || !isScalar(activation.scale)) return false;
  const { value, dq } = weight;
  if (dq === undefined && !(value.isConstant && value.dtype === "float32")) return false;
  if (bias === undefined) return dq === undefined;
  const size = bias.tensor?.dims.length === 1 ? bias.tensor.dims[0] : undefined;
  if (size === undefined || bias.dtype !== "float32") return false;
  if (dq?.scale === undefined || isScalar(dq.scale)) return true;
  if (dq.scale.shape?.length !== 1 || dq.scale.shape[0] !== size) return false;
  if (dq.node.int("block_size", 0) !== 0) return false;
  const axis = dq.node.int("axis", 1);
  const expected = node.op === "Conv" || isTurned(node) ? 0 : 1;
  return (axis < 0 ? axis + (dq.codes.rank ?? 2) : axis) === expected;
}

function isScalar(value: Value): boolean {
  return value.shape?.every((dim) => dim === 1) === true && value.shape.length <= 1;
}

/** Whether a Transpose of its weight becomes the Gemm's own attribute; else the weight itself is turned, on loading. */
export function takesTranspose(product: Node): boolean {
  return product.op === "Gemm" && product.output().onlyUse !== undefined;
}

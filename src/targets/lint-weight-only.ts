// When onnxruntime makes a weight-only product (MatMulNBits) of a float activation and a dequantized weight.
import type { Graph, Value } from "../graph/graph.js";
import { takesTranspose } from "./lint-gemm.js";
import type { Product } from "./lint-product.js";
import { elementCount } from "../onnx/dtypes.js";
import { hasTrait } from "../ops/traits.js";
import { constantBehind, dimsOf, elementsOf } from "./lint.js";

const FEW_BITS = /^u?int[248]$/;
const SMALLEST_BLOCK = 16;

/** Follows the selector of MatMulNBits: one scale, a scale per output channel, or blocks along K; nothing quantized behind. */
export function isWeightOnly({ node, op, operands, after, beta }: Product): boolean {
  const [a, b, c] = operands;
  if (op === "Conv" || a?.dq !== undefined || b?.dq === undefined) return false;
  if (after.clip === "kept" || after.quantizers.length > 0) return false;
  const { codes, scale, zeroPoint, dtype, node: dequantizer } = b.dq;
  if (dtype === undefined || !FEW_BITS.test(dtype)) return false;
  if (scale?.isConstant !== true || (zeroPoint !== undefined && !zeroPoint.isConstant))
    return false;
  if (codes.rank !== 2 || !isAsStored(codes)) return false;
  const turned = b.value.producer !== dequantizer;
  if (turned && b.value.producer?.op !== "Transpose") return false;
  if (op === "Gemm") {
    const reads = node.op === "Gemm" && node.int("transB", 0) !== 0;
    if (node.int("transA", 0) !== 0 || node.float("alpha", 1) !== 1) return false;
    if (reads !== (turned && takesTranspose(node))) return false;
    if (c !== undefined && (beta !== 1 || c.value.rank !== 1)) return false;
  }
  // A Transpose behind becomes part of the constant, or of a Gemm.
  const flips = turned && !takesTranspose(node);
  const axis = dequantizer.int("axis", 1);
  const scales = scale.tensor?.dims ?? [];
  const zeros = zeroPoint === undefined ? scales : (zeroPoint.tensor?.dims ?? []);
  if (zeros.length !== scales.length) return false;
  const block = dequantizer.int("block_size", 0);
  if (block > 0)
    return (
      !flips && axis === 0 && block >= SMALLEST_BLOCK && isPowerOfTwo(block) && scales.length === 2
    );
  if (isShared(scale)) return false;
  if (scales.length === 0) return true;
  return scales.length === 1 && axis === (flips ? 0 : 1) && scales[0] === codes.shape?.[axis];
}

function isPowerOfTwo(n: number): boolean {
  return (n & (n - 1)) === 0;
}

/** A constant that nobody else reads, or one that is quantized on loading. */
function isAsStored(codes: Value): boolean {
  if (codes.isConstant) return codes.uses.size === 1;
  return (
    codes.producer !== undefined &&
    hasTrait(codes.producer, "quantizes") &&
    constantBehind(codes) !== undefined
  );
}

/** Constants of up to this many elements are one where they are equal. */
const SHARED_ELEMENTS = 8;

/** onnxruntime lets equal small constants be one; a scale that somebody else reads as well is not taken in. */
function isShared(scale: Value): boolean {
  const key = smallKey(scale);
  if (key === undefined) return false;
  const counts = smallConstants.get(scale.graph) ?? countSmall(scale.graph);
  smallConstants.set(scale.graph, counts);
  return (counts.get(key) ?? 0) > 1;
}

/** Readers of equal small constants by their content, once per graph. */
const smallConstants = new WeakMap<Graph, ReadonlyMap<string, number>>();

function countSmall(graph: Graph): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const value of graph.initializers()) {
    const key = smallKey(value);
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + value.uses.size);
  }
  return counts;
}

function smallKey(value: Value): string | undefined {
  const dims = dimsOf(value);
  if (value.dtype === "string" || elementCount(dims) > SHARED_ELEMENTS) return undefined;
  return `${value.dtype} [${dims.join()}] ${elementsOf(value)?.join()}`;
}

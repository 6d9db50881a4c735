// Gradients of matrix products: transposed operands go into the product itself, weights' gradients are one Gemm over all tokens.
import type { Node, Value } from "../graph/graph.js";
import type { Backward } from "./backward.js";
import { einsum } from "./einsum.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";

/** Y = α · A' · B', where A' and B' may be the operand with its last two axes swapped. */
interface Product {
  readonly left: Value;
  readonly right: Value;
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
}

type Multiply = (b: Backward, product: Product) => Value;

const multiplyBy =
  (op: string): Multiply =>
  (b, { left, right, transA, transB, alpha }) =>
    b.op(op, [left, right], {
      ...(transA ? { transA: 1 } : {}),
      ...(transB ? { transB: 1 } : {}),
      ...(alpha === 1 ? {} : { alpha: { type: "float", value: alpha } }),
    });

const fused = multiplyBy("com.microsoft.FusedMatMul");
const gemm = multiplyBy("Gemm");

/** dA' = dY·B'ᵀ, transposed where A is. */
const leftGradient = (b: Backward, multiply: Multiply, dy: Value, p: Product): Value =>
  p.transA
    ? multiply(b, { ...p, left: p.right, right: dy, transA: p.transB, transB: true })
    : multiply(b, { ...p, left: dy, right: p.right, transA: false, transB: !p.transB });

/** dB' = A'ᵀ·dY, transposed where B is. */
const rightGradient = (b: Backward, multiply: Multiply, dy: Value, p: Product): Value =>
  p.transB
    ? multiply(b, { ...p, left: dy, right: p.left, transA: true, transB: p.transA })
    : multiply(b, { ...p, left: p.left, right: dy, transA: !p.transA, transB: false });

/** Batched: batch dims that were broadcast are summed; a matrix for all batches gets one Gemm over all rows. */
function batchedGradients(b: Backward, dy: Value, p: Product): readonly (Value | undefined)[] {
  const { left, right } = p;
  const shared = right.rank === 2 && (left.rank ?? 0) > 2 && !p.transA;
  const ofRight = () => {
    if (!shared) return b.sumTo(rightGradient(b, fused, dy, p), right);
    const rows = flat(b, left);
    return rightGradient(b, gemm, flat(b, dy), { ...p, left: rows });
  };
  return [
    b.wants(left) ? b.sumTo(leftGradient(b, fused, dy, p), left) : undefined,
    b.wants(right) ? ofRight() : undefined,
  ];
}

/** [..., n] as [rows, n]. */
const flat = (b: Backward, value: Value): Value =>
  value.rank === 2 ? value : b.op("Flatten", [value], { axis: -1 });

const matMul: GradientRule = {
  gradient({ inputs: [a, c] }, [dy], b) {
    if (a === undefined || c === undefined || dy === undefined) return [];
    // A vector is a matrix of one row, or of one column.
    const [row, column] = [a.rank === 1, c.rank === 1];
    const left = row ? b.unsqueeze(a, [0]) : a;
    const right = column ? b.unsqueeze(c, [1]) : c;
    const wide = b.unsqueeze(column ? b.unsqueeze(dy, [-1]) : dy, row ? [-2] : []);
    const [da, dc] = batchedGradients(b, wide, {
      left,
      right,
      transA: false,
      transB: false,
      alpha: 1,
    });
    return [da && b.reshapeLike(da, a), dc && b.reshapeLike(dc, c)];
  },
};

const fusedMatMul: GradientRule = {
  gradient(node, [dy], b) {
    const [left, right] = node.inputs;
    if (dy === undefined || left === undefined || right === undefined) return [];
    if (node.int("transBatchA", 0) !== 0 || node.int("transBatchB", 0) !== 0)
      throw noGradient(node, "batch axes that move inside have no gradient yet");
    return batchedGradients(b, dy, productOf(node, left, right));
  },
};

function productOf(node: Node, left: Value, right: Value): Product {
  const [transA, transB] = [node.int("transA", 0) !== 0, node.int("transB", 0) !== 0];
  return { left, right, transA, transB, alpha: node.float("alpha", 1) };
}

const gemmRule: GradientRule = {
  gradient(node, [dy], b) {
    const [left, right, bias] = node.inputs;
    if (dy === undefined || left === undefined || right === undefined) return [];
    const product = productOf(node, left, right);
    const beta = node.float("beta", 1);
    const scaled = () => (beta === 1 ? dy : b.op("Mul", [dy, b.scalar(beta, dy)]));
    return [
      b.wants(left) ? leftGradient(b, gemm, dy, product) : undefined,
      b.wants(right) ? rightGradient(b, gemm, dy, product) : undefined,
      b.wants(bias) ? b.sumTo(scaled(), bias) : undefined,
    ];
  },
};

export const PRODUCTS: GradientTable = {
  MatMul: matMul,
  "com.microsoft.FusedMatMul": fusedMatMul,
  Gemm: gemmRule,
  Einsum: einsum,
};

// Gradients of matrix products: transposed operands go into the product itself, weights' gradients are one Gemm over all tokens.
import type { Value } from "../graph/graph.js";
import type { Backward } from "./backward.js";
import type { GradientRule, GradientTable } from "./rule.js";

/** dA = dY·Bᵀ and dB = Aᵀ·dY, batch dims that were broadcast summed. */
const matMul: GradientRule = {
  gradient({ inputs: [a, c] }, [dy], b) {
    if (a === undefined || c === undefined || dy === undefined) return [];
    // A vector is a matrix of one row, or of one column.
    const row = a.rank === 1;
    const column = c.rank === 1;
    const left = row ? b.unsqueeze(a, [0]) : a;
    const right = column ? b.unsqueeze(c, [1]) : c;
    const wide = b.unsqueeze(column ? b.unsqueeze(dy, [-1]) : dy, row ? [-2] : []);
    return [
      b.wants(a) ? b.reshapeLike(leftGradient(b, left, right, wide), a) : undefined,
      b.wants(c) ? b.reshapeLike(rightGradient(b, left, right, wide), c) : undefined,
    ];
  },
};

function leftGradient(b: Backward, left: Value, right: Value, dy: Value): Value {
  return b.sumTo(b.op("com.microsoft.FusedMatMul", [dy, right], { transB: 1 }), left);
}

function rightGradient(b: Backward, left: Value, right: Value, dy: Value): Value {
  if (right.rank === 2 && left.rank !== undefined && left.rank > 2)
    return b.op("Gemm", [flat(b, left), flat(b, dy)], { transA: 1 });
  return b.sumTo(b.op("com.microsoft.FusedMatMul", [left, dy], { transA: 1 }), right);
}

/** [..., n] as [rows, n]. */
function flat(b: Backward, value: Value): Value {
  return b.op("Flatten", [value], { axis: -1 });
}

export const PRODUCTS: GradientTable = { MatMul: matMul };

// Cholesky factors of large matrices: blocks in JavaScript, everything between them by fast products.
import type { Products } from "../products.js";
import { FACTORED_TOGETHER } from "./defaults.js";

/**
 * Lower factor L [size, size], row-major with zeros above its diagonal, of a symmetric positive definite matrix: L · Lᵀ = matrix. Float32, so the
 * matrix should be well conditioned (unit diagonal, damped). Undefined where it is not positive definite.
 */
export async function cholesky(
  matrix: Float32Array,
  size: number,
  products: Products,
): Promise<Float32Array | undefined> {
  const factor = new Float32Array(size * size);
  for (let from = 0; from < size; from += FACTORED_TOGETHER) {
    const to = Math.min(size, from + FACTORED_TOGETHER);
    const cols = to - from;
    const rows = size - from;
    // Rows from here on of what is done, at full width: the columns that are not done are zero.
    const done = factor.subarray(from * size);
    const panel = new Float32Array(rows * cols);
    if (from > 0)
      await products.multiplyTransposed(
        { values: done, rows, cols: size },
        { values: done.subarray(0, cols * size), rows: cols, cols: size },
        panel,
      );
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < cols; c++)
        panel[r * cols + c] =
          (matrix[(from + r) * size + from + c] as number) - (panel[r * cols + c] as number);
    const inverse = inverseOfFactor(panel.subarray(0, cols * cols), cols);
    if (inverse === undefined) return undefined;
    const solved = new Float32Array(rows * cols);
    await products.multiplyTransposed(
      { values: panel, rows, cols },
      { values: inverse, rows: cols, cols },
      solved,
    );
    for (let r = 0; r < rows; r++) {
      const columns = Math.min(cols, r + 1);
      const at = (from + r) * size + from;
      factor.set(solved.subarray(r * cols, r * cols + columns), at);
    }
  }
  return factor;
}

/** The inverse of the lower Cholesky factor of a small matrix, in float64 inside. */
function inverseOfFactor(matrix: Float32Array, n: number): Float32Array | undefined {
  const lower = Float64Array.from(matrix);
  for (let c = 0; c < n; c++) {
    for (let r = c; r < n; r++) {
      let sum = lower[r * n + c] as number;
      for (let k = 0; k < c; k++)
        sum -= (lower[r * n + k] as number) * (lower[c * n + k] as number);
      if (r > c) lower[r * n + c] = sum / (lower[c * n + c] as number);
      else if (sum > 0) lower[c * n + c] = Math.sqrt(sum);
      else return undefined;
    }
  }
  const inverse = new Float64Array(n * n);
  for (let c = 0; c < n; c++) {
    inverse[c * n + c] = 1 / (lower[c * n + c] as number);
    for (let r = c + 1; r < n; r++) {
      let sum = 0;
      for (let k = c; k < r; k++)
        sum += (lower[r * n + k] as number) * (inverse[k * n + c] as number);
      inverse[r * n + c] = -sum / (lower[r * n + r] as number);
    }
  }
  return Float32Array.from(inverse);
}

// Rounding weights against the covariance of their inputs: the error of each code is made good by the codes that are still free (GPTQ, Frantar et
// al., arXiv:2210.17323, in its equal form as Babai's nearest plane, which needs no inverse).
import { cholesky } from "./cholesky.js";
import { DAMPING, ROUNDED_TOGETHER } from "./defaults.js";
import { roundHalfEven } from "../../quant/round.js";
import type { Matrix, Products } from "../products.js";

/** A factor L with L · Lᵀ = damped covariance, its inputs in another order and of another size. */
export interface RoundingOrder {
  readonly size: number;
  /** Place in the factor → input channel; the last place is rounded first. */
  readonly order: Uint32Array;
  /** √ of the damped variance, by place. */
  readonly deviations: Float64Array;
  /** [size, size], of the covariance of unit variance. */
  readonly factor: Float32Array;
}

/**
 * Prepares a covariance Σ x xᵀ [size, size] (any factor before it) for rounding. Channels of large variance are rounded first, so that all others
 * make their error good. Undefined where it is no covariance (a NaN), or nothing ever came in.
 */
export async function roundingOrder(
  covariance: Float32Array,
  size: number,
  products: Products,
): Promise<RoundingOrder | undefined> {
  const variances = Float64Array.from({ length: size }, (_, k) =>
    Math.max(0, covariance[k * size + k] as number),
  );
  const mean = variances.reduce((sum, v) => sum + v, 0) / size;
  if (!(mean > 0 && mean < Infinity)) return undefined;
  const damped = variances.map((v) => v + DAMPING * mean);
  const order = Uint32Array.from(variances.keys()).toSorted(
    (a, b) => (variances[a] as number) - (variances[b] as number) || a - b,
  );
  const deviations = Float64Array.from(order, (k) => Math.sqrt(damped[k] as number));
  const scaled = new Float32Array(size * size);
  for (let r = 0; r < size; r++) {
    const row = (order[r] as number) * size;
    const byRow = 1 / (deviations[r] as number);
    for (let c = 0; c < size; c++)
      scaled[r * size + c] =
        ((covariance[row + (order[c] as number)] as number) * byRow) / (deviations[c] as number);
    scaled[r * size + r] = 1;
  }
  const factor = await cholesky(scaled, size, products);
  return factor && { size, order, deviations, factor };
}

/**
 * Codes [K, N] of a weight [K, N] within ±limit, by `scales` [N]: Σ_n ‖x · (W − scale · code)_n‖² is small for inputs of that covariance, where
 * rounding to the nearest makes each |W − scale · code| small.
 */
export async function roundAgainst(
  weight: Matrix,
  scales: Float32Array,
  limit: number,
  { size, order, deviations, factor }: RoundingOrder,
  products: Products,
): Promise<Int8Array> {
  const { values, cols } = weight;
  const codes = new Int8Array(size * cols);
  // Errors in the factor's order and units: place p holds (w − scale · code) · deviation.
  const errors = new Float32Array(size * cols);
  const inverse = Float64Array.from(scales, (s) => 1 / s);
  const passed = new Float64Array(cols);
  for (let to = size; to > 0; to -= ROUNDED_TOGETHER) {
    const from = Math.max(0, to - ROUNDED_TOGETHER);
    const carried = await carriedOver(factor, errors, { size, cols, from, to }, products);
    for (let place = to - 1; place >= from; place--) {
      const k = order[place] as number;
      for (let n = 0; n < cols; n++) passed[n] = carried?.[(place - from) * cols + n] ?? 0;
      for (let later = place + 1; later < to; later++) {
        const by = factor[later * size + place] as number;
        const at = later * cols;
        if (by !== 0)
          for (let n = 0; n < cols; n++)
            passed[n] = (passed[n] as number) + by * (errors[at + n] as number);
      }
      const deviation = deviations[place] as number;
      const share = 1 / ((factor[place * size + place] as number) * deviation);
      for (let n = 0; n < cols; n++) {
        const w = values[k * cols + n] as number;
        const wanted = (w + (passed[n] as number) * share) * (inverse[n] as number);
        const code = Math.min(limit, Math.max(-limit, roundHalfEven(wanted)));
        codes[k * cols + n] = code;
        errors[place * cols + n] = (w - code * (scales[n] as number)) * deviation;
      }
    }
  }
  return codes;
}

interface Block {
  readonly size: number;
  readonly cols: number;
  readonly from: number;
  readonly to: number;
}

/** What the errors behind `to` ask of the places [from, to): factor[to…, from…to)ᵀ · errors[to…]. */
async function carriedOver(
  factor: Float32Array,
  errors: Float32Array,
  { size, cols, from, to }: Block,
  products: Products,
): Promise<Float32Array | undefined> {
  const behind = size - to;
  if (behind === 0) return undefined;
  const places = to - from;
  const turned = new Float32Array(places * behind);
  for (let r = 0; r < behind; r++)
    for (let c = 0; c < places; c++)
      turned[c * behind + r] = factor[(to + r) * size + from + c] as number;
  const carried = new Float32Array(places * cols);
  await products.multiply(
    { values: turned, rows: places, cols: behind },
    { values: errors.subarray(to * cols), rows: behind, cols },
    carried,
  );
  return carried;
}

// Scales of channels that leave the least squared error: a few values far out are cut, so that all others get finer steps.
import { CHANNEL_FRACTIONS } from "./defaults.js";
import { squaredErrors } from "./scales.js";

/**
 * For each channel of a row-major matrix [rows, cols] the scale, of `scales` and their shares, that leaves the least Σ (w − scale · code)² with
 * codes held within ±limit. Never more than `scales` leave.
 */
export function mseScales(
  values: Float32Array,
  rows: number,
  cols: number,
  axis: 0 | 1,
  scales: Float32Array,
  limit: number,
): Float32Array {
  const best = scales.slice();
  const least = squaredErrors(values, rows, cols, axis, scales, limit);
  for (const share of CHANNEL_FRACTIONS) {
    const tried = scales.map((scale) => scale * share);
    squaredErrors(values, rows, cols, axis, tried, limit).forEach((error, c) => {
      if (!(error < (least[c] as number))) return;
      least[c] = error;
      best[c] = tried[c] as number;
    });
  }
  return best;
}

/** The values, those beyond ±limit steps cut: `encodeChannels` does not hold codes within their range. */
export function cutValues(
  values: Float32Array,
  rows: number,
  cols: number,
  axis: 0 | 1,
  scales: Float32Array,
  limit: number,
): Float32Array {
  const most = scales.map((scale) => scale * limit);
  const out = new Float32Array(values.length);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      const v = values[i] as number;
      const m = most[axis === 0 ? r : c] as number;
      out[i] = v > m ? m : v < -m ? -m : v;
    }
  }
  return out;
}

// Tells by the weights alone which channels of a projection may become far larger than all others.
import { GAIN_PER_CHANNEL, LEAST_GAIN, MOST_CHANNELS } from "./defaults.js";

export interface StoredMatrix {
  readonly values: Float32Array;
  /** As the product uses it: [rows, cols]; stored as [cols, rows] where transposed. */
  readonly rows: number;
  readonly cols: number;
  readonly transposed: boolean;
}

/**
 * Channels of W [rows, cols] whose x · W + b may be far larger than those of all others, where x = γ · z + β and z is normalized: |z|₂ = √rows, and
 * what makes outliers is a token that has nearly all of it in one coordinate, so channel n reaches max_k |γ_k W_kn| · √rows + (β W + b)_n. Returns
 * those beyond the widest gap in the sorted reaches, if the gap is wide enough; else none.
 */
export function loudChannels(
  { values, rows, cols, transposed }: StoredMatrix,
  bias: Float32Array | undefined,
  gamma: Float32Array,
  beta: Float32Array,
): number[] {
  const largest = new Float64Array(cols);
  const offset = Float64Array.from({ length: cols }, (_, n) => bias?.[n] ?? 0);
  const outer = transposed ? cols : rows;
  const inner = transposed ? rows : cols;
  for (let o = 0, i = 0; o < outer; o++)
    for (let j = 0; j < inner; j++, i++) {
      const k = transposed ? j : o;
      const n = transposed ? o : j;
      const w = values[i] as number;
      const g = Math.abs(w * (gamma[k] as number));
      if (g > (largest[n] as number)) largest[n] = g;
      offset[n] = (offset[n] as number) + w * (beta[k] as number);
    }
  const reach = largest.map((g, n) => g * Math.sqrt(rows) + (offset[n] as number));
  const order = Array.from(reach, (_, n) => n).toSorted(
    (a, b) => (reach[b] as number) - (reach[a] as number) || a - b,
  );
  const top = reach[order[0] ?? 0] ?? 0;
  let best = { count: 0, gain: LEAST_GAIN };
  for (let count = 1; count <= Math.min(MOST_CHANNELS, cols - 1); count++) {
    // Each further channel must be worth it.
    const gain =
      top / Math.max(1e-9, reach[order[count] ?? 0] ?? 0) / GAIN_PER_CHANNEL ** (count - 1);
    if (gain > best.gain) best = { count, gain };
  }
  return order.slice(0, best.count).toSorted((a, b) => a - b);
}

// Reads one activation of one unit into its statistics: plain loops over typed arrays, which is what takes the time of a calibration.
import type { TensorStatistics } from "./tensor-statistics.js";

/**
 * Adds a tensor [..., K] of a unit to its statistics. `mask` has one byte per row, 0 for rows that do not count (padding), in the order of
 * the tensor's leading axes: [batch, length, ..., K] and [batch · length, K] take the mask of batch × length as it is. A tensor with a NaN or an
 * infinity among what counts adds nothing: its unit is noted. `unit`: whole, ≥ 0, the same for the same data in every run.
 */
export function observe(
  statistics: TensorStatistics,
  data: Float32Array,
  dims: readonly number[],
  mask: Uint8Array | undefined,
  unit: number,
): void {
  const rows = mask?.length ?? 1;
  if (data.length % rows !== 0 && data.length > 0)
    throw new Error(`internal: ${data.length} elements have no ${rows} rows`);
  const rowSize = data.length / rows;
  const last = dims.at(-1) ?? 1;
  // A mask that reaches into the last axis leaves no channels of equal size.
  const whole = last > 0 && rowSize % last === 0;
  statistics.see(whole ? dims : [...dims.slice(0, -1), null]);
  const runs = mask === undefined ? [0, data.length] : runsOf(mask, rowSize);
  const count = countOf(runs);
  if (count === 0) return;
  const seen = channelStatistics(data, runs, whole ? last : 1);
  if (!seen.squares.every(Number.isFinite)) statistics.reject(unit);
  else statistics.add({ ...seen, unit, count, data, runs });
}

/** Pairs [from, to) of elements whose rows count; neighbouring rows make one pair. */
function runsOf(mask: Uint8Array, rowSize: number): number[] {
  const runs: number[] = [];
  for (let row = 0; row < mask.length; row++) {
    if (mask[row] === 0) continue;
    const from = row;
    while (row < mask.length && mask[row] !== 0) row++;
    runs.push(from * rowSize, row * rowSize);
  }
  return runs;
}

function countOf(runs: readonly number[]): number {
  let count = 0;
  for (let r = 0; r < runs.length; r += 2) count += (runs[r + 1] as number) - (runs[r] as number);
  return count;
}

interface ChannelStatistics {
  readonly min: Float32Array;
  readonly max: Float32Array;
  readonly sums: Float64Array;
  readonly squares: Float64Array;
}

/**
 * Extremes, Σ x and Σ x² per channel, sums in float64 in the order of the rows. A NaN or infinity leaves Σ x² of its channel not finite, as
 * no sum of float32 squares is: that is how it is found without a look at each value.
 */
function channelStatistics(
  data: Float32Array,
  runs: readonly number[],
  channels: number,
): ChannelStatistics {
  const into: ChannelStatistics = {
    min: new Float32Array(channels).fill(Infinity),
    max: new Float32Array(channels).fill(-Infinity),
    sums: new Float64Array(channels),
    squares: new Float64Array(channels),
  };
  for (let r = 0; r < runs.length; r += 2) {
    const [from, to] = [runs[r] as number, runs[r + 1] as number];
    if (channels === 1) readSingle(data, from, to, into);
    else readRows(data, from, to, channels, into);
  }
  return into;
}

/** Four rows at a time: so each accumulator is loaded and stored once for four values. */
function readRows(
  data: Float32Array,
  from: number,
  to: number,
  channels: number,
  { min, max, sums, squares }: ChannelStatistics,
): void {
  let at = from;
  for (; at + 4 * channels <= to; at += 4 * channels) {
    const [second, third, fourth] = [at + channels, at + 2 * channels, at + 3 * channels];
    for (let c = 0; c < channels; c++) {
      const p = data[at + c] as number;
      const q = data[second + c] as number;
      const r = data[third + c] as number;
      const s = data[fourth + c] as number;
      const low = min[c] as number;
      const high = max[c] as number;
      if (p < low || q < low || r < low || s < low) min[c] = Math.min(p, q, r, s);
      if (p > high || q > high || r > high || s > high) max[c] = Math.max(p, q, r, s);
      sums[c] = (sums[c] as number) + (p + q + (r + s));
      squares[c] = (squares[c] as number) + (p * p + q * q + (r * r + s * s));
    }
  }
  for (; at < to; at += channels) {
    for (let c = 0; c < channels; c++) {
      const v = data[at + c] as number;
      if (v < (min[c] as number)) min[c] = v;
      if (v > (max[c] as number)) max[c] = v;
      sums[c] = (sums[c] as number) + v;
      squares[c] = (squares[c] as number) + v * v;
    }
  }
}

function readSingle(
  data: Float32Array,
  from: number,
  to: number,
  { min, max, sums, squares }: ChannelStatistics,
): void {
  let low = min[0] as number;
  let high = max[0] as number;
  let sum = sums[0] as number;
  let square = squares[0] as number;
  for (let i = from; i < to; i++) {
    const v = data[i] as number;
    if (v < low) low = v;
    if (v > high) high = v;
    sum += v;
    square += v * v;
  }
  min[0] = low;
  max[0] = high;
  sums[0] = sum;
  squares[0] = square;
}

// Numerics of 8-bit weights: symmetric scales per channel, and codes rounded half to even.
import { HIGHEST_REFINED, LOWEST_REFINED, MOST_TRIED, REFINED_ELEMENTS } from "./defaults.js";
import { ROUNDER } from "./round.js";

/** Largest code of a symmetric INT8 weight; 64 where the CPU saturates sums of two products (x86 without VNNI). */
export const FULL_RANGE = 127;
export const REDUCED_RANGE = 64;

/**
 * Scale of each channel of a row-major matrix [rows, cols]: max |w| / limit, as float32. `axis` 0 has a channel per row, 1 per column.
 * A channel of zeros has scale 1. The first value that is NaN or infinite is reported through `onBad` with its position.
 */
export function channelScales(
  values: Float32Array,
  rows: number,
  cols: number,
  axis: 0 | 1,
  limit: number,
  onBad: (index: number) => never,
): Float32Array {
  const scales = axis === 0 ? rowMaxima(values, rows, cols) : columnMaxima(values, rows, cols);
  for (let c = 0; c < scales.length; c++) {
    const max = scales[c] ?? 0;
    if (!(max < Infinity)) onBad(values.findIndex((v) => !Number.isFinite(v)));
    // A subnormal scale would lose its inverse; such a channel is zero for all purposes.
    scales[c] = max < 1e-35 ? 1 : max / limit;
  }
  return scales;
}

// The bits of floats without their sign are in the order of their absolute values, infinity and NaN above all: whole numbers compare faster.
const WITHOUT_SIGN = 0x7fffffff;

function rowMaxima(values: Float32Array, rows: number, cols: number): Float32Array {
  const bits = bitsOf(values);
  const maxima = new Int32Array(rows);
  for (let r = 0; r < rows; r++) {
    let max = 0;
    const end = (r + 1) * cols;
    for (let i = r * cols; i < end; i++) {
      const v = (bits[i] as number) & WITHOUT_SIGN;
      if (v > max) max = v;
    }
    maxima[r] = max;
  }
  return new Float32Array(maxima.buffer);
}

function columnMaxima(values: Float32Array, rows: number, cols: number): Float32Array {
  const bits = bitsOf(values);
  const maxima = new Int32Array(cols);
  for (let r = 0; r < rows; r++) {
    const start = r * cols;
    for (let c = 0; c < cols; c++) {
      const v = (bits[start + c] as number) & WITHOUT_SIGN;
      if (v > (maxima[c] as number)) maxima[c] = v;
    }
  }
  return new Float32Array(maxima.buffer);
}

function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

/**
 * Codes of a row-major matrix under `scales` (per row for axis 0, per column for 1); same layout. No value may be half a code or more beyond ±127:
 * scales of `channelScales` and `refineScales` see to that, and a clamp would take two thirds of the time again.
 */
export function encodeChannels(
  values: Float32Array,
  rows: number,
  cols: number,
  axis: 0 | 1,
  scales: Float32Array,
): Int8Array {
  const codes = new Int8Array(rows * cols);
  const inverse = new Float64Array(scales.length);
  for (let c = 0; c < inverse.length; c++) inverse[c] = 1 / (scales[c] as number);
  for (let r = 0; r < rows; r++) {
    const start = r * cols;
    if (axis === 0) encodeRow(codes, values, start, start + cols, inverse[r] as number);
    else encodeColumns(codes, values, start, inverse);
  }
  return codes;
}

// Loops of their own, and whole numbers at once: three times as fast as one loop over doubles.
function encodeRow(
  codes: Int8Array,
  values: Float32Array,
  start: number,
  end: number,
  by: number,
): void {
  for (let i = start; i < end; i++) codes[i] = ((values[i] as number) * by + ROUNDER - ROUNDER) | 0;
}

function encodeColumns(
  codes: Int8Array,
  values: Float32Array,
  start: number,
  inverse: Float64Array,
): void {
  for (let c = 0; c < inverse.length; c++)
    codes[start + c] =
      ((values[start + c] as number) * (inverse[c] as number) + ROUNDER - ROUNDER) | 0;
}

/** The transpose of a row-major matrix [rows, cols], in blocks that stay in the cache. */
export function transposeCodes(codes: Int8Array, rows: number, cols: number): Int8Array {
  const out = new Int8Array(codes.length);
  const block = 64;
  for (let r0 = 0; r0 < rows; r0 += block) {
    const r1 = Math.min(rows, r0 + block);
    for (let c0 = 0; c0 < cols; c0 += block) {
      const c1 = Math.min(cols, c0 + block);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) out[c * rows + r] = codes[r * cols + c] as number;
      }
    }
  }
  return out;
}

/**
 * Scales near `scales` that leave less squared error, per channel. The error of few elements varies much with the scale, that of many hardly:
 * so `256 / length` scales are tried, and channels of more than 128 elements keep theirs.
 */
export function refineScales(
  values: Float32Array,
  rows: number,
  cols: number,
  axis: 0 | 1,
  scales: Float32Array,
  limit: number,
): Float32Array {
  const tries = Math.floor(REFINED_ELEMENTS / Math.max(8, axis === 0 ? cols : rows));
  if (tries < 2) return scales;
  if (axis === 0) {
    const affordable = Math.min(tries, Math.floor(MOST_TRIED / values.length));
    return affordable < 2 ? scales : refineRows(values, rows, cols, scales, limit, affordable);
  }
  const best = scales.slice();
  const lowest = squaredErrors(values, rows, cols, axis, scales, limit);
  for (let t = 0; t < tries; t++) {
    const beyond = LOWEST_REFINED + ((HIGHEST_REFINED - LOWEST_REFINED) * t) / (tries - 1);
    const tried = scales.map((s) => (s * limit) / (limit + beyond));
    const errors = squaredErrors(values, rows, cols, axis, tried, limit);
    errors.forEach((error, c) => {
      if (!(error < (lowest[c] as number))) return;
      lowest[c] = error;
      best[c] = tried[c] as number;
    });
  }
  return best;
}

/** The same for channels that are rows, one after the other: a table has millions of them. */
function refineRows(
  values: Float32Array,
  rows: number,
  cols: number,
  scales: Float32Array,
  limit: number,
  tries: number,
): Float32Array {
  const best = scales.slice();
  for (let r = 0; r < rows; r++) {
    const [start, end] = [r * cols, (r + 1) * cols];
    const widest = scales[r] as number;
    let lowest = rowError(values, start, end, widest, limit);
    for (let t = 0; t < tries; t++) {
      const beyond = LOWEST_REFINED + ((HIGHEST_REFINED - LOWEST_REFINED) * t) / (tries - 1);
      const tried = Math.fround((widest * limit) / (limit + beyond));
      const error = rowError(values, start, end, tried, limit);
      if (!(error < lowest)) continue;
      lowest = error;
      best[r] = tried;
    }
  }
  return best;
}

function rowError(
  values: Float32Array,
  start: number,
  end: number,
  scale: number,
  limit: number,
): number {
  const inverse = 1 / scale;
  let error = 0;
  for (let i = start; i < end; i++) {
    const steps = (values[i] as number) * inverse;
    const q = steps + ROUNDER - ROUNDER;
    const rest = steps - (q > limit ? limit : q < -limit ? -limit : q);
    error += rest * rest;
  }
  return error * scale * scale;
}

/** Σ (w − scale · code)² of each channel, codes held within ±limit. */
export function squaredErrors(
  values: Float32Array,
  rows: number,
  cols: number,
  axis: 0 | 1,
  scales: Float32Array,
  limit: number,
): Float64Array {
  const errors = new Float64Array(scales.length);
  const inverse = Float64Array.from(scales, (s) => 1 / s);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      const channel = axis === 0 ? r : c;
      const steps = (values[i] as number) * (inverse[channel] as number);
      const q = steps + ROUNDER - ROUNDER;
      const rest = steps - (q > limit ? limit : q < -limit ? -limit : q);
      errors[channel] = (errors[channel] as number) + rest * rest;
    }
  }
  return errors.map((error, c) => error * (scales[c] as number) ** 2);
}

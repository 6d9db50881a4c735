// Weights in blocks along K, as com.microsoft.MatMulNBits packs them: few bits, a scale per block, the rest in float.
// https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
import { BLOCK_FRACTIONS } from "./defaults.js";
import type { BlockWeight } from "./plan.js";
import { ROUNDER } from "./round.js";

export interface PackedBlocks {
  /** [N, blocks, block · bits / 8], the first of two codes in the low bits. */
  readonly codes: Uint8Array;
  /** One per block, [N · blocks]; negative where the block's largest value is positive and codes are symmetric. */
  readonly scales: Float32Array;
  /** [N, ⌈blocks · bits / 8⌉], packed as codes are; absent where symmetric: 2^(bits − 1). */
  readonly zeroPoints?: Uint8Array;
}

export const BITS = { int4: 4, int8: 8 } as const;

export function blockCount(depth: number, block: number): number {
  return Math.ceil(depth / block);
}

/** Bytes of the zero points of one row. */
export function zeroPointBytes(depth: number, { dtype, block }: BlockWeight): number {
  return Math.ceil((blockCount(depth, block) * BITS[dtype]) / 8);
}

interface Grid {
  scale: number;
  zero: number;
}

/**
 * Rounds a row-major matrix [N, K] to the nearest codes, block by block along K; a last block that is not full is filled with zeros.
 * real = scale · (code − zero point). The first value that is NaN or infinite is reported through `onBad` with its position.
 */
export function packBlocks(
  values: Float32Array,
  columns: number,
  depth: number,
  spec: BlockWeight,
  onBad: (index: number) => never,
): PackedBlocks {
  const bits = BITS[spec.dtype];
  const { block } = spec;
  const blocks = blockCount(depth, block);
  const symmetric = spec.scheme === "symmetric";
  const scales = new Float32Array(columns * blocks);
  const rowBytes = zeroPointBytes(depth, spec);
  const zeroPoints = symmetric ? undefined : new Uint8Array(columns * rowBytes);
  const bytes = (block * bits) / 8;
  const codes = new Uint8Array(columns * blocks * bytes);
  const plain = new Uint8Array(block);
  for (let n = 0; n < columns; n++) {
    for (let b = 0; b < blocks; b++) {
      const start = n * depth + b * block;
      const end = Math.min(start + block, (n + 1) * depth);
      const { scale, zero } = gridOf(values, start, end, spec, onBad);
      scales[n * blocks + b] = scale;
      if (zeroPoints !== undefined) putCode(zeroPoints, n * rowBytes, b, bits, zero);
      encode(plain, values, start, end, 1 / scale, zero, 2 ** bits - 1);
      plain.fill(zero, end - start);
      const at = (n * blocks + b) * bytes;
      if (bits === 8) codes.set(plain, at);
      else
        for (let i = 0; i < bytes; i++)
          codes[at + i] = (plain[2 * i] as number) | ((plain[2 * i + 1] as number) << 4);
    }
  }
  return zeroPoints === undefined ? { codes, scales } : { codes, scales, zeroPoints };
}

function putCode(bytes: Uint8Array, row: number, index: number, bits: number, code: number): void {
  const at = row + Math.floor((index * bits) / 8);
  bytes[at] = (bytes[at] as number) | (code << ((index * bits) % 8));
}

/** Scale, a float32, and zero point of one block. */
function gridOf(
  values: Float32Array,
  start: number,
  end: number,
  { dtype, scheme, range }: BlockWeight,
  onBad: (index: number) => never,
): Grid {
  const top = 2 ** BITS[dtype] - 1;
  let low = 0;
  let high = 0;
  for (let i = start; i < end; i++) {
    const v = values[i] as number;
    // Also where it is NaN.
    if (!(Math.abs(v) < Infinity)) onBad(i);
    if (v < low) low = v;
    else if (v > high) high = v;
  }
  const whole = scheme === "symmetric" ? symmetricGrid(low, high, top) : spanned(low, high, top);
  if (range === "min-max") return whole;
  let best = whole;
  let least = squaredError(values, start, end, whole, top);
  for (const share of BLOCK_FRACTIONS) {
    const scale = Math.fround(whole.scale * share);
    if (!(Math.abs(scale) > TINY)) break;
    const tried = { scale, zero: whole.zero };
    const error = squaredError(values, start, end, tried, top);
    if (error < least) {
      least = error;
      best = tried;
    }
  }
  return best;
}

/** A subnormal scale would lose its inverse; such a block is zero for all purposes. */
const TINY = 1e-35;

/** The value furthest from 0 gets code 0, so that all codes are used: with a negative scale where it is positive. */
function symmetricGrid(low: number, high: number, top: number): Grid {
  const zero = (top + 1) / 2;
  const scale = Math.fround((high > -low ? high : low) / -zero);
  return Math.abs(scale) > TINY ? { scale, zero } : { scale: 1, zero };
}

function spanned(low: number, high: number, top: number): Grid {
  const scale = Math.fround((high - low) / top);
  return scale > TINY ? { scale, zero: round(-low / scale) } : { scale: 1, zero: 0 };
}

function round(x: number): number {
  return x + ROUNDER - ROUNDER;
}

function encode(
  codes: Uint8Array,
  values: Float32Array,
  start: number,
  end: number,
  by: number,
  zero: number,
  top: number,
): void {
  for (let i = start; i < end; i++) {
    const q = (values[i] as number) * by + ROUNDER - ROUNDER + zero;
    codes[i - start] = q < 0 ? 0 : q > top ? top : q;
  }
}

function squaredError(
  values: Float32Array,
  start: number,
  end: number,
  { scale, zero }: Grid,
  top: number,
): number {
  const by = 1 / scale;
  const [least, most] = [-zero, top - zero];
  let error = 0;
  for (let i = start; i < end; i++) {
    const steps = (values[i] as number) * by;
    const q = steps + ROUNDER - ROUNDER;
    const rest = steps - (q < least ? least : q > most ? most : q);
    error += rest * rest;
  }
  return error * scale * scale;
}

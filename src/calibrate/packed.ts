// Arrays of numbers as short text that is the same everywhere: little-endian bytes in base64, integers in as few bytes as the largest needs.
import { GRID_EXPONENT } from "./exact-sums.js";

/** Whole numbers, value = integer · 2^exponent, each in `bytes` bytes of two's complement. */
export interface PackedIntegers {
  readonly exponent: number;
  readonly bytes: number;
  readonly data: string;
}

/** Whole numbers ≥ 0, each in `bytes` bytes. */
export interface PackedCounts {
  readonly bytes: number;
  readonly data: string;
}

export function packFloats(values: Float32Array): string {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return toBase64(new Uint8Array(view.buffer));
}

/** Undefined where the bytes are no float32 numbers. */
export function unpackFloats(text: string): Float32Array | undefined {
  const bytes = fromBase64(text);
  if (bytes === undefined || bytes.length % 4 !== 0) return undefined;
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

export function packCounts(counts: Float64Array): PackedCounts {
  let bytes = 1;
  for (const count of counts) while (count >= 256 ** bytes) bytes++;
  const out = new Uint8Array(bytes * counts.length);
  counts.forEach((count, i) => {
    let rest = count;
    for (let b = 0; b < bytes; b++, rest = Math.floor(rest / 256)) out[i * bytes + b] = rest % 256;
  });
  return { bytes, data: toBase64(out) };
}

export function unpackCounts({ bytes, data }: PackedCounts): Float64Array | undefined {
  const packed = fromBase64(data);
  if (packed === undefined || packed.length % bytes !== 0) return undefined;
  return Float64Array.from({ length: packed.length / bytes }, (_, i) => {
    let count = 0;
    for (let b = bytes - 1; b >= 0; b--) count = count * 256 + (packed[i * bytes + b] as number);
    return count;
  });
}

/** Integers in units of 2^-298, as exact sums hold them. */
export function packIntegers(integers: readonly bigint[]): PackedIntegers {
  let bits = 0n;
  for (const n of integers) bits |= n;
  const shift = bits === 0n ? 0 : (bits & -bits).toString(2).length - 1;
  const rest = integers.map((n) => n >> BigInt(shift));
  let largest = 0n;
  for (const n of rest) largest |= n < 0n ? ~n : n;
  const bytes = largest === 0n ? 1 : Math.floor(largest.toString(2).length / 8) + 1;
  const out = new Uint8Array(bytes * rest.length);
  rest.forEach((n, i) => {
    let left = n;
    for (let b = 0; b < bytes; b++, left >>= 8n) out[i * bytes + b] = Number(left & 255n);
  });
  return { exponent: GRID_EXPONENT + shift, bytes, data: toBase64(out) };
}

export function unpackIntegers({ exponent, bytes, data }: PackedIntegers): bigint[] | undefined {
  const packed = fromBase64(data);
  if (packed === undefined || packed.length % bytes !== 0) return undefined;
  const shift = BigInt(exponent - GRID_EXPONENT);
  return Array.from({ length: packed.length / bytes }, (_, i) => {
    let n = 0n;
    for (let b = bytes - 1; b >= 0; b--) n = (n << 8n) | BigInt(packed[i * bytes + b] as number);
    return BigInt.asIntN(8 * bytes, n) << shift;
  });
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

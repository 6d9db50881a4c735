// How far two results are apart: signal-to-noise ratio of real numbers, agreement of whole ones.
import { decibels } from "../math/decibels.js";
import { float16ToFloat32 } from "../onnx/float.js";
import type { RuntimeTensor } from "../runtime/runtime.js";

export interface NoisePair {
  readonly reference: ArrayLike<number>;
  readonly candidate: ArrayLike<number>;
}

/**
 * 10 · log10(Σ reference² / Σ (reference − candidate)²) in dB over all pairs together, summed in float64. Infinity where nothing differs,
 * −Infinity where one has a NaN or an infinity that the other has not; where both have the same one, it does not count, nor does filler (−1e4, the
 * lowest number of the type), which would drown all else. NaN where nothing is left to compare.
 */
export function signalToNoise(...pairs: readonly NoisePair[]): number {
  const sums = noiseSums();
  for (const { reference, candidate } of pairs) sums.add(reference, candidate);
  return sums.snrDb();
}

/** The same of two tensors that come in parts, with the cosine between them. */
export interface NoiseSums {
  /** Elements that were compared: filler, and what is the same infinity or NaN on both sides, is not. */
  compared(): number;
  /** Elements of the same places; where `rows` is given, only of rows that have a 1 (so many equal parts has the tensor). */
  add(reference: ArrayLike<number>, candidate: ArrayLike<number>, rows?: Uint8Array): void;
  /** As `signalToNoise`. */
  snrDb(): number;
  /** Cosine of the two as one vector each, −1…1; 1 where both are zero, 0 where one is, NaN where elements are not finite. */
  cosine(): number;
}

/** No output of a head is as large; what models write where nothing counts is. */
const LEAST_FILLER = 1e3;
/** How much larger than all else filler is. */
const ABOVE_ALL_ELSE = 100;

/** The one value far above all others that both have in the same places; undefined where there is none. */
function fillerOf(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  from: number,
  to: number,
): number | undefined {
  let largest = 0;
  for (let i = from; i < to; i++) {
    const r = a[i] as number;
    if (Number.isFinite(r) && Math.abs(r) > Math.abs(largest)) largest = r;
  }
  const size = Math.abs(largest);
  if (size < LEAST_FILLER) return undefined;
  for (let i = from; i < to; i++) {
    const r = a[i] as number;
    if (r === largest ? b[i] !== largest : Math.abs(r) * ABOVE_ALL_ELSE > size) return undefined;
  }
  return largest;
}

export function noiseSums(): NoiseSums {
  let [signal, noise, other, both, count] = [0, 0, 0, 0, 0];
  const addRange = (a: ArrayLike<number>, b: ArrayLike<number>, from: number, to: number) => {
    const filler = fillerOf(a, b, from, to);
    for (let i = from; i < to; i++) {
      const r = a[i] as number;
      const c = b[i] as number;
      if (r === filler && c === filler) continue;
      if (r === c && !Number.isFinite(r)) continue;
      if (Number.isNaN(r) && Number.isNaN(c)) continue;
      signal += r * r;
      noise += (r - c) ** 2;
      other += c * c;
      both += r * c;
      count++;
    }
  };
  return {
    compared: () => count,
    add(reference, candidate, rows) {
      if (rows === undefined) return addRange(reference, candidate, 0, reference.length);
      const size = reference.length / rows.length;
      for (const [row, counts] of rows.entries())
        if (counts === 1) addRange(reference, candidate, row * size, (row + 1) * size);
    },
    snrDb: () => (count === 0 ? NaN : decibels(signal, noise)),
    cosine() {
      if (count === 0) return NaN;
      if (signal === 0 && other === 0) return 1;
      if (signal === 0 || other === 0) return 0;
      return Math.max(-1, Math.min(1, both / Math.sqrt(signal) / Math.sqrt(other)));
    },
  };
}

/** Share of elements that are equal, 0…1; NaN of none. */
export function agreementOf(reference: RuntimeTensor, candidate: RuntimeTensor): number {
  const { data } = reference;
  if (data.length !== candidate.data.length) return 0;
  let equal = 0;
  for (let i = 0; i < data.length; i++) if (data[i] === candidate.data[i]) equal++;
  return equal / data.length;
}

/** The elements of a tensor of real numbers; undefined for whole numbers and truth values. */
export function realsOf({ dtype, data }: RuntimeTensor): ArrayLike<number> | undefined {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return dtype === "float16" && data instanceof Uint16Array ? float16ToFloat32(data) : undefined;
}

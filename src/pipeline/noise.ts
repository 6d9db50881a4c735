// How far two results are apart: signal-to-noise ratio of real numbers, agreement of whole ones.
import { float16ToFloat32 } from "../onnx/float.js";
import type { RuntimeTensor } from "../runtime/runtime.js";

export interface NoisePair {
  readonly reference: ArrayLike<number>;
  readonly candidate: ArrayLike<number>;
}

/**
 * 10 · log10(Σ reference² / Σ (reference − candidate)²) in dB over all pairs together, summed in float64. Infinity where nothing differs,
 * −Infinity where one has a NaN or an infinity that the other has not; where both have the same one, it does not count.
 */
export function signalToNoise(...pairs: readonly NoisePair[]): number {
  let signal = 0;
  let noise = 0;
  for (const { reference, candidate } of pairs)
    for (let i = 0; i < reference.length; i++) {
      const r = reference[i] as number;
      const c = candidate[i] as number;
      if (Object.is(r, c) && !Number.isFinite(r)) continue;
      signal += r * r;
      noise += (r - c) ** 2;
    }
  if (Number.isNaN(noise) || noise === Infinity) return -Infinity;
  return noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
}

/** Share of elements that are equal, 0…1; 1 of none. */
export function agreementOf(reference: RuntimeTensor, candidate: RuntimeTensor): number {
  const { data } = reference;
  if (data.length === 0) return 1;
  let equal = 0;
  for (let i = 0; i < data.length; i++) if (data[i] === candidate.data[i]) equal++;
  return equal / data.length;
}

/** The elements of a tensor of real numbers; undefined for whole numbers and truth values. */
export function realsOf({ dtype, data }: RuntimeTensor): ArrayLike<number> | undefined {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return dtype === "float16" && data instanceof Uint16Array ? float16ToFloat32(data) : undefined;
}

// Scale and zero point of an 8-bit activation: real = scale · (q − zero point), as QuantizeLinear computes it.
import { roundHalfEven } from "./round.js";
import type { ActivationSpec, Range } from "./plan.js";

export interface Affine {
  /** A float32. */
  readonly scale: number;
  readonly zeroPoint: number;
}

const CODES = 255;

/**
 * UINT8 over a range that includes 0, which has a code of its own (so that padding and zeros stay exact). The scale is rounded up to a float32,
 * so that both ends are representable.
 */
export function asymmetric({ min, max }: Range): Affine {
  const scale = Math.fround((max - min) / CODES);
  // A range too narrow for a float32 is nothing but zeros.
  if (!(scale > 1e-35)) return { scale: 1, zeroPoint: 0 };
  const zeroPoint = Math.min(CODES, Math.max(0, roundHalfEven(-min / scale)));
  return { scale, zeroPoint };
}

/** INT8 −127…127 around 0, a range's larger end at 127. */
function symmetric({ min, max }: Range): Affine {
  const scale = Math.fround(Math.max(-min, max) / 127);
  return { scale: scale > 1e-35 ? scale : 1, zeroPoint: 0 };
}

/** What a plan's spec comes to. Throws for ranges found at run time, which have no numbers yet. */
export function affineOf({ dtype, symmetric: even, range }: ActivationSpec): Affine {
  if (range === "dynamic") throw new Error("internal: a range found at run time has no scale yet");
  if (dtype === "int8") {
    if (even === true) return symmetric(range);
    const { scale, zeroPoint } = asymmetric(range);
    return { scale, zeroPoint: zeroPoint - 128 };
  }
  return asymmetric(even === true ? { min: 0, max: range.max } : range);
}

/**
 * The range of what codes of that scale leave of a value: half a step to each side, and half of that again for values a little beyond the range.
 */
export function restOf({ scale }: Affine): Range {
  return { min: -0.75 * scale, max: 0.75 * scale };
}

// Scale and zero point of an 8-bit activation: real = scale · (q − zero point), as QuantizeLinear computes it.
import type { Range } from "./plan.js";

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

function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

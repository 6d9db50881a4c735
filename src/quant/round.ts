// Rounding half to even, as QuantizeLinear does.

/** Adding and subtracting 1.5 · 2^52 rounds a double of up to 2^51 to the nearest integer, ties to even. */
export const ROUNDER = 6755399441055744;

export function roundHalfEven(value: number): number {
  return value + ROUNDER - ROUNDER;
}

// Signal-to-noise ratios of sums of squares.

/** 10 · log10(signal / noise) in dB: Infinity where there is no noise, −Infinity where a sum is not finite or no number. */
export function decibels(signal: number, noise: number): number {
  if (!Number.isFinite(signal) || !Number.isFinite(noise)) return -Infinity;
  return noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
}

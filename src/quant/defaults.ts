// The tuned numbers of weights in 8 and fewer bits: what each bounds, its unit, and what it rests on.

/**
 * Where max |w| of a channel may fall when its scale is refined: lowest, in codes beyond the largest. Chosen on the toy models of the zoo, so that each
 * stays within 28 dB; not measured by itself.
 */
export const LOWEST_REFINED = -4;

/** Highest, in codes beyond the largest: well below half a code, so that max |w| rounds to the largest code. Not measured. */
export const HIGHEST_REFINED = 0.4;

/** Elements looked at per channel when its scale is refined. Measured on narrow models, where more gave no more; wide channels have nothing to gain. */
export const REFINED_ELEMENTS = 256;

/** Elements of all rows of a table that are looked at. Measured as a tenth of a second. */
export const MOST_TRIED = 2 ** 24;

/**
 * Largest code up to which scales leave the least squared error by default instead of none clipped: 15 is that of 5 bits. Measured twice, and not of one mind: on bert-sst2, smoothed and
 * rounded on data, 3 dB closer with 4 bits, 1 dB with 5, nothing with 6; on seven models without data 0.4 dB further with 4 bits, 0.7 dB closer with 5
 * (docs/BENCHMARKS.md, "Defaults, varied").
 */
export const COARSE = 15;

/** Fractions of a channel's whole range that are tried where its scale is to leave the least squared error. Measured with COARSE; other fractions were not. */
export const CHANNEL_FRACTIONS = [0.9, 0.75, 0.6] as const;

/**
 * The same of a block of few weights. Measured on seven models: 4 bits in blocks were 2.4 dB further to 1.1 dB closer, 0.3 dB further on average, 8 bits within 0.1 dB
 * (docs/BENCHMARKS.md, "Weights alone"): so min-max is the default of blocks.
 */
export const BLOCK_FRACTIONS = [0.96, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7] as const;

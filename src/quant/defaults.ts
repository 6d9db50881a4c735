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
 * Fractions of a channel's whole range that are tried where its scale is to leave the least squared error. With them 4 bits came 3 dB closer, 5 bits 1 dB, 6 bits not at all
 * (bert-sst2 alone, whose accuracy fell by 0.4 points meanwhile), so up to 5 bits take them by default. Other fractions were not measured.
 */
export const CHANNEL_FRACTIONS = [0.9, 0.75, 0.6] as const;

/**
 * The same of a block of few weights. Measured on seven models: 4 bits in blocks were 2.4 dB further to 1.1 dB closer, 0.3 dB further on average, 8 bits within 0.1 dB
 * (docs/BENCHMARKS.md, "Weights alone"): so min-max is the default of blocks.
 */
export const BLOCK_FRACTIONS = [0.96, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7] as const;

// The tuned numbers of second terms: what each bounds, its unit, and what it rests on.

/** Fraction of the noise of all activations, each by itself in 8 bits, below which one gets no second term. Not measured: a hundredth is 0.04 dB of the whole. */
export const WORTHWHILE = 0.01;

/**
 * Rows that each activation is measured on by itself: enough to put them in order, where the loudest of bert-sst2 stand 3 dB and more below all others (40.0, 42.1 and 43.6 dB
 * against 45). Other counts were not measured.
 */
export const ROWS = 64;

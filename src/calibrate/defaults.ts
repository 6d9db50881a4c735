// The tuned numbers of calibration: what each bounds, its unit, and what it rests on.

/**
 * Bytes that the values of all observers of a batch may take, which the runtime holds at once. Measured with it, calibrating BERT-base took 403 MB beside the model, of which float inference
 * alone has 210 (docs/BENCHMARKS.md, "What calibrating costs").
 */
export const HELD_BYTES = 64e6;

/** Tokens of a batch at most. Not measured. */
export const MOST_TOKENS = 1024;

/** Tokens that stand for a length which the graph leaves open. Not measured. */
export const LENGTH = 128;

/** Rows that the check of a quantized model runs. Not measured. */
export const CHECK_ROWS = 16;

/**
 * Rows that are drawn of all data for what needs rows, where statistics are of all of it. On bert-sst2 2,048 rows gave ranges no better than 512 (31.5 and 31.8 dB);
 * for rounding not measured.
 */
export const DRAWN_OF_ALL = 2048;

/** Fraction of the time that writing checkpoints may take. Not measured: it is what it bounds. */
export const WRITING = 0.05;

/**
 * Fraction of an operand's values beyond its range from which on a site is a warning. Not measured as such: it is what the percentile 99.9 cuts on the rows that it is
 * chosen by, which loses 2 to 22 dB (docs/BENCHMARKS.md, "Range estimators").
 */
export const MUCH_CLIPPED = 0.001;

/** Rounds of searching one end of a range and then the other by entropy. The ends seldom move after the second; not measured otherwise. */
export const ENTROPY_ROUNDS = 4;

/**
 * Percent of the values that the percentile estimator keeps unless told otherwise. Measured without smoothing on seven models: 99.99 is 3.8 dB worse to 1.4 dB better than min-max, 99.9 far
 * worse (docs/BENCHMARKS.md, "Range estimators"); published for RoBERTa on MNLI: 99.99 85.55, 99.999 85.48, 99.9 81.29 of 86.64.
 */
export const PERCENTILE = 99.99;

/**
 * Weight of a new unit in the moving average of ranges. Its usual value; with it, without smoothing, 0.2 dB worse to 1.8 dB better than min-max on seven models (docs/BENCHMARKS.md, "Range
 * estimators"). Other values were not measured.
 */
export const MOVING = 0.01;

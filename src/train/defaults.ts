// The tuned numbers of training: what each bounds, its unit, and what it rests on. Those that users set are in src/options.

/** Decay of AdamW's two moments. Not measured: the usual values (Loshchilov and Hutter, arXiv:1711.05101). */
export const BETAS = [0.9, 0.999] as const;

/** What AdamW adds to the root of the second moment, in the unit of a gradient. Not measured: the usual value. */
export const EPSILON = 1e-8;

/** Rows of a run of the scored model. Not measured: chosen as the default of evaluation. */
export const SCORED_TOGETHER = 32;

/** Points of a loss curve in the report at most; a longer one is shown by means. Not measured. */
export const POINTS = 400;

/** Batches whose rows are sorted by length together: little padding, and other batches in each epoch. Not measured. */
export const SORTED_TOGETHER = 50;

/** Tokens that lengths of batches are multiples of: fewer different ones, for which the runtime keeps memory. Not measured. */
export const LENGTH_STEP = 8;

/** Elements from which on equal matrices are taken for copies of one: smaller ones may be alike by chance. Not measured. */
export const LEAST_COPIED = 64;

// The tuned numbers of rounding on data: what each bounds, its unit, and what it rests on.

/**
 * Fraction of the mean variance of a layer's inputs that is added to each variance. GPTQ's own (Frantar et al., arXiv:2210.17323); with it rounding was measured on seven models,
 * 0.7 to 3 dB in the whole network. Other values were not measured.
 */
export const DAMPING = 0.01;

/** Channels that are rounded between two products. A matter of time alone; not measured. */
export const ROUNDED_TOGETHER = 32;

/** Columns of a Cholesky factor that are made at once. A matter of time alone; not measured. */
export const FACTORED_TOGETHER = 64;

/** Bytes of Gram matrices that are held at once; one group's may be more. Not measured. */
export const MOST_BYTES = 160 * 2 ** 20;

/** Tokens that Gram matrices are taken of: twenty of each channel of a wide layer. More changed nothing that could be measured. */
export const MOST_TOKENS = 2 ** 16;

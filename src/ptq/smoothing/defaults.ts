// The tuned numbers of smoothing: what each bounds, its unit, and what it rests on.

/**
 * p of the p-norms that stand for maxima in the noise model, so that they have a slope everywhere. With 24 the model of the noise was measured on seven models
 * (27 to 39 dB together with rounding on data); other values were not. The powers of weights
 * in scales.ts are products of that many.
 */
export const P = 24;

/** Steps of Adam on the logarithms of the scales. The noise model was measured with 200 (seven models); 80 at a falling rate take two fifths of the time. */
export const STEPS = 80;

/** Rate of the first step, in natural logarithms of a scale; it falls to 0 linearly. Not measured. */
export const RATE = 0.05;

/** What Adam's mean of the slopes keeps in a step, and takes of the new one. Not measured: its usual values. */
export const MEAN = { kept: 0.9, taken: 0.1 } as const;

/** The same of squared slopes. Not measured: forgets sooner than the usual 0.999, for so few steps. */
export const SQUARE = { kept: 0.99, taken: 0.01 } as const;

/**
 * SmoothQuant's exponents that are tried as a start (Xiao et al., arXiv:2211.10438). Measured on seven models: optima lie at 0.8 to 1, a fixed 0.5 harms two of them; none of 0,
 * which moves nothing into the weights.
 */
export const ALPHAS = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;

/** Smallest scale of a channel where their geometric mean is 1. Not measured: scales beyond would only serve channels that hardly exist. */
export const SMALLEST = 1 / 256;

/** Largest scale of a channel, likewise not measured. */
export const LARGEST = 256;

/** Expected noise after smoothing, as a fraction of that before, above which nothing is smoothed: two hundredths of a dB are not worth another operator. Not measured. */
export const WORTHWHILE = 0.995;

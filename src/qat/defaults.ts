// The tuned numbers of quantization-aware training: what each bounds, its unit, and what it rests on. Those that users set are in src/options.

/** Evaluations of a run, the one before training and the one after the last step included. Not measured: chosen as one per tenth of the steps. */
export const EVALUATIONS = 11;

/** Fraction of the steps in which the learning rate rises. Not measured: chosen shorter than BERT's 10 %. */
export const WARMUP = 0.05;

/** Largest L2 length of all gradients of a step together; longer ones are shortened to it. Not measured: chosen as BERT's own. */
export const CLIP = 1;

/** Records that the noise before training is measured on, which the learning rate follows. Not measured: chosen as seconds of inference. */
export const NOISE_ROWS = 128;

/**
 * Signal-to-noise ratio before training, dB, up to which weights learn at HIGHEST_RATE; beyond it the rate falls as the power of the noise does. Measured on few
 * models: bert-sst2 and roberta-sst2 for tensorrt start at 5 dB and gain 17 dB at the highest rate; with 8 bits for cpu six models start at 36 dB and
 * more, where faster rates led away from the float model (docs/BENCHMARKS.md, "Training with quantizers").
 */
export const LOUD_DB = 14;

/** Highest learning rate of weights, per step of AdamW. Measured on bert-sst2 and roberta-sst2 alone, 200 to 600 steps (docs/BENCHMARKS.md). */
export const HIGHEST_RATE = 6e-5;

/** Lowest learning rate of weights. Not measured: keeps training from standing still. */
export const LOWEST_RATE = 2e-7;

/**
 * Exponent of the learning-rate multiplier of weights of few bits, (127 / largest code)^PACE: 1 is as fast as their steps are wide, at which weights wander, 0 the
 * rate of 8 bits, at which coarse codes hardly ever change. Measured on bert-sst2 alone with 4 bits: 21.9 dB in 600 steps, with weights
 * twice as fast 20.6 dB in 500 (docs/BENCHMARKS.md, "Training with quantizers").
 */
export const PACE = 0.75;

/**
 * How far from its code a weight may start, in steps of its scale; 0.5 is as far as what rounds to the code, where the first updates would undo codes that
 * were chosen. Measured on bert-sst2 alone, 200 steps: weights that start amid their codes came 0.8 dB closer (docs/BENCHMARKS.md).
 */
export const CELL = 0.25;

/** Smallest scale in training, as a fraction of what it was at the start. Not measured: keeps scales positive. */
export const LEAST_RATIO = 1 / 64;

/**
 * Fraction of the distance (divergence) from the float model that distillation must take away to be accepted, about a decibel. Measured on six models with 8 bits
 * for cpu, 100 steps: where training finds nothing, the distance on a few hundred records went up and down by a tenth, never down by a fifth
 * (docs/BENCHMARKS.md, "Training with quantizers").
 */
export const LEAST_GAIN = 0.2;

/** What closeness may add to a metric, in the metric's unit: it decides between equal ones, and is nothing beside one record of a million. Not measured. */
export const TIE = 1e-6;

/** Fraction of the records that is held out of training where nobody gives others to choose by. Not measured: chosen as is usual. */
export const HELD_OUT = 0.1;

/** Records held out at most: evaluating them stays a small part of a run. Not measured: chosen so that one record is a tenth of a point. */
export const MOST_HELD_OUT = 1000;

/** Records held out at least: fewer are refused. Not measured. */
export const LEAST_HELD_OUT = 8;

/** Rows of a run of the scored model. Not measured: chosen as the default of evaluation. */
export const SCORED_TOGETHER = 32;

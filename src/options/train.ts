// Options of train.
import * as v from "valibot";
import { SCHEDULES, type Schedule } from "../train/schedule.js";
import { checkOptions } from "./check.js";
import { TRAIN_DEFAULTS as DEFAULTS } from "./defaults.js";
import {
  callback,
  calls,
  counts,
  evaluation,
  fromZero,
  path,
  paths,
  patterns,
  positive,
  samples,
  schemaOf,
  share,
  whole,
} from "./fields.js";
import type { EvaluationOptions } from "./groups.js";

export interface TrainOptions extends EvaluationOptions {
  /** Where to write: an .onnx file, or a folder that gets the configuration and tokenizer, too. Left out: beside the model. */
  readonly output?: string | undefined;
  /**
   * Overwrite an existing output.
   * @default false
   */
  readonly force?: boolean | undefined;
  /** Files or folders of labelled data that is evaluated along the way; the best weights are chosen by it. */
  readonly evaluate?: string | readonly string[] | undefined;
  /** Updates between two evaluations. Left out: an epoch. */
  readonly evaluateEvery?: number | undefined;
  /** Evaluations without a better score after which training stops. Left out: it goes on to the end. */
  readonly patience?: number | undefined;
  /** A model's file or folder that is learned from instead of labels (distillation, arXiv 1503.02531). */
  readonly teacher?: string | undefined;
  /**
   * Temperature of the teacher's probabilities: more makes them softer.
   * @default 2
   */
  readonly temperature?: number | undefined;
  /**
   * How often the data is gone through; may be a part.
   * @default 1
   */
  readonly epochs?: number | undefined;
  /** Updates to make, instead of `epochs`. */
  readonly trainSteps?: number | undefined;
  /**
   * Highest learning rate.
   * @default 0.00002
   */
  readonly rate?: number | undefined;
  /**
   * How the learning rate falls after its rise: `"linear"`, `"cosine"` or `"constant"`.
   * @default "linear"
   */
  readonly schedule?: Schedule | undefined;
  /**
   * Share of the updates, 0 … 1, in which the learning rate rises.
   * @default 0.06
   */
  readonly warmup?: number | undefined;
  /**
   * How weights are updated: `"adamw"` (arXiv 1711.05101) or `"sgd"`.
   * @default "adamw"
   */
  readonly optimizer?: "adamw" | "sgd" | undefined;
  /**
   * Pull of weights and tables to 0, as a share of the learning rate; biases and norms are left alone.
   * @default 0.01
   */
  readonly weightDecay?: number | undefined;
  /**
   * Momentum of SGD, 0 … 1.
   * @default 0.9
   */
  readonly momentum?: number | undefined;
  /**
   * Length of all gradients together at most (arXiv 1211.5063); 0: any.
   * @default 1
   */
  readonly clip?: number | undefined;
  /**
   * Batches per update: gradients of as many are added.
   * @default 1
   */
  readonly accumulate?: number | undefined;
  /**
   * Scores of the data are divided by it, to be as the model gives them.
   * @default 1
   */
  readonly labelScale?: number | undefined;
  /** Names of weights, or of nodes that read them, to leave as they are; `*` is any text. Left out: none. */
  readonly freeze?: readonly string[] | undefined;
  /** Threads of the runtime. Left out: all cores. */
  readonly threads?: number | undefined;
  /**
   * Activations inside of blocks are computed once more on the way back: less memory, more time (arXiv 1604.06174).
   * @default false
   */
  readonly recompute?: boolean | undefined;
  /**
   * Seconds between two checkpoints, from which the same call goes on where it was cut off; 0: after each step.
   * @default 60
   */
  readonly checkpointEvery?: number | undefined;
  /** Called with a checkpoint's path each time it is written. */
  readonly onCheckpoint?: ((path: string) => void) | undefined;
  /** Where to write the report: a page where it ends in .html, the data where it ends in .json. */
  readonly report?: string | undefined;
}

const schema = schemaOf<TrainOptions>()({
  ...evaluation,
  ...calls,
  data: paths,
  samples: v.optional(samples, DEFAULTS.samples),
  batchSize: v.optional(counts, DEFAULTS.batchSize),
  seed: v.optional(whole, DEFAULTS.seed),
  output: v.optional(path),
  force: v.optional(v.boolean(), DEFAULTS.force),
  evaluate: v.optional(paths),
  evaluateEvery: v.optional(counts),
  patience: v.optional(counts),
  teacher: v.optional(path),
  temperature: v.optional(positive, DEFAULTS.temperature),
  epochs: v.optional(positive, DEFAULTS.epochs),
  trainSteps: v.optional(counts),
  rate: v.optional(positive, DEFAULTS.rate),
  schedule: v.optional(v.picklist(SCHEDULES), DEFAULTS.schedule),
  warmup: v.optional(share, DEFAULTS.warmup),
  optimizer: v.optional(v.picklist(["adamw", "sgd"]), DEFAULTS.optimizer),
  weightDecay: v.optional(fromZero, DEFAULTS.weightDecay),
  momentum: v.optional(share, DEFAULTS.momentum),
  clip: v.optional(fromZero, DEFAULTS.clip),
  accumulate: v.optional(counts, DEFAULTS.accumulate),
  labelScale: v.optional(positive, DEFAULTS.labelScale),
  freeze: v.optional(patterns, []),
  threads: v.optional(counts),
  recompute: v.optional(v.boolean(), DEFAULTS.recompute),
  checkpointEvery: v.optional(fromZero, DEFAULTS.checkpointEvery),
  onCheckpoint: callback<(path: string) => void>(),
  report: v.optional(path),
});

export type TrainSettings = v.InferOutput<typeof schema>;

/** Options with their defaults. Throws OptionError. */
export function trainSettings(options: TrainOptions): TrainSettings {
  return checkOptions(schema, options);
}

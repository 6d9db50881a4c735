// Options of quantize, one interface a mode.
import * as v from "valibot";
import { ESTIMATORS, estimatorOf } from "../calibrate/estimator-names.js";
import { OptionError } from "../errors.js";
import { QAT_LOSSES, type QatLoss } from "../qat/data.js";
import { MODES } from "../quant/plan.js";
import { checkOptions } from "./check.js";
import { QUANTIZE_DEFAULTS as DEFAULTS } from "./defaults.js";
import {
  callback,
  calls,
  columns,
  counts,
  fromZero,
  labels,
  operands,
  path,
  paths,
  patterns,
  positive,
  samples,
  schemaOf,
  share,
  target,
  weights,
  whole,
  type Every,
} from "./fields.js";
import type {
  CallOptions,
  DataOptions,
  LabelOptions,
  OperandOptions,
  SiteOptions,
  WritingOptions,
} from "./groups.js";
import { requireTaken, type Taken } from "./taken.js";

/** Options that every mode takes. */
export interface CommonQuantizeOptions
  extends SiteOptions, DataOptions, LabelOptions, WritingOptions, CallOptions {
  /** A file with the plan to use instead of the default one; `writePlan` writes such a file. */
  readonly plan?: string | undefined;
  /** Where to write the plan, as JSON that a person can read, edit and pass back as `plan`. */
  readonly writePlan?: string | undefined;
  /** A file of statistics that calibrate wrote, in place of ranges from `data`. */
  readonly stats?: string | undefined;
  /**
   * Size is moved from activations into the weights that read them, per channel, where that makes less noise (after SmoothQuant, arXiv
   * 2211.10438). Needs `data` or `stats`.
   * @default true
   */
  readonly smooth?: boolean | undefined;
  /**
   * Weights are rounded so that their errors cancel on the Gram matrix of their inputs (GPTQ, arXiv 2210.17323), not each to the nearest. Needs
   * `data`.
   * @default true
   */
  readonly round?: boolean | undefined;
  /** Files or folders of labelled data that both models are scored on afterwards; in mode qat training is judged by it, too. */
  readonly evaluate?: string | readonly string[] | undefined;
  /** Where to write the report: a page where it ends in .html, the data where it ends in .json. */
  readonly report?: string | undefined;
}

/** Ranges of activations are found at run time. Data is not needed; with it activations are smoothed and weights rounded, 2 … 6 dB closer. */
export interface DynamicOptions extends CommonQuantizeOptions, AblationOptions {
  /**
   * How ranges of activations are found: `"dynamic"`, at run time; `"static"`, beforehand on data; `"qat"`, beforehand, and then trained with.
   * @default "dynamic"
   */
  readonly mode?: "dynamic" | undefined;
}

/** Ranges of activations are found beforehand, on `data` or from `stats`. */
export interface StaticOptions extends CommonQuantizeOptions, AblationOptions, CalibrationOptions {
  /** Ranges of activations are found beforehand (post-training quantization). */
  readonly mode: "static";
}

/** As static, and then trained with the quantizers in place. The best of all evaluations counts, the one before training included. */
export interface QatOptions extends CommonQuantizeOptions, CalibrationOptions, TrainingOptions {
  /** Ranges are found beforehand, then the model is trained with its quantizers (quantization-aware training). */
  readonly mode: "qat";
  /** Files or folders to calibrate with and to train on, with labels or without. */
  readonly data: string | readonly string[];
}

/** Options of quantize, by its mode; dynamic where that is left out. */
export type QuantizeOptions = DynamicOptions | StaticOptions | QatOptions;

/** What each step gave. */
export interface AblationOptions {
  /**
   * The model is quantized again without each step that did something, and the report tells the signal-to-noise ratio without it, dB. Takes as
   * many runs as there are steps.
   * @default false
   */
  readonly ablation?: boolean | undefined;
}

/** What is only decided where ranges are found beforehand. */
export interface CalibrationOptions extends OperandOptions {
  /**
   * How ranges are estimated: `"min-max"` (with a margin for values not seen), `"moving-average"`, `"percentile"` or `"percentile:99.9"`,
   * `"entropy"`, `"mse"`. All but min-max take activations as they are: nothing is smoothed then. Min-max is the closest by 6 dB and more
   * (docs/BENCHMARKS.md).
   * @default "min-max"
   */
  readonly range?: string | undefined;
  /**
   * The mean error that quantization leaves in each layer is put into its bias (arXiv 1906.04721).
   * @default true
   */
  readonly correct?: boolean | undefined;
  /**
   * `"high"`: the activations that cost most are written as two INT8 terms, nearly 16 bits, 5 … 10 dB closer (docs/BENCHMARKS.md). Needs `data`.
   * @default "default"
   */
  readonly accuracy?: "default" | "high" | undefined;
  /**
   * Share of all products' multiplications, 0 … 1, that second terms may add.
   * @default 0.2
   */
  readonly extraProducts?: number | undefined;
  /**
   * What is not quantized is written in FP16, for target tensorrt.
   * @default false
   */
  readonly fp16?: boolean | undefined;
}

/** Training with quantizers: a straight-through estimator for values, LSQ for scales (arXiv 1902.08153), AdamW with a cosine schedule. */
export interface TrainingOptions {
  /**
   * What is learned from: `"task"`, the labels; `"distill"`, what the float model says (arXiv 1503.02531); `"both"`. Left out: both where the data
   * has labels: by labels alone a model drifts away from what it knew.
   */
  readonly loss?: QatLoss | undefined;
  /**
   * Updates to make.
   * @default 600
   */
  readonly trainSteps?: number | undefined;
  /**
   * Rows of an update.
   * @default 32
   */
  readonly batchSize?: number | undefined;
  /** Highest learning rate of weights. Left out: by the noise at the start, 6e-5 at 14 dB and below, less by as much as there is less noise. */
  readonly rate?: number | undefined;
  /**
   * Learning-rate multiplier of scales and zero points, which learn as shares of themselves: 200 against 20 gave 7 dB in 200 steps of bert-sst2
   * (docs/BENCHMARKS.md).
   * @default 200
   */
  readonly scaleRateMultiplier?: number | undefined;
  /**
   * Temperature of the float model's probabilities: more makes them softer (arXiv 1503.02531).
   * @default 2
   */
  readonly temperature?: number | undefined;
  /**
   * Weight of the loss on hidden states beside that on outputs, where the float model teaches (after TinyBERT, arXiv 1909.10351); 0: none. 10 gave
   * 2.5 dB more than 1, and 0.5 dB more than 100, in 200 steps of bert-sst2 (docs/BENCHMARKS.md).
   * @default 10
   */
  readonly hiddenWeight?: number | undefined;
  /**
   * Scores of the data are divided by it, to be as the model gives them.
   * @default 1
   */
  readonly labelScale?: number | undefined;
  /** Updates between two evaluations. Left out: a tenth of all. */
  readonly evaluateEvery?: number | undefined;
  /** Evaluations without a better score after which training stops. Left out: it goes on to the end. */
  readonly patience?: number | undefined;
  /** Threads of the runtime while it trains. Left out: all cores. */
  readonly threads?: number | undefined;
  /**
   * Seconds between two checkpoints, from which the same call goes on where it was cut off.
   * @default 60
   */
  readonly checkpointEvery?: number | undefined;
  /** Called with a checkpoint's path each time it is written. */
  readonly onCheckpoint?: ((path: string) => void) | undefined;
}

const schema = schemaOf<Every<QuantizeOptions>>()({
  ...operands,
  ...weights,
  ...columns,
  ...labels,
  ...calls,
  mode: v.optional(v.picklist(MODES), DEFAULTS.mode),
  target: v.optional(target, DEFAULTS.target),
  reduceRange: v.optional(v.boolean(), DEFAULTS.reduceRange),
  embeddings: v.optional(v.boolean(), DEFAULTS.embeddings),
  outliers: v.optional(v.boolean(), DEFAULTS.outliers),
  include: v.optional(patterns),
  exclude: v.optional(patterns, []),
  plan: v.optional(path),
  writePlan: v.optional(path),
  data: v.optional(paths),
  samples: v.optional(samples, DEFAULTS.samples),
  maxLength: v.optional(counts),
  stats: v.optional(path),
  smooth: v.optional(v.boolean(), DEFAULTS.smooth),
  round: v.optional(v.boolean(), DEFAULTS.round),
  correct: v.optional(v.boolean(), DEFAULTS.correct),
  range: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => estimatorOf(text) !== undefined, ESTIMATORS),
    ),
    DEFAULTS.range,
  ),
  accuracy: v.optional(v.picklist(["default", "high"]), DEFAULTS.accuracy),
  extraProducts: v.optional(share, DEFAULTS.extraProducts),
  fp16: v.optional(v.boolean(), DEFAULTS.fp16),
  loss: v.optional(v.picklist(QAT_LOSSES)),
  trainSteps: v.optional(counts, DEFAULTS.trainSteps),
  batchSize: v.optional(counts, DEFAULTS.batchSize),
  rate: v.optional(positive),
  scaleRateMultiplier: v.optional(positive, DEFAULTS.scaleRateMultiplier),
  temperature: v.optional(positive, DEFAULTS.temperature),
  hiddenWeight: v.optional(fromZero, DEFAULTS.hiddenWeight),
  labelScale: v.optional(positive, DEFAULTS.labelScale),
  evaluateEvery: v.optional(counts),
  patience: v.optional(counts),
  threads: v.optional(counts),
  checkpointEvery: v.optional(fromZero, DEFAULTS.checkpointEvery),
  onCheckpoint: callback<(path: string) => void>(),
  output: v.optional(path),
  force: v.optional(v.boolean(), DEFAULTS.force),
  check: v.optional(v.boolean(), DEFAULTS.check),
  seed: v.optional(whole, DEFAULTS.seed),
  evaluate: v.optional(paths),
  ablation: v.optional(v.boolean(), DEFAULTS.ablation),
  report: v.optional(path),
});

/** Options of whatever mode, for code that hands them on. */
export type AnyQuantizeOptions = Every<QuantizeOptions>;
/** Options with their defaults. */
export type QuantizeSettings = v.InferOutput<typeof schema>;

/** Throws OptionError. */
export function quantizeSettings(options: AnyQuantizeOptions): QuantizeSettings {
  const settings = checkOptions(schema, options);
  requireTaken(options, settings, QUANTIZE_TAKEN);
  const { mode, data, stats, ablation, check } = settings;
  if (mode === "qat" && data === undefined)
    throw new OptionError(
      "data",
      `left out ${stats === undefined ? "" : "beside statistics "}in qat mode`,
      "a file of texts to train on, with labels or without ({data: train.tsv})",
    );
  if (ablation && !check)
    throw new OptionError("ablation", "measured without the check", "no {check: false}");
  return settings;
}

const CALIBRATED = ["static", "qat"] as const;
const TRAINED = ["qat"] as const;
const UNTRAINED = ["dynamic", "static"] as const;

/** The modes whose interface has an option, as the list that the table must have; never where all have it. */
type ModesOf<K extends PropertyKey> = K extends keyof DynamicOptions
  ? K extends keyof QatOptions
    ? never
    : typeof UNTRAINED
  : K extends keyof StaticOptions
    ? typeof CALIBRATED
    : typeof TRAINED;

type ByMode = {
  readonly [K in keyof AnyQuantizeOptions as ModesOf<K> extends never ? never : K]-?: ModesOf<K>;
};

const MODES_OF: ByMode = {
  attention: CALIBRATED,
  residual: CALIBRATED,
  range: CALIBRATED,
  correct: CALIBRATED,
  accuracy: CALIBRATED,
  extraProducts: CALIBRATED,
  fp16: CALIBRATED,
  loss: TRAINED,
  trainSteps: TRAINED,
  batchSize: TRAINED,
  rate: TRAINED,
  scaleRateMultiplier: TRAINED,
  temperature: TRAINED,
  hiddenWeight: TRAINED,
  labelScale: TRAINED,
  evaluateEvery: TRAINED,
  patience: TRAINED,
  threads: TRAINED,
  checkpointEvery: TRAINED,
  onCheckpoint: TRAINED,
  ablation: UNTRAINED,
};

/** What takes an option of quantize that not every mode, target and form of weights takes. */
export const QUANTIZE_TAKEN: Taken = { modes: MODES_OF, defaults: DEFAULTS };

// Options of the verbs, checked by schema: a wrong one is an error that names it and says what is allowed.
import * as v from "valibot";
import { ESTIMATORS, estimatorOf } from "../calibrate/estimator-names.js";
import { OptionError } from "../errors.js";
import { BLOCK_SIZES, MODES, WEIGHT_FORMS, WEIGHT_RANGES } from "../quant/plan.js";
import type { OnProgress } from "../report/progress.js";
import { TARGET_NAMES } from "../targets/all.js";
import { RUNTIME_NAMES } from "../runtime/runtime.js";
import { ATTENTION, RESIDUAL } from "../targets/target.js";
import { TASKS } from "../tasks/read.js";
import { QAT_LOSSES } from "../qat/data.js";
import { POOLINGS } from "../tasks/sentence-embedding.js";
import { SCHEDULES } from "../train/schedule.js";

const path = v.pipe(v.string(), v.minLength(1));
const patterns = v.array(v.pipe(v.string(), v.minLength(1)));
const seed = v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0);
const target = v.optional(v.picklist(TARGET_NAMES), "cpu");
const mode = v.optional(v.picklist(MODES), "dynamic");
const flag = (value: boolean) => v.optional(v.boolean(), value);
const calls = {
  onProgress: v.optional(
    v.custom<OnProgress>((f) => typeof f === "function", "Invalid type: Expected a function"),
  ),
  signal: v.optional(
    v.custom<AbortSignal>((s) => s instanceof AbortSignal, "Invalid type: Expected an AbortSignal"),
  ),
};

/** What is quantized beside layers and tables, where the target has such a form; default: the target's. */
const operands = {
  /** Products of two activations: none, those of probabilities with the values, all. */
  attention: v.optional(v.picklist(ATTENTION)),
  /** Operands of residual sums: none, what goes around the block, both. */
  residual: v.optional(v.picklist(RESIDUAL)),
};

const choice = {
  mode,
  target,
  ...operands,
  /** How weights of products are written: INT8 with 8-bit activations, or few bits with float activations. Default: as in the plan given, else int8. */
  weights: v.optional(v.picklist(WEIGHT_FORMS)),
  /** What scales of weights span: all values, or as many as leave the least squared error. */
  weightRange: v.optional(v.picklist(WEIGHT_RANGES)),
  /** Values that share a scale where weights are in blocks. */
  blockSize: v.optional(v.picklist(BLOCK_SIZES)),
  /** Codes of weights within ±64, for x86 CPUs without VNNI. */
  reduceRange: flag(false),
  /** Bits that codes of products' weights use, of the 8 that they are stored in. */
  weightBits: v.optional(v.pipe(v.number(), v.integer(), v.minValue(4), v.maxValue(8))),
  /** Store embedding tables in INT8. */
  embeddings: flag(true),
  /** Set outlier channels of feed-forward blocks apart, in float. */
  outliers: flag(true),
  /** Only sites of these names; `*` is any text. */
  include: v.optional(patterns),
  /** Sites of these names stay in float. */
  exclude: v.optional(patterns, []),
  /** A plan's file, used instead of the default plan. */
  plan: v.optional(path),
};

const calibration = {
  /** Files or folders of data (JSONL, CSV, TSV, Parquet, safetensors): for ranges in static mode, for smoothing and the check in both. */
  data: v.optional(v.union([path, v.array(path)])),
  /** Rows that are drawn from the data. */
  samples: v.optional(
    v.union([v.pipe(v.number(), v.safeInteger(), v.minValue(1)), v.literal("all")]),
    512,
  ),
  /** Tokens of a row at most. */
  maxLength: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  textColumn: v.optional(path),
  pairColumn: v.optional(path),
  tokensColumn: v.optional(path),
  /** Statistics of octavo calibrate, in place of data. */
  stats: v.optional(path),
  /** Move size from activations into weights where that makes less noise. */
  smooth: flag(true),
  /** Round weights against the covariance of their inputs. */
  round: flag(true),
  /** Put the mean error of each layer into its bias. */
  correct: flag(true),
  /**
   * How static ranges are found: "min-max" (with room for values not seen), "moving-average", "percentile" or "percentile:99.9", "entropy",
   * "mse". All but min-max work on activations as they are: nothing is smoothed then.
   */
  range: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => estimatorOf(text) !== undefined, ESTIMATORS),
    ),
    "min-max",
  ),
  /** "high": the activations that cost most are written as two INT8 tensors. */
  accuracy: v.optional(v.picklist(["default", "high"]), "default"),
  /** Share of all products' multiplications that this may add. */
  extraProducts: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0.2),
};

const training = {
  /** In mode qat, what is learned from: labels, what the float model says, or both. Default: both where the data has labels. */
  loss: v.optional(v.picklist(QAT_LOSSES)),
  /** Updates. */
  trainSteps: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1)), 600),
  /** Rows of an update. */
  batchSize: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1)), 32),
  /** Highest learning rate of weights; default: by the noise that there is at the start. */
  rate: v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0))),
  /** Multiple of it, for steps and zero points. */
  stepRate: v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0)), 200),
  /** Of the float model's probabilities. */
  temperature: v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0)), 2),
  /** Of the loss on hidden states beside that on outputs, where the float model teaches; 0: none. */
  hiddenShare: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 10),
  /** Scores of the data are divided by it, to be as the model gives them. */
  labelScale: v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0)), 1),
  /** Updates between two evaluations; default: a tenth of all. */
  evaluateEvery: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  /** Evaluations without a better score after which training stops. */
  patience: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  threads: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  /** Seconds between two checkpoints. */
  checkpointEvery: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 60),
  /** Called with a checkpoint's path each time it is written. */
  onCheckpoint: v.optional(
    v.custom<(path: string) => void>(
      (f) => typeof f === "function",
      "Invalid type: Expected a function",
    ),
  ),
};

const writing = {
  /** Where to write; default: beside the model, under the name that runtimes look for. */
  output: v.optional(path),
  /** Overwrite an existing output; never an input. */
  force: flag(false),
  /** Compare the result with the float model. */
  check: flag(true),
  /** Of the sample of data, and of the check's made-up inputs. */
  seed,
};

export const quantizeSchema = v.strictObject({
  ...choice,
  ...calibration,
  ...training,
  ...writing,
  ...calls,
  /** Labelled data that both models are scored on afterwards. */
  evaluate: v.optional(v.union([path, v.array(path)])),
  /** What the model does, for that; default: what its config.json tells. */
  task: v.optional(v.picklist(TASKS)),
  labelColumn: v.optional(path),
  answersColumn: v.optional(path),
  /** Where to write the plan. */
  writePlan: v.optional(path),
  /** Make the edition again without each step, too, and tell what it gave. */
  steps: flag(false),
  /** Where to write the report: a page where it ends in .html, the data where it ends in .json. */
  report: v.optional(path),
  /** What is not quantized is written in FP16. */
  fp16: flag(false),
});

export const inspectSchema = v.strictObject({
  ...choice,
  ...calls,
  /** Default: what the target takes. */
  mode: v.optional(v.picklist(MODES)),
});

const {
  smooth: _smooth,
  round: _round,
  correct: _correct,
  range: _range,
  accuracy: _accuracy,
  extraProducts: _extraProducts,
  stats: _stats,
  ...reading
} = calibration;
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const calibrateSchema = v.strictObject({
  ...reading,
  ...calls,
  target,
  mode: v.optional(v.literal("static"), "static"),
  ...operands,
  outliers: choice.outliers,
  seed,
  /** Where the statistics go. */
  output: path,
  force: flag(false),
  /** Seconds between two checkpoints; 0: after each batch. */
  checkpointEvery: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 10),
  /** The part of the batches that this process runs, counted from 0. */
  shard: v.optional(v.strictObject({ index: whole, count: v.pipe(whole, v.minValue(1)) })),
  /** Files of shards, put together instead of calibrating. */
  merge: v.optional(v.array(path)),
});

const counts = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

export const benchmarkSchema = v.strictObject({
  ...calls,
  /** batch × length, as "8x128"; default: 1x32, 1x128 and 8x128, as far as the models admit them. */
  shapes: v.optional(v.pipe(v.array(path), v.minLength(1))),
  /** Threads within an operator. */
  threads: v.optional(v.pipe(v.array(counts), v.minLength(1)), [1]),
  runtime: v.optional(v.picklist(RUNTIME_NAMES), "onnxruntime-node"),
  /** Rounds of a shape at most, and seconds after which no further one begins (three are made in any case). */
  rounds: v.optional(counts, 200),
  seconds: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 10),
  /** Run each model in a process of its own, too, for the memory that it takes. */
  memory: flag(true),
  seed,
});

export const reportSchema = v.strictObject({
  /** Where the page goes; default: report.html beside what it is made from. */
  output: v.optional(path),
  force: flag(false),
});

export const optimizeSchema = v.strictObject({ target, ...writing, ...calls });

/** Labelled data and how it is read. */
const evaluation = {
  /** Files or folders of labelled data (JSONL, CSV, TSV, Parquet). */
  data: v.union([path, v.array(path)]),
  /** Default: what the model's config.json tells. */
  task: v.optional(v.picklist(TASKS)),
  /** How vectors of tokens become one, for sentence embeddings; default: as 1_Pooling/config.json says. */
  pooling: v.optional(v.picklist(POOLINGS)),
  /** Rows that are drawn from the data. */
  samples: v.optional(
    v.union([v.pipe(v.number(), v.safeInteger(), v.minValue(1)), v.literal("all")]),
    "all",
  ),
  /** Rows of a run. */
  batchSize: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1)), 32),
  maxLength: calibration.maxLength,
  textColumn: v.optional(path),
  pairColumn: v.optional(path),
  tokensColumn: v.optional(path),
  labelColumn: v.optional(path),
  answersColumn: v.optional(path),
  /** Where config.json and tokenizer.json are, where not beside the model. */
  folder: v.optional(path),
  /** Of resamples, and of a draw from the data. */
  seed,
};

export const evaluateSchema = v.strictObject({ ...evaluation, ...calls });

export const compareSchema = v.strictObject({
  ...evaluation,
  ...calls,
  /** Default: made-up inputs. */
  data: v.optional(evaluation.data),
  /** Rows that sites are compared on; 0 leaves that out. */
  siteRows: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 64),
  /** What each site does by itself, quantized in the reference. */
  alone: flag(false),
  /** The plan for that; default: the target's own in dynamic mode. */
  plan: v.optional(path),
});

const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const factor = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

export const trainSchema = v.strictObject({
  ...evaluation,
  ...calls,
  /** Where to write: an .onnx file, or a folder that gets the configuration and tokenizer, too; default: beside the model. */
  output: v.optional(path),
  force: flag(false),
  /** Labelled data that is evaluated along the way, and that the best parameters are chosen by. */
  evaluate: v.optional(v.union([path, v.array(path)])),
  /** Updates between two evaluations; default: an epoch. */
  evaluateEvery: v.optional(counts),
  /** Evaluations without a better score after which training stops. */
  patience: v.optional(counts),
  /** By the labels, or by what a teacher (a model's file or folder) says of the same texts. */
  teacher: v.optional(path),
  /** Of the teacher's probabilities. */
  temperature: v.optional(positive, 2),
  /** How often the data is gone through; may be a part. */
  epochs: v.optional(positive, 1),
  /** Updates, instead of epochs. */
  steps: v.optional(counts),
  /** Highest learning rate. */
  rate: v.optional(positive, 2e-5),
  schedule: v.optional(v.picklist(SCHEDULES), "linear"),
  /** Share of the updates in which the rate rises. */
  warmup: v.optional(factor, 0.06),
  optimizer: v.optional(v.picklist(["adamw", "sgd"]), "adamw"),
  weightDecay: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 0.01),
  /** Of SGD. */
  momentum: v.optional(factor, 0.9),
  /** Length that gradients have at most, all together; 0: any. */
  clip: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 1),
  /** Batches per update. */
  accumulate: v.optional(counts, 1),
  /** Scores of the data are divided by it, to be as the model gives them. */
  labelScale: v.optional(positive, 1),
  /** Weights of these names, or read by nodes of these names, stay as they are; `*` is any text. */
  freeze: v.optional(patterns, []),
  threads: v.optional(counts),
  /** Compute activations inside of blocks once more on the way back: less memory, more time. */
  recompute: flag(false),
  /** Seconds between two checkpoints. */
  checkpointEvery: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 60),
  /** Called with the checkpoint's file each time it is written. */
  onCheckpoint: v.optional(
    v.custom<(path: string) => void>(
      (f) => typeof f === "function",
      "Invalid type: Expected a function",
    ),
  ),
  /** Where to write the report: a page where it ends in .html, the data where it ends in .json. */
  report: v.optional(path),
});

export type TrainOptions = v.InferInput<typeof trainSchema>;
export type EvaluateFileOptions = v.InferInput<typeof evaluateSchema>;
export type CompareOptions = v.InferInput<typeof compareSchema>;

export const exportTritonSchema = v.strictObject({
  ...calls,
  target,
  /** The model repository; the model becomes a folder in it. */
  output: path,
  /** The model's name on the server; default: that of its folder or file. */
  name: v.optional(v.pipe(v.string(), v.regex(/^\w[\w.-]*$/, "letters, digits, ., - and _"))),
  /** Requests that the server may put together at most; 0 for none. */
  maxBatch: v.optional(whole, 32),
  force: flag(false),
});

export type ExportTritonOptions = v.InferInput<typeof exportTritonSchema>;
export type QuantizeOptions = v.InferInput<typeof quantizeSchema>;
export type CalibrateOptions = v.InferInput<typeof calibrateSchema>;
export type InspectOptions = v.InferInput<typeof inspectSchema>;
export type BenchmarkOptions = v.InferInput<typeof benchmarkSchema>;
export type ReportOptions = v.InferInput<typeof reportSchema>;
export type OptimizeOptions = v.InferInput<typeof optimizeSchema>;

/** Options with their defaults. Throws OptionError. */
export function checkOptions<S extends v.GenericSchema>(
  schema: S,
  options: unknown,
): v.InferOutput<S> {
  const result = v.safeParse(schema, options);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const option = issue.path?.map((item) => String(item.key)).join(".") ?? "options";
  const unknown = issue.expected === "never";
  throw new OptionError(
    option,
    unknown ? "no such option" : issue.received,
    unknown ? undefined : (issue.expected ?? issue.message),
  );
}

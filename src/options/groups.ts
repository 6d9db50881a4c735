// Options that several verbs share, as documented groups.
import type { WeightForm, WeightRange } from "../quant/plan.js";
import type { OnProgress } from "../report/progress.js";
import type { TargetName } from "../targets/all.js";
import type { AttentionChoice, ResidualChoice } from "../targets/target.js";
import type { TaskName } from "../tasks/read.js";
import type { Pooling } from "../tasks/sentence-embedding.js";

/** How a long call tells of itself, and how it is ended. */
export interface CallOptions {
  /** Called as work goes on, with its step, and how much of it is done. */
  readonly onProgress?: OnProgress | undefined;
  /** Ends the call when it is aborted: the call then throws the signal's reason, and leaves nothing half-written. */
  readonly signal?: AbortSignal | undefined;
}

/** Which operands beside the inputs of layers become 8 bits. Not in mode dynamic. */
export interface OperandOptions {
  /**
   * Products of two activations in INT8: `"none"`, `"values"` (of attention probabilities with values) or `"all"`. Gains little speed on CPUs
   * and costs 2 dB there (docs/BENCHMARKS.md). For target tensorrt: `"none"` or `"all"`. Left out: `"none"`.
   */
  readonly attention?: AttentionChoice | undefined;
  /**
   * Operands of residual sums in INT8, for target tensorrt, which then fuses the sum into the product before it: `"none"`, `"skip"` (what goes
   * around the block) or `"both"`. Left out: `"skip"` there.
   */
  readonly residual?: ResidualChoice | undefined;
}

/** How weights are written. */
export interface WeightOptions {
  /**
   * `"int8"`: 8-bit weights and activations; `"int4"` and `"int8-only"`: weights in blocks, activations in float, in mode dynamic for targets cpu
   * and web. Left out: as in the plan given, else `"int8"`.
   */
  readonly weights?: WeightForm | undefined;
  /**
   * What the scale of a weight's channel or block spans: `"min-max"`, all values; `"mse"`, as many as leave the least squared error. Left out:
   * `"mse"` for INT8 weights of 4 and 5 bits, where it leaves 3 and 1 dB less error, else `"min-max"`.
   */
  readonly weightRange?: WeightRange | undefined;
  /**
   * Weights along K that share a scale, for `weights` int4 and int8-only: 16, 32, 64, 128 or 256. Left out: 32 for int4 (3 dB closer than 128 and
   * more), 128 for int8-only (as close as 32, and faster).
   */
  readonly blockSize?: 16 | 32 | 64 | 128 | 256 | undefined;
  /** Bits that the codes of INT8 weights use, 4 … 8, of the 8 in which they are stored; a scale per output channel. Left out: 8. */
  readonly weightBits?: number | undefined;
}

/** Which sites are quantized, and how. */
export interface SiteOptions extends WeightOptions {
  /**
   * Where the model will run: `"cpu"` (onnxruntime), `"web"` (onnxruntime-web, transformers.js), `"openvino"`, or `"tensorrt"` (Nvidia GPUs).
   * @default "cpu"
   */
  readonly target?: TargetName | undefined;
  /**
   * 7-bit codes of weights, within ±64, so that sums of two products cannot saturate at 16 bits: for x86 CPUs without VNNI.
   * @default false
   */
  readonly reduceRange?: boolean | undefined;
  /**
   * Embedding tables are stored in INT8, a scale per row, or per 32 values of a row. For tensorrt they always stay in float.
   * @default true
   */
  readonly embeddings?: boolean | undefined;
  /**
   * The few outlier channels that would hold a feed-forward block's whole range are split off and computed beside it in float (after LLM.int8(),
   * arXiv 2208.07339; here they are found by the weights alone).
   * @default true
   */
  readonly outliers?: boolean | undefined;
  /** Names of the only sites to quantize; `*` is any text. Left out: all that gain. */
  readonly include?: readonly string[] | undefined;
  /** Names of sites that stay in float; `*` is any text. Left out: none. */
  readonly exclude?: readonly string[] | undefined;
}

/** Columns that the data has under names of its own. Left out: the usual names are found (`sentence1`, `question`, `review`, …). */
export interface ColumnOptions {
  /** The column of the text. */
  readonly textColumn?: string | undefined;
  /** The column of the second text of a pair. */
  readonly pairColumn?: string | undefined;
  /** The column of words that are split already. */
  readonly tokensColumn?: string | undefined;
}

/** What the labels of data are. */
export interface LabelOptions {
  /** What the model does. Left out: as its config.json tells. */
  readonly task?: TaskName | undefined;
  /** The column of the label, or of the labels of words. Left out: `label`, `labels` and their like. */
  readonly labelColumn?: string | undefined;
  /** The column of the right answers, for question answering. Left out: `answers`. */
  readonly answersColumn?: string | undefined;
}

/** Data that a model is run on unlabelled. */
export interface DataOptions extends ColumnOptions {
  /** Files or folders of texts, words or ready feeds: JSONL, CSV, TSV, Parquet, safetensors. */
  readonly data?: string | readonly string[] | undefined;
  /**
   * Rows that are drawn from the data; `"all"` takes every row, with the memory of a few hundred.
   * @default 512
   */
  readonly samples?: number | "all" | undefined;
  /** Tokens of a row at most; the rest is cut off. Left out: as many as the model takes. */
  readonly maxLength?: number | undefined;
}

/** Labelled data, and how it is read. */
export interface EvaluationOptions extends ColumnOptions, LabelOptions, CallOptions {
  /** Files or folders of labelled data: JSONL, CSV, TSV, Parquet. */
  readonly data: string | readonly string[];
  /** How vectors of tokens become one, for sentence embeddings: `"mean"`, `"cls"` or `"max"`. Left out: as 1_Pooling/config.json tells. */
  readonly pooling?: Pooling | undefined;
  /**
   * Rows that are drawn from the data.
   * @default "all"
   */
  readonly samples?: number | "all" | undefined;
  /**
   * Rows of a run of the model.
   * @default 32
   */
  readonly batchSize?: number | undefined;
  /** Tokens of a row at most; the rest is cut off. Left out: as many as the model takes. */
  readonly maxLength?: number | undefined;
  /** Where config.json and tokenizer.json are. Left out: beside the model. */
  readonly folder?: string | undefined;
  /**
   * Seed of resamples, and of a draw from the data.
   * @default 0
   */
  readonly seed?: number | undefined;
}

/** What becomes of the file that is written. */
export interface WritingOptions {
  /** Where to write. Left out: beside the model, under the name that runtimes look for. */
  readonly output?: string | undefined;
  /**
   * Overwrite an existing output. An input is never overwritten.
   * @default false
   */
  readonly force?: boolean | undefined;
  /**
   * Run the result and the float model on the same inputs, and report the signal-to-noise ratio of each output, dB.
   * @default true
   */
  readonly check?: boolean | undefined;
  /**
   * Seed of the sample of data, and of dummy inputs.
   * @default 0
   */
  readonly seed?: number | undefined;
}

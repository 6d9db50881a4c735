// The reports as data: what a command found and did. Tables, JSON and pages are made from these and from nothing else.
import type { EnvironmentReport } from "./benchmark.js";
import type { ChangeReport } from "./evaluation.js";
import type { ActivationReport, PartReport, AblationReport } from "./run.js";
import type { QatReport } from "./train.js";

export const REPORT_VERSION = 1;

/** Where one site runs in the written model. */
export interface SiteReport {
  readonly name: string;
  readonly kind: "linear" | "embedding" | "attention" | "residual" | "convolution" | "opaque";
  /** Dims of the constant as the product uses it: [K, N], or [rows, width] of a table; empty where there is none. */
  readonly shape: readonly number[];
  /** `int8`: an integer kernel; `packed`: weights of few bits, float activations; `stored`: 8 bits in the file, floats at run time; `float`: left alone. */
  readonly runs: "int8" | "packed" | "stored" | "float";
  /** The operator that the runtime makes of it, where a quantized model was looked at. */
  readonly kernel?: string | undefined;
  /** Why it does not run in INT8; of a quantized model also what is wrong with a product that does. */
  readonly reason?: string | undefined;
}

/** How close the written model is to the float model on the same inputs. */
export interface CheckReport {
  readonly inputs: "synthetic" | "data";
  /** batch × length of the inputs; of data, how many rows. */
  readonly shapes: readonly string[];
  /** Per output, the lowest over all dummy inputs, or that of all rows of data together; Infinity (null in JSON) where nothing differs. Integer outputs give their agreement. Neither where there was nothing to compare: an empty output, or filler alone. */
  readonly outputs: readonly {
    readonly name: string;
    readonly snrDb?: number;
    readonly agreement?: number;
  }[];
  /** The lowest signal-to-noise ratio of a float output, dB; absent where the model has none. */
  readonly snrDb?: number | undefined;
  /** The same with this CPU's own sums of 8-bit products, where those saturate and the target runs on it: x86-64 without VNNI. */
  readonly saturatedSnrDb?: number | undefined;
}

export interface QuantizeReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "quantize";
  readonly model: string;
  readonly output: string;
  readonly mode: string;
  readonly target: string;
  /** The form of weights: int8, int4 or int8-only. */
  readonly weights: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly sites: readonly SiteReport[];
  /** How often each exact float rewrite applied. */
  readonly rewrites: Readonly<Record<string, number>>;
  readonly seconds: {
    readonly read: number;
    readonly plan: number;
    readonly write: number;
    readonly check?: number | undefined;
  };
  /** Highest resident memory of this process until the result was written (the check, which loads both models, comes after). */
  readonly peakMemoryBytes: number;
  readonly calibration?: CalibrationReport | undefined;
  /** In mode qat: what training did. */
  readonly training?: QatReport | undefined;
  /** The command that makes what the target's runtime loads out of the written file; absent where it loads the file itself. */
  readonly nextCommand?: string | undefined;
  readonly check?: CheckReport | undefined;
  /** With --eval: the metrics of both models on labelled data. */
  readonly evaluation?: ChangeReport | undefined;
  /** Each operand whose range was found beforehand, on the rows of the check; absent without data. */
  readonly clipped?: readonly ClippedReport[] | undefined;
  /** Bytes before and after by what they are for. */
  readonly parts?: readonly PartReport[] | undefined;
  /** With `ablation`: the quantized model without each step. */
  readonly ablation?: readonly AblationReport[] | undefined;
  /** In static mode: each activation with its range. */
  readonly ranges?: readonly ActivationReport[] | undefined;
  /** The command that does this again. */
  readonly commandLine?: string | undefined;
  readonly environment?: EnvironmentReport | undefined;
  readonly warnings: readonly string[];
}

/** How much of what a site reads lies outside the range of that operand. */
export interface ClippedReport {
  readonly site: string;
  /** As in the plan: the input of a layer, the left side of a product, what goes around a block; or the other side. */
  readonly operand: "activation" | "second";
  /** Of its values, padding left out; 0 … 1. */
  readonly share: number;
}

export interface CalibrateReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "calibrate";
  readonly output: string;
  /** Units of the whole sample, and those that are in the file: batches of a drawn sample, rows of all data. */
  readonly units: number;
  readonly covered: number;
  /** Units that an earlier run had done, which was cut off; absent for a merge. */
  readonly resumed?: number;
  readonly activations: number;
  /** Rows, those that were cut, and empty texts: of the whole sample, with `samples: "all"` of the shard; absent for a merge. */
  readonly rows?: number;
  readonly truncated?: number;
  readonly empty?: number;
  readonly seconds: number;
  readonly warnings: readonly string[];
}

/** What a static model was calibrated with. */
export interface CalibrationReport {
  /** Rows that were run; absent where statistics were given. */
  readonly rows?: number;
  /** Rows that were cut to the model's length, and texts that tokenized to nothing. */
  readonly truncated?: number;
  readonly empty?: number;
  /** Inputs of sites that were smoothed, of all that have a range. */
  readonly smoothed: number;
  readonly activations: number;
  /** Weights that were rounded against the covariance of their inputs, and biases that were corrected. */
  readonly rounded: number;
  readonly corrected: number;
  /** Activations that have a second term. */
  readonly secondTerms: number;
  readonly seconds: number;
}

export interface ValueReport {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string | null)[];
}

export interface InspectReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "inspect";
  readonly model: string;
  readonly bytes: number;
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: string;
  readonly nodes: number;
  readonly inputs: readonly ValueReport[];
  readonly outputs: readonly ValueReport[];
  /** Bytes of the initializers by element type. */
  readonly bytesByType: Readonly<Record<string, number>>;
  /** The form in which the model is quantized already; then the sites are where its products and look-ups run as they stand, and the mode means nothing. */
  readonly quantized?: string | undefined;
  readonly mode: string;
  readonly target: string;
  readonly sites: readonly SiteReport[];
  readonly rewrites: Readonly<Record<string, number>>;
}

export interface OptimizeReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "optimize";
  readonly model: string;
  readonly output: string;
  readonly target: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  readonly rewrites: Readonly<Record<string, number>>;
  readonly seconds: {
    readonly read: number;
    readonly write: number;
    readonly check?: number | undefined;
  };
  readonly check?: CheckReport | undefined;
  readonly warnings: readonly string[];
}

export interface ExportTritonReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "export-triton";
  readonly model: string;
  /** The model repository. */
  readonly output: string;
  /** The model's name on the server. */
  readonly name: string;
  readonly target: string;
  /** Files that were written, the model first. */
  readonly files: readonly string[];
  readonly bytes: number;
  /** Requests in a batch at most; 0 where the server puts none together. */
  readonly maxBatch: number;
  /** Starts the server. */
  readonly startCommand: string;
  /** Asks it something. */
  readonly requestCommand: string;
  /** Builds an engine to be served in place of the file; of target tensorrt alone. */
  readonly engineCommand?: string | undefined;
  readonly seconds: number;
  readonly warnings: readonly string[];
}

/** One quantized model of the demo's model. */
export interface QuantizedModelReport {
  readonly bytes: number;
  /** Sentences whose label it finds, of `DemoReport.sentences`. */
  readonly correct: number;
  readonly accuracy: number;
  /** Median seconds of a run for each of `DemoReport.shapes`. */
  readonly latency: readonly number[];
}

/** What a quantized model says of the user's sentence. */
export interface OpinionReport {
  readonly label: string;
  /** Of that label, 0…1. */
  readonly probability: number;
}

export type * from "./benchmark.js";
export type * from "./evaluation.js";
export type * from "./run.js";
export type * from "./train.js";

export interface DemoReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "demo";
  readonly model: string;
  readonly sentences: number;
  /** Sentences that both models give the same label. */
  readonly agreement: number;
  /** batch × length of the timed runs. */
  readonly shapes: readonly string[];
  readonly threads: number;
  readonly float: QuantizedModelReport;
  readonly quantized: QuantizedModelReport;
  readonly sentence?:
    | {
        readonly text: string;
        readonly float: OpinionReport;
        readonly quantized: OpinionReport;
      }
    | undefined;
  /** Seconds of the quantization alone, and of the whole demo. */
  readonly seconds: { readonly quantize: number; readonly total: number };
}

// The report of train as data: what was trained on what, how the loss fell, and what it did to the metrics.
import type { EnvironmentReport } from "./benchmark.js";
import type { ChangeReport } from "./evaluation.js";
import type { REPORT_VERSION } from "./report.js";

export interface CurvePointReport {
  /** Updates done by then. */
  readonly step: number;
  /** Null where it is no number. */
  readonly value: number | null;
}

/** What quantization-aware training did to a quantized model. */
export interface QatReport {
  /** By labels, by what the float model says, or by both. */
  readonly loss: "task" | "distill" | "both";
  readonly task: string;
  /** Records that were trained on. */
  readonly rows: number;
  /** Whether the records that the best was chosen by were held out of the data; else they are those of --eval. */
  readonly heldOut: boolean;
  readonly scored: number;
  /** Highest learning rate of weights. */
  readonly rate: number;
  /** Signal-to-noise ratio of the outputs before training, dB; null where nothing differs. */
  readonly startSnrDb: number | null;
  /** Tensors that were trained. */
  readonly parameters: number;
  readonly steps: number;
  readonly stopped: "done" | "early";
  /** The update that was written; 0: the quantized model before training. */
  readonly best: number;
  readonly resumed: number;
  readonly losses: readonly CurvePointReport[];
  readonly metric: string;
  /** The metric along the way: before training first. */
  readonly scores: readonly CurvePointReport[];
  readonly seconds: number;
}

export interface TrainReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "train";
  readonly model: string;
  /** The file or the folder that was written. */
  readonly output: string;
  readonly task: string;
  /** By the labels of the data, or by a teacher. */
  readonly loss: "task" | "distillation";
  readonly data: readonly string[];
  readonly rows: number;
  /** Rows of which tokens were cut off. */
  readonly truncated: number;
  /** Tensors that were trained, and numbers in them. */
  readonly parameters: number;
  readonly weights: number;
  /** Updates that were made. */
  readonly steps: number;
  /** `early` where evaluations became no better any more. */
  readonly stopped: "done" | "early";
  /** The update whose weights were written; 0: those of before. */
  readonly best: number;
  /** Updates of an earlier run that this one took up. */
  readonly resumed: number;
  /** Mean loss over spans of updates. */
  readonly losses: readonly CurvePointReport[];
  /** The metric along the way; empty without --eval. */
  readonly scores: readonly CurvePointReport[];
  /** Its name. */
  readonly metric?: string | undefined;
  readonly seconds: { readonly train: number; readonly write: number };
  readonly peakMemoryBytes: number;
  readonly commandLine?: string | undefined;
  readonly environment?: EnvironmentReport | undefined;
  /** Before and after, on the data of --eval. */
  readonly evaluation?: ChangeReport | undefined;
  readonly warnings: readonly string[];
}

// Labelled data made ready for a task, and two models scored on the same rows, which quantize --eval and compare report.
import type { Tokenizer } from "../data/tokenize.js";
import type { FolderFiles } from "../data/configuration.js";
import { placeOf, type DataRecord } from "../data/records.js";
import { sampleRecords } from "../data/sample.js";
import { DataError } from "../errors.js";
import type { AgreementReport, ChangeReport } from "../report/report.js";
import type { OnProgress } from "../report/progress.js";
import { chooseTask, type TaskOptions } from "../tasks/choose.js";
import { pearson } from "../tasks/metrics.js";
import type { Agreement, Task } from "../tasks/task.js";
import {
  measuresOf,
  predict,
  predictAll,
  type Asked,
  type EvaluateOptions,
  type Predicted,
  type SeeRows,
} from "./predictions.js";
import type { Run } from "../host/run.js";
import { CONFIDENCE, metricChanges } from "./significance.js";

/** Labelled data and how it is read, as the user says it. */
export interface EvaluationSettings extends TaskOptions {
  readonly data: string | readonly string[];
  readonly samples: number | "all";
  readonly seed: number;
  readonly batchSize: number;
  readonly maxLength?: number | undefined;
  readonly textColumn?: string | undefined;
  readonly pairColumn?: string | undefined;
  readonly tokensColumn?: string | undefined;
  readonly labelColumn?: string | undefined;
  readonly answersColumn?: string | undefined;
  /** Where config.json and tokenizer.json are, where not beside the model. */
  readonly folder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: OnProgress;
}

/** A task with its records, before any model is loaded. */
export interface Prepared {
  readonly task: Task;
  readonly tokenizer: Tokenizer | undefined;
  readonly records: readonly DataRecord[];
  readonly paths: readonly string[];
}

/** Throws TaskError, ModelFolderError, OptionError, and what the data throws. */
export async function prepareEvaluation(
  { file, data: read }: Run,
  settings: EvaluationSettings,
  instead?: Task,
): Promise<Prepared> {
  const { data, samples, seed, signal } = settings;
  const paths = typeof data === "string" ? [data] : data;
  const folder = settings.folder ?? file.folder;
  const files: FolderFiles = folder === undefined ? { folder: file.path } : read.files(folder);
  const task = instead ?? chooseTask(files, settings);
  settings.onProgress({ step: "reading", done: 0, total: 0 });
  const source = read.records(paths, {
    text: settings.textColumn,
    textPair: settings.pairColumn,
    tokens: settings.tokensColumn,
    label: settings.labelColumn,
    answers: settings.answersColumn,
  });
  const { records } = await sampleRecords(source, { samples, seed, ...(signal && { signal }) });
  if (records.length === 0)
    throw new DataError(paths.join(", "), undefined, "no record in it", "a record per line");
  const ready = records.every((record) => "inputs" in record);
  const tokenizer = ready ? undefined : read.tokenizer(files);
  return { task, tokenizer, records, paths };
}

/** What a run over rows takes of the settings. */
export function runOptions({ batchSize, maxLength, signal }: EvaluationSettings) {
  return { batchSize, maxLength, signal };
}

/** What a user should know of predictions: rows that were cut, and records whose outputs are NaN. */
export function predictionWarnings(
  { truncated, rows, notNumbers }: Predicted<unknown>,
  which = "The model",
): string[] {
  const [first] = notNumbers;
  return [
    ...(truncated === 0
      ? []
      : [`${truncated} of ${rows} rows were cut: they have more tokens than are read at most.`]),
    ...(first === undefined
      ? []
      : [
          `${which} gives NaN for ${notNumbers.length} records, the first at ${placeOf(first)}; they count as wrong.`,
        ]),
  ];
}

export interface Change {
  readonly report: ChangeReport;
  readonly warnings: readonly string[];
}

/**
 * Two models on the same rows, which are compared by predictions and, where `labelled`, by metrics. Throws as `prepareEvaluation`.
 */
export async function changeBetween(
  models: readonly [reference: Asked, candidate: Asked],
  prepared: Prepared,
  settings: EvaluationSettings,
  { labelled, see }: { readonly labelled: boolean; readonly see?: SeeRows },
): Promise<Change> {
  const { task, tokenizer, records } = prepared;
  if (labelled) for (const record of records) task.reference(record);
  const [reference, candidate] = await predictAll(models, tokenizer, task, records, {
    ...runOptions(settings),
    see,
    onProgress: progressOf(settings),
  });
  if (reference === undefined || candidate === undefined)
    throw new Error("internal: no pair of sessions");
  return changeOf(prepared, settings, [reference, candidate], labelled);
}

function progressOf({ onProgress }: EvaluationSettings): EvaluateOptions["onProgress"] {
  return (progress) => onProgress({ step: "evaluating", unit: "rows", ...progress });
}

function changeOf(
  { task, records, paths }: Prepared,
  { seed, onProgress }: EvaluationSettings,
  [reference, candidate]: readonly [Predicted<unknown>, Predicted<unknown>],
  labelled: boolean,
): Change {
  onProgress({ step: "resampling", done: 0, total: 0 });
  const references = labelled ? records.map((record) => task.reference(record)) : [];
  const measures = [reference, candidate].map(({ predictions }) =>
    labelled ? measuresOf(task, predictions, references) : [],
  );
  const [left = [], right = []] = measures;
  return {
    report: {
      task: task.name,
      data: paths,
      rows: records.length,
      truncated: reference.truncated,
      metrics: metricChanges(left, right, records.length, seed),
      agreement: agreementOf(task.agreement(reference.predictions, candidate.predictions)),
      confidence: CONFIDENCE,
      seed,
    },
    warnings: [
      ...predictionWarnings(reference, "The reference"),
      ...predictionWarnings({ ...candidate, truncated: 0 }, "The candidate"),
    ],
  };
}

/** What quantize is told of an evaluation. */
export interface QuantizedEvaluation extends Omit<
  EvaluationSettings,
  "data" | "samples" | "batchSize" | "onProgress"
> {
  readonly evaluate?: string | readonly string[] | undefined;
  readonly onProgress?: OnProgress | undefined;
}

const BATCH_SIZE = 32;

/** Labelled data that a float model and its quantized model are scored on, one after the other. */
export interface PairEvaluation {
  /** Throws as `predict`. */
  predict(model: Asked): Promise<Predicted<unknown>>;
  change(reference: Predicted<unknown>, candidate: Predicted<unknown>): Change;
}

/** Reads the labelled data. Undefined where none is asked for. Throws as `prepareEvaluation`, and LabelError. */
export async function evaluationOf(
  run: Run,
  options: QuantizedEvaluation,
): Promise<PairEvaluation | undefined> {
  const { evaluate: data, onProgress = () => undefined } = options;
  if (data === undefined) return undefined;
  const settings = { ...options, data, samples: "all", batchSize: BATCH_SIZE, onProgress } as const;
  const prepared = await prepareEvaluation(run, settings);
  const { task, tokenizer, records } = prepared;
  for (const record of records) task.reference(record);
  const asked = { ...runOptions(settings), onProgress: progressOf(settings) };
  return {
    predict: (model) => predict(model, tokenizer, task, records, asked),
    change: (reference, candidate) => changeOf(prepared, settings, [reference, candidate], true),
  };
}

function agreementOf(agreement: Agreement): AgreementReport {
  if ("equal" in agreement) return { share: agreement.equal / agreement.of, ...agreement };
  const { left, right } = agreement;
  const correlation = pearson(left, right);
  let largest = 0;
  for (const [i, value] of left.entries())
    largest = Math.max(largest, Math.abs(value - (right[i] ?? NaN)));
  return {
    correlation: Number.isNaN(correlation) ? null : correlation,
    largestDifference: largest,
  };
}

// Octavo for Node: the verbs, bound to files and to onnxruntime-node.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { locateModel, readFolder } from "./data/folder.js";
import { openRecords } from "./data/record-files.js";
import { PlanError, StatisticsError } from "./errors.js";
import { codeOf, systemMessage } from "./onnx/file-source.js";
import { openModelFile, requireWritable, writeModelFile, writeTextFile } from "./onnx/files.js";
import { compareModels } from "./pipeline/compare.js";
import { evaluateFile } from "./pipeline/evaluation.js";
import { exportTritonModel, type TritonExported } from "./pipeline/export-triton.js";
import type { Host } from "./pipeline/host.js";
import { inspectModel } from "./pipeline/inspect.js";
import { optimizeModel, type Optimized } from "./pipeline/optimize.js";
import { calibrateModel, type CalibratedFile } from "./pipeline/calibrate.js";
import type {
  CalibrateOptions,
  CompareOptions,
  EvaluateFileOptions,
  ExportTritonOptions,
  InspectOptions,
  OptimizeOptions,
  QuantizeOptions,
} from "./pipeline/options.js";
import { quantizeModel, type Quantized } from "./pipeline/quantize.js";
import type { CompareReport, EvaluateReport, InspectReport } from "./report/report.js";
import { ortNode } from "./runtime/ort-node.js";

const HASHED_AT_ONCE = 2 ** 24;

const host: Host = {
  runtime: ortNode,
  open(model) {
    const { path, folder } = locateModel(model);
    return { path, folder, ...openModelFile(path) };
  },
  beside: (model, ending) => `${model.replace(/\.onnx$/, "")}${ending}.onnx`,
  join,
  absolute: (path) => resolve(path),
  requireWritable,
  write: writeModelFile,
  writeTemporary(model, external) {
    const folder = mkdtempSync(join(tmpdir(), "octavo-"));
    const release = () => rmSync(folder, { recursive: true, force: true });
    try {
      const path = join(folder, "model.onnx");
      writeModelFile(path, model, { external });
      return { path, release };
    } catch (error) {
      release();
      throw error;
    }
  },
  records: (paths, columns) => openRecords(paths, { columns }),
  folderFiles: readFolder,
  writeText: writeTextFile,
  readPlan: (path) => readText(path, (detail) => new PlanError(detail, path)),
  readStatistics: (path) => readText(path, noStatistics(path)),
  readIfThere: (path) => (existsSync(path) ? readText(path, noStatistics(path)) : undefined),
  fingerprint({ source }) {
    const hash = createHash("sha256");
    for (let at = 0; at < source.size; at += HASHED_AT_ONCE)
      hash.update(source.read(at, Math.min(HASHED_AT_ONCE, source.size - at)));
    return `sha256:${hash.digest("hex")}`;
  },
  remove(files) {
    for (const file of files) rmSync(file, { force: true });
  },
  peakMemory,
  now: () => performance.now() / 1000,
};

function noStatistics(path: string) {
  return (detail: string) =>
    new StatisticsError(detail, "a file of octavo calibrate", "Name another.", path);
}

/** Linux counts what a large parent had before it started this process into `maxRSS`; the process's own peak stands in its status. */
function peakMemory(): number {
  try {
    const own = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (own !== undefined) return Number(own) * 1024;
  } catch {
    // Another system.
  }
  return process.resourceUsage().maxRSS * 1024;
}

function readText(path: string, fail: (detail: string) => Error): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw codeOf(error) === undefined ? error : fail(systemMessage(error));
  }
}

/**
 * Writes the INT8 edition of a model: an .onnx file, or a folder as Hugging Face lays it out. Returns where it was written, and the report.
 * Throws an OctavoError for everything that is the caller's to mend, and the signal's reason when it is aborted.
 *
 * @example
 * const { path, report } = await quantize("./my-model");
 * console.log(path, report.bytesAfter / report.bytesBefore, report.check?.snrDb);
 */
export function quantize(model: string, options: QuantizeOptions = {}): Promise<Quantized> {
  return quantizeModel(host, model, options);
}

/**
 * Statistics of a model on data, or of a shard of it, into a file; or the merge of such files. `quantize` takes it as `stats`. Throws as
 * `quantize`, and StatisticsError.
 */
export function calibrate(
  model: string | undefined,
  options: CalibrateOptions,
): Promise<CalibratedFile> {
  return calibrateModel(host, model, options);
}

/**
 * Scores a model on labelled data by its task: text or token classification, regression, question answering, sentence embeddings, language
 * modelling, images. Throws as `quantize`, and DataError, LabelError, TaskError.
 *
 * @example
 * const { metrics } = await evaluate("./my-model", { data: "dev.tsv" });
 * console.log(metrics[0].name, metrics[0].value, metrics[0].low, metrics[0].high);
 */
export function evaluate(model: string, options: EvaluateFileOptions): Promise<EvaluateReport> {
  return evaluateFile(host, model, options);
}

/**
 * Two models that take the same inputs, side by side: predictions and metrics on data (made-up inputs without), outputs, and the error at each
 * site. Throws as `evaluate`, and UnsupportedError for models whose inputs or outputs differ.
 *
 * @example
 * const { change, sites } = await compare("./my-model", "./my-model/onnx/model_quantized.onnx", { data: "dev.tsv" });
 * console.log(change?.metrics[0]?.difference, sites[0]?.site, sites[0]?.snrDb);
 */
export function compare(
  reference: string,
  candidate: string,
  options: CompareOptions = {},
): Promise<CompareReport> {
  return compareModels(host, reference, candidate, options);
}

/** Writes a text, whole or not at all. Throws OutputExistsError (without `force`) and WriteFailedError. */
export function saveText(path: string, text: string, force = false): void {
  writeTextFile(path, text, force);
}

/** What is in a model, and what would run in INT8. Throws as `quantize`. */
export function inspect(model: string, options: InspectOptions = {}): Promise<InspectReport> {
  return inspectModel(host, model, options);
}

/** Writes the float model, the same function, in the form that its runtime runs fastest. Throws as `quantize`. */
export function optimize(model: string, options: OptimizeOptions = {}): Promise<Optimized> {
  return optimizeModel(host, model, options);
}

/** Writes a model repository for Triton Inference Server. Throws as `quantize`. */
export function exportTriton(model: string, options: ExportTritonOptions): Promise<TritonExported> {
  return exportTritonModel(host, model, options);
}

export * from "./errors.js";
export {
  calibrationManifest,
  type ManifestKind,
  type ManifestOptions,
} from "./pipeline/manifest.js";
export type {
  CalibrateOptions,
  CompareOptions,
  EvaluateFileOptions as EvaluateOptions,
  ExportTritonOptions,
  InspectOptions,
  OptimizeOptions,
  QuantizeOptions,
} from "./pipeline/options.js";
export type { CalibratedFile } from "./pipeline/calibrate.js";
export type { TritonExported } from "./pipeline/export-triton.js";
export type { Optimized } from "./pipeline/optimize.js";
export type { Quantized } from "./pipeline/quantize.js";
export type { TargetName } from "./targets/all.js";
export type { OnProgress, Progress } from "./report/progress.js";
export type {
  CalibrateReport,
  ChangeReport,
  CheckReport,
  CompareReport,
  EvaluateReport,
  ExportTritonReport,
  InspectReport,
  OptimizeReport,
  QuantizeReport,
  SiteReport,
  ValueReport,
} from "./report/report.js";

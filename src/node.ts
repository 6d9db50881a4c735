// Octavo for Node: the verbs, bound to files and to onnxruntime-node.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { folderContent, locateModel, readFolder } from "./data/folder.js";
import { openRecords } from "./data/record-files.js";
import { CheckpointError, DataError, PlanError, StatisticsError } from "./errors.js";
import { codeOf, systemMessage } from "./onnx/file-source.js";
import {
  openModelFile,
  replaceFile,
  requireWritable,
  writeModelFile,
  writeTextFile,
} from "./onnx/files.js";
import { compareModels } from "./pipeline/compare.js";
import { evaluateFile } from "./pipeline/evaluate.js";
import { exportTritonModel, type TritonExported } from "./pipeline/export-triton.js";
import { benchmarkModels } from "./pipeline/benchmark.js";
import type { Host } from "./host/host.js";
import { inspectModel } from "./pipeline/inspect.js";
import { optimizeModel, type Optimized } from "./pipeline/optimize.js";
import { calibrateModel, type CalibratedFile } from "./pipeline/calibrate.js";
import type { BenchmarkOptions } from "./options/benchmark.js";
import type { CalibrateOptions } from "./options/calibrate.js";
import type { CompareOptions } from "./options/compare.js";
import type { EvaluateOptions } from "./options/evaluate.js";
import type { ExportTritonOptions } from "./options/export-triton.js";
import type { InspectOptions } from "./options/inspect.js";
import type { OptimizeOptions } from "./options/optimize.js";
import type { QuantizeOptions } from "./options/quantize.js";
import type { ReportOptions } from "./options/report.js";
import type { TrainOptions } from "./options/train.js";
import { quantizeModel, type Quantized } from "./pipeline/quantize.js";
import { pageOf, type Page } from "./pipeline/report.js";
import { trainModel, type TrainedFile } from "./pipeline/train.js";
import type {
  BenchmarkReport,
  CompareReport,
  EvaluateReport,
  InspectReport,
} from "./report/report.js";
import { ortNode } from "./runtime/ort-node.js";
import { ortWeb } from "./runtime/ort-web.js";

const HASHED_AT_ONCE = 2 ** 24;

/** What the commands write with --json, as `octavo report` looks for it in a folder. */
const REPORT_FILES = ["report.json", "evaluate.json", "compare.json", "benchmark.json"];

const host: Host = {
  runtime: ortNode,
  runtimeNamed: (name) => (name === "onnxruntime-web" ? ortWeb() : Promise.resolve(ortNode)),
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
    const { path: folder, release } = temporaryFolder();
    try {
      const path = join(folder, "model.onnx");
      writeModelFile(path, model, { external });
      return { path, release };
    } catch (error) {
      release();
      throw error;
    }
  },
  temporaryFolder,
  records: (paths, columns) => openRecords(paths, { columns }),
  folderFiles: readFolder,
  folderContent,
  writeText: writeTextFile,
  replaceFile,
  readState: (path) => (existsSync(path) ? readBytes(path) : undefined),
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
  octavo: runOctavo,
  environment: ({ name, version }) => ({
    octavo: ownVersion(),
    runtime: `${name} ${version}`,
    node: process.versions.node,
    system: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
  }),
  readReports,
  peakMemory,
  now: () => performance.now() / 1000,
};

function noStatistics(path: string) {
  return (detail: string) =>
    new StatisticsError(detail, "a file of octavo calibrate", "Name another.", path);
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw codeOf(error) === undefined ? error : new CheckpointError(path, systemMessage(error));
  }
}

/** Temporary models stay, in the folder that OCTAVO_KEEP names, for whoever wants to look at them. */
function temporaryFolder() {
  const kept = process.env["OCTAVO_KEEP"] ?? "";
  if (kept !== "") mkdirSync(kept, { recursive: true });
  const path = mkdtempSync(join(kept === "" ? tmpdir() : resolve(kept), "octavo-"));
  const release = () => rmSync(path, { recursive: true, force: true });
  return { path, release: kept === "" ? release : () => undefined };
}

function runOctavo(args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  // Beside this file; where that is a source, as built.
  const here = fileURLToPath(new URL("cli/main.js", import.meta.url));
  const built = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  const main = existsSync(here) ? here : built;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, ...args],
      { maxBuffer: 2 ** 26, ...(signal && { signal }) },
      (_, stdout) => resolve(stdout),
    );
  });
}

function ownVersion(): string {
  const path = fileURLToPath(new URL("../package.json", import.meta.url));
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

function readReports(path: string): { path: string; text: string }[] {
  const read = (file: string) => ({
    path: file,
    text: readText(file, (detail) => new DataError(file, undefined, detail, EXPECTED_REPORTS)),
  });
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [read(path)];
  const there = REPORT_FILES.map((name) => join(path, name)).filter((file) => existsSync(file));
  if (there.length > 0) return there.map(read);
  throw new DataError(path, undefined, "the folder holds no report", EXPECTED_REPORTS);
}
const EXPECTED_REPORTS = `a report in JSON, or a folder with ${REPORT_FILES.join(", ")} (or some of them)`;

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
 * Writes the INT8 model of a model: an .onnx file, or a folder as Hugging Face lays it out. Returns where it was written, and the report.
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
export function evaluate(model: string, options: EvaluateOptions): Promise<EvaluateReport> {
  return evaluateFile(host, model, options);
}

/**
 * Two models that take the same inputs, side by side: predictions and metrics on data (dummy inputs without), outputs, and the error at each
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

/**
 * Fine-tunes a float model on labelled data, or by a teacher, and writes it in the form in which it was exported. A run that was cut off is
 * taken up again by the same call, to the same bytes. Throws as `quantize`, and the classes of training: NoGradientError, LossNotFiniteError,
 * CheckpointError, NothingToTrainError, WeightPatternError.
 *
 * @example
 * const { path } = await train("./model", { data: "train.tsv", evaluate: "dev.tsv", epochs: 3, output: "./tuned" });
 */
export function train(model: string, options: TrainOptions): Promise<TrainedFile> {
  return trainModel(host, model, options);
}

/** Writes a model repository for Triton Inference Server. Throws as `quantize`. */
export function exportTriton(model: string, options: ExportTritonOptions): Promise<TritonExported> {
  return exportTritonModel(host, model, options);
}

/**
 * Times models in turn, round by round, against the first of them; the memory of each is measured in a process of its own. Throws as
 * `quantize`, and OptionError for a shape that a model has too few positions for.
 *
 * @example
 * const { timings } = await benchmark(["model.onnx", "model_quantized.onnx"], { shapes: ["8x128"] });
 * console.log(timings.map(({ median, ratio }) => [median, ratio.value]));
 */
export function benchmark(
  models: readonly string[],
  options: BenchmarkOptions = {},
): Promise<BenchmarkReport> {
  return benchmarkModels(host, models, options);
}

/**
 * One HTML page from reports: a JSON file, or a folder with report.json, evaluate.json, compare.json, benchmark.json or some of them. Throws
 * DataError for what is no report, OptionError, and as writing does.
 */
export function report(from: string, options: ReportOptions = {}): Page {
  return pageOf(host, from, options);
}

export * from "./errors.js";
export { ortNode } from "./runtime/ort-node.js";
export {
  calibrationManifest,
  type ManifestKind,
  type ManifestOptions,
} from "./cluster/manifest.js";
export type { BenchmarkOptions } from "./options/benchmark.js";
export type { CalibrateOptions } from "./options/calibrate.js";
export type { CompareOptions } from "./options/compare.js";
export type { EvaluateOptions } from "./options/evaluate.js";
export type { ExportTritonOptions } from "./options/export-triton.js";
export type { InspectOptions } from "./options/inspect.js";
export type { OptimizeOptions } from "./options/optimize.js";
export type {
  DynamicOptions,
  QatOptions,
  QuantizeOptions,
  StaticOptions,
} from "./options/quantize.js";
export type { ReportOptions } from "./options/report.js";
export type { TrainOptions } from "./options/train.js";
export type { TrainedFile } from "./pipeline/train.js";
export type { Page } from "./pipeline/report.js";
export type { CalibratedFile } from "./pipeline/calibrate.js";
export type { TritonExported } from "./pipeline/export-triton.js";
export type { Optimized } from "./pipeline/optimize.js";
export type { Quantized } from "./pipeline/quantize.js";
export type { TargetName } from "./targets/all.js";
export type { OnProgress, Progress } from "./report/progress.js";
export type {
  BenchmarkReport,
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
  TrainReport,
  ValueReport,
} from "./report/report.js";

// What the types above contain.
export type { Dim } from "./graph/node.js";
export type { DType } from "./onnx/dtypes.js";
export type { ShardOptions } from "./options/calibrate.js";
export type {
  CallOptions,
  ColumnOptions,
  DataOptions,
  EvaluationOptions,
  LabelOptions,
  OperandOptions,
  SiteOptions,
  WeightOptions,
  WritingOptions,
} from "./options/groups.js";
export type {
  AblationOptions,
  CalibrationOptions,
  CommonQuantizeOptions,
  TrainingOptions,
} from "./options/quantize.js";
export type { QatLoss } from "./qat/data.js";
export type { Mode, WeightForm, WeightRange } from "./quant/plan.js";
export type {
  BenchmarkedModel,
  EnvironmentReport,
  RatioReport,
  TimingReport,
} from "./report/benchmark.js";
export type {
  AgreementReport,
  MetricChangeReport,
  MetricReport,
  SiteSensitivityReport,
  SiteErrorReport,
  TensorErrorReport,
  TestReport,
} from "./report/evaluation.js";
export type { CalibrationReport, ClippedReport } from "./report/report.js";
export type { AblationReport, ActivationReport, PartReport } from "./report/run.js";
export type { CurvePointReport, QatReport } from "./report/train.js";
export type {
  Elements,
  Feeds,
  ModelBytes,
  ModelSource,
  Port,
  RunOptions,
  RunnableDType,
  Runtime,
  RuntimeName,
  RuntimeTensor,
  Session,
  SessionOptions,
} from "./runtime/runtime.js";
export type { AttentionChoice, ResidualChoice } from "./targets/target.js";
export type { TaskName } from "./tasks/read.js";
export type { Pooling } from "./tasks/sentence-embedding.js";
export type { Schedule } from "./train/schedule.js";

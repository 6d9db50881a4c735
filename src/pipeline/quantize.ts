// The verb quantize: a float model in, its INT8 model out, checked against the float model, with a report.
import { dataOptions, rowsForCheck } from "../calibrate/calibrate-sites.js";
import { clippingWarnings } from "../calibrate/clipping.js";
import { checkFeeds, checkWarnings } from "../evaluate/check.js";
import { evaluationOf, type PairEvaluation } from "../evaluate/score.js";
import { floatAnswers, verify, type Verification, type Verified } from "../evaluate/verify.js";
import { exportModel } from "../graph/export.js";
import type { Model } from "../graph/model.js";
import type { Host } from "../host/host.js";
import { readGraph } from "../host/read-graph.js";
import { withRun, type Run } from "../host/run.js";
import { undoOnFailure, withSession } from "../host/sessions.js";
import { dimsBySize } from "../inputs/dummy-inputs.js";
import { QUANTIZE_DEFAULTS } from "../options/defaults.js";
import { quantizeSettings, type AnyQuantizeOptions } from "../options/quantize.js";
import { requireOneForm } from "../options/weight-options.js";
import { partsOf } from "../plan/part-reports.js";
import { lowerPlan, planModel, type Planned } from "../plan/plan-model.js";
import { trainPlanned, type QatPlanned } from "../qat/train-planned.js";
import { parsePlan, planToJson, weightFormOf, type Plan, type WeightForm } from "../quant/plan.js";
import type { OnProgress } from "../report/progress.js";
import { REPORT_VERSION, type QuantizeReport, type AblationReport } from "../report/report.js";
import type { Feeds } from "../runtime/runtime.js";
import { saturates } from "../runtime/integer-sums.js";
import { floatTarget, targetFor } from "../targets/all.js";
import { choose } from "../targets/choices.js";
import type { Target } from "../targets/target.js";
import { requireWeightForm } from "../targets/weight-forms.js";
import { measureSteps } from "./ablation.js";
import { commandLine } from "./command-line.js";
import { planCalibrated } from "./plan-from-data.js";
import { reportFile, requireReportName } from "./report.js";

export interface Quantized {
  /** The file that was written. */
  readonly path: string;
  readonly report: QuantizeReport;
}

type Choices = ReturnType<typeof choose>;
type Settings = ReturnType<typeof quantizeSettings> & {
  readonly onProgress: OnProgress;
};

const NO_ANSWERS = { expected: undefined, predicted: undefined };

/** What was asked for, once it is known to fit together. */
interface Order {
  readonly input: string;
  readonly options: AnyQuantizeOptions;
  readonly settings: Settings;
  readonly target: Target;
  readonly choices: Choices;
  readonly given: Plan | undefined;
  readonly output: string;
}

/**
 * Quantizes the model at `input` (an .onnx file or a folder). The result appears whole or not at all, and is taken away again where it, or
 * the float model, does not run. Throws an OctavoError for everything that is the user's to mend.
 */
export async function quantizeModel(
  host: Host,
  input: string,
  options: AnyQuantizeOptions = {},
): Promise<Quantized> {
  const settings = settingsOf(options);
  const { mode, labelColumn: label, answersColumn: answers } = settings;
  const target = targetFor(settings.target, mode);
  const choices = choose(target, mode, settings);
  requireReportName(settings.report);
  // Data is trained on with its labels: then it is read with them from the beginning.
  const columns = mode === "qat" ? { label, answers } : undefined;
  return withRun(
    host,
    input,
    async (run) => {
      const start = host.now();
      const given = readPlan(host, settings.plan);
      const output = outputFor(run, settings, given);
      const order: Order = { input, options, settings, target, choices, given, output };
      settings.onProgress({ step: "reading", done: 0, total: 0 });
      const model = readGraph(run.file);
      const bytesBefore = run.file.bytes();
      // Labels first: a wrong one should not show when all is done.
      const evaluation = await evaluationOf(run, settings);
      const afterRead = host.now();
      const made = await planned(run, model, order, evaluation);
      const afterPlan = host.now();
      const written = write(run, model, order);
      const afterWrite = host.now();
      const peakMemoryBytes = host.peakMemory();
      return undoOnFailure(host, written.files, async () => {
        const checked = await finished(run, order, made);
        const report = reportOf(run, order, made, checked, {
          bytesBefore,
          bytesAfter: written.bytes,
          peakMemoryBytes,
          seconds: {
            read: afterRead - start,
            plan: afterPlan - afterRead,
            write: afterWrite - afterPlan,
            ...(checked.check && { check: checked.at - afterWrite }),
          },
        });
        if (settings.report !== undefined)
          host.writeText(settings.report, reportFile(settings.report, report), settings.force);
        made.trained?.finish();
        return { path: output, report };
      });
    },
    columns,
  );
}

/** Throws OptionError for options that do not fit together, UnsupportedError for a form that the target does not have. */
function settingsOf(options: AnyQuantizeOptions): Settings {
  const settings = quantizeSettings(options);
  requireWeightForm(floatTarget(settings.target), settings.mode, settings.weights ?? "int8");
  return { ...settings, onProgress: settings.onProgress ?? (() => undefined) };
}

/** Throws where something that is written may not be. */
function outputFor({ host, file }: Run, settings: Settings, given: Plan | undefined): string {
  const form = requireOneForm(settings, given);
  const output = settings.output ?? host.beside(file.path, ENDINGS[form]);
  host.requireWritable(output, settings.force);
  for (const path of [settings.writePlan, settings.report])
    if (path !== undefined) host.requireWritable(path, settings.force);
  return output;
}

interface Made {
  readonly planned: Planned;
  readonly trained: QatPlanned | undefined;
  readonly verification: Verification;
  readonly partsAt: ReturnType<typeof partsOf>;
  readonly nextCommand: string | undefined;
}

/** Plans and lowers `model`, training it in between where that is asked for. */
async function planned(
  run: Run,
  model: Model,
  { settings, target, choices, given, output }: Order,
  evaluation: PairEvaluation | undefined,
): Promise<Made> {
  const { mode, data, stats, check, seed, signal, onProgress } = settings;
  signal?.throwIfAborted();
  onProgress({ step: "planning", done: 0, total: 0 });
  const options = { ...settings, ...choices, plan: given };
  const isFromData = mode !== "dynamic" || data !== undefined || stats !== undefined;
  const unseen = check || settings.evaluate ? (settings.evaluate ?? data) : undefined;
  const calibrated =
    requireOneForm(settings, given) === "int8" && isFromData
      ? await planCalibrated(run, model, target, { ...options, unseen })
      : planModel(model, target, options);
  const saturated = check && target.runsInHost === true && (await saturates(run.host.runtime));
  const verification: Verification = {
    check: check
      ? data === undefined
        ? { feeds: checkFeeds(model, seed), inputs: "synthetic", saturated, signal }
        : {
            feeds: await feedsForCheck(run, model, settings, data),
            inputs: "data",
            saturated,
            signal,
          }
      : undefined,
    evaluation,
    signal,
  };
  const trained =
    mode === "qat" && data !== undefined
      ? await trainPlanned(run, model, target, calibrated, {
          ...settings,
          data,
          output,
          verification,
        })
      : undefined;
  const found = trained?.planned ?? calibrated;
  const { sites, plan, weights } = found;
  const partsAt = partsOf(sites, plan, choices);
  const nextCommand = target.command?.({
    path: output,
    dimsOf: dimsBySize(model),
    fp16: choices.fp16,
  });
  lowerPlan(model, sites, plan, target, { ...choices, weights });
  return { planned: found, trained, verification, partsAt, nextCommand };
}

async function feedsForCheck(
  run: Run,
  model: Model,
  settings: Settings,
  data: string | readonly string[],
): Promise<Feeds[]> {
  const rows = await rowsForCheck(run, model, dataOptions(settings, data));
  return rows.map(({ feeds }) => feeds);
}

function write({ host, file }: Run, model: Model, { settings, output }: Order) {
  const { force, signal, onProgress } = settings;
  signal?.throwIfAborted();
  onProgress({ step: "writing", done: 0, total: 0 });
  return host.write(output, exportModel(model), { force, external: file.external });
}

interface Finished extends Verified {
  readonly ablation: readonly AblationReport[] | undefined;
  /** When the check had ended. */
  readonly at: number;
}

/** What follows a model that is written: its plan beside it, the check, the ablation, the scores. */
async function finished(
  { host, file }: Run,
  { input, options, settings, given, output }: Order,
  { planned, trained, verification }: Made,
): Promise<Finished> {
  const { onProgress } = settings;
  if (settings.writePlan !== undefined)
    host.writeText(settings.writePlan, planToJson(planned.plan), settings.force);
  if (settings.check) onProgress({ step: "checking", done: 0, total: 0 });
  const isAsked = verification.check !== undefined || verification.evaluation !== undefined;
  const float = isAsked
    ? (trained?.float ??
      (await withSession(host, file.path, (session) => floatAnswers(session, verification))))
    : NO_ANSWERS;
  const verified = await verify(host, output, float, verification);
  const at = host.now();
  const ablation = settings.ablation
    ? await measureSteps(host, {
        calibration: planned.calibration,
        outliers: given === undefined ? (planned.rewrites.outlier ?? 0) : 0,
        again: (changed) => checkedAgain(host, input, { ...options, ...changed }),
      })
    : undefined;
  return { ...verified, ablation, at };
}

interface Facts {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly seconds: QuantizeReport["seconds"];
  readonly peakMemoryBytes: number;
}

function reportOf(
  { host, file }: Run,
  { input, options, settings, target, output }: Order,
  { planned, trained, partsAt, nextCommand }: Made,
  { check, change, ablation }: Finished,
  facts: Facts,
): QuantizeReport {
  const { calibration, clipped, ranges = [], warnings = [] } = planned;
  return {
    version: REPORT_VERSION,
    command: "quantize",
    model: file.path,
    output,
    mode: settings.mode,
    target: target.name,
    weights: weightFormOf(planned.plan),
    ...facts,
    sites: planned.reports,
    rewrites: planned.rewrites,
    ...(check && { check }),
    ...(calibration && { calibration }),
    ...(trained && { training: trained.report }),
    ...(clipped && { clipped }),
    ...(nextCommand !== undefined && { nextCommand }),
    parts: partsAt(facts.bytesBefore, facts.bytesAfter),
    ...(ablation && { ablation }),
    ...(ranges.length > 0 && { ranges }),
    commandLine: commandLine("quantize", [input], options, QUANTIZE_DEFAULTS),
    environment: host.environment(host.runtime),
    ...(change && { evaluation: change.report }),
    warnings: [
      ...warnings,
      ...(check === undefined ? [] : checkWarnings(check)),
      ...(change?.warnings ?? []),
      ...clippingWarnings(clipped ?? []),
    ],
  };
}

/** The same quantized model with other options, for its check alone. */
async function checkedAgain(
  host: Host,
  input: string,
  { ablation: _1, report: _2, writePlan: _3, evaluate: _4, ...options }: AnyQuantizeOptions,
): Promise<number | undefined> {
  const { report } = await quantizeModel(host, input, options);
  return report.check?.snrDb;
}

/** The names that transformers.js loads for dtype "q8", "q4" and "int8". */
const ENDINGS: Readonly<Record<WeightForm, string>> = {
  int8: "_quantized",
  int4: "_q4",
  "int8-only": "_int8",
};

function readPlan(host: Host, path: string | undefined): Plan | undefined {
  return path === undefined ? undefined : parsePlan(host.readPlan(path), path);
}

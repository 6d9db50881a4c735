// The verb quantize: a float model in, its INT8 edition out, checked against the float model, with a report.
import { exportModel } from "../graph/export.js";
import type { Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { maxLengthOf } from "../inputs/length.js";
import { parsePlan, planToJson, weightFormOf, type Plan, type WeightForm } from "../quant/plan.js";
import { REPORT_VERSION, type QuantizeReport } from "../report/report.js";
import { choose } from "../targets/choices.js";
import { floatTarget, targetFor } from "../targets/all.js";
import { requireWeightForm } from "../targets/weight-forms.js";
import { rowsForCheck } from "../calibrate/calibrate-sites.js";
import { checkEdition, checkFeeds, checkWarnings } from "../evaluate/check.js";
import { lowerPlan, planModel } from "../plan/plan-model.js";
import { evaluationOf } from "../evaluate/score.js";
import { clippedShares, clippingWarnings } from "../calibrate/clipping.js";
import { dataOptions } from "../calibrate/calibrate-sites.js";
import { planCalibrated } from "./plan-from-data.js";
import type { Host } from "../host/host.js";
import { trainPlanned } from "../qat/train-planned.js";
import { requireOneForm } from "../options/weight-options.js";
import { commandLine } from "./command-line.js";
import { reportFile, requireReportName } from "./report.js";
import { partsOf } from "../plan/part-reports.js";
import { measureSteps } from "./ablation.js";
import { QUANTIZE_DEFAULTS } from "../options/defaults.js";
import { quantizeSettings, type AnyQuantizeOptions } from "../options/quantize.js";
import { readGraph } from "../host/read-graph.js";
import { saturates } from "../runtime/integer-sums.js";

export interface Quantized {
  /** The file that was written. */
  readonly path: string;
  readonly report: QuantizeReport;
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
  const settings = quantizeSettings(options);
  const { mode, force, seed, signal, onProgress = () => undefined } = settings;
  requireWeightForm(floatTarget(settings.target), mode, settings.weights ?? "int8");
  const target = targetFor(settings.target, mode);
  const choices = choose(target, mode, settings);
  requireReportName(settings.report);
  const start = host.now();
  const file = host.open(input);
  try {
    const given = readPlan(host, settings.plan);
    const form = requireOneForm(settings, given);
    const output = settings.output ?? host.beside(file.path, ENDINGS[form]);
    host.requireWritable(output, force);
    for (const path of [settings.writePlan, settings.report])
      if (path !== undefined) host.requireWritable(path, force);
    onProgress({ step: "reading", done: 0, total: 0 });
    const model = readGraph(file);
    const bytesBefore = file.bytes();
    // Labels first: a wrong one should not show when all is done.
    const evaluate = await evaluationOf(host, file, settings);
    const afterRead = host.now();

    signal?.throwIfAborted();
    onProgress({ step: "planning", done: 0, total: 0 });
    const calibrated =
      form === "int8" &&
      (mode !== "dynamic" || settings.data !== undefined || settings.stats !== undefined)
        ? await planCalibrated(host, file, model, target, {
            ...settings,
            ...choices,
            plan: given,
            onProgress,
          })
        : planModel(model, target, { ...settings, ...choices, plan: given });
    const trained =
      mode === "qat" && settings.data !== undefined
        ? await trainPlanned(host, file, model, target, calibrated, {
            ...settings,
            data: settings.data,
            output,
            onProgress,
          })
        : undefined;
    const planned = trained?.planned ?? calibrated;
    const { sites, plan, reports, rewrites, calibration, weights, warnings = [] } = planned;
    const { ranges = [] } = planned;
    const partsAt = partsOf(sites, plan, choices);
    const rows =
      settings.check && settings.data !== undefined
        ? await rowsForCheck(host, file, model, dataOptions(settings, settings.data))
        : undefined;
    const feeds = rows?.map((row) => row.feeds) ?? (settings.check ? checkFeeds(model, seed) : []);
    const held = settings.evaluate ?? settings.data;
    const clipped =
      mode === "dynamic" || held === undefined || !(settings.check || settings.evaluate)
        ? undefined
        : await clippedShares(
            host,
            file,
            model,
            planned,
            (held === settings.data ? rows : undefined) ??
              (await rowsForCheck(host, file, model, dataOptions(settings, held))),
            signal,
          );
    const nextCommand = target.command?.({
      path: output,
      inputs: inputsOf(model),
      maxLength: maxLengthOf(model),
      fp16: choices.fp16,
    });
    lowerPlan(model, sites, plan, target, { ...choices, weights });
    const afterPlan = host.now();

    signal?.throwIfAborted();
    onProgress({ step: "writing", done: 0, total: 0 });
    const written = host.write(output, exportModel(model), { force, external: file.external });
    const afterWrite = host.now();
    const peakMemoryBytes = host.peakMemory();

    const check = await undoOnFailure(host, written.files, async () => {
      if (settings.writePlan !== undefined)
        host.writeText(settings.writePlan, planToJson(plan), force);
      if (!settings.check) return undefined;
      onProgress({ step: "checking", done: 0, total: 0 });
      const inputs = settings.data === undefined ? "synthetic" : "data";
      const saturated = target.runsInHost === true && (await saturates(host.runtime));
      return checkEdition(host.runtime, file.path, output, { feeds, inputs, saturated, signal });
    });
    const end = host.now();
    const ablation = settings.ablation
      ? await undoOnFailure(host, written.files, () =>
          measureSteps(host, {
            calibration,
            outliers: given === undefined ? (rewrites.outlier ?? 0) : 0,
            again: (changed) => checkedAgain(host, input, { ...options, ...changed }),
          }),
        )
      : undefined;
    const evaluation = await evaluate?.(output);
    const report: QuantizeReport = {
      version: REPORT_VERSION,
      command: "quantize",
      model: file.path,
      output,
      mode,
      target: target.name,
      weights: weightFormOf(plan),
      bytesBefore,
      bytesAfter: written.bytes,
      sites: reports,
      rewrites,
      seconds: {
        read: afterRead - start,
        plan: afterPlan - afterRead,
        write: afterWrite - afterPlan,
        ...(check === undefined ? {} : { check: end - afterWrite }),
      },
      peakMemoryBytes,
      ...(check === undefined ? {} : { check }),
      ...(calibration === undefined ? {} : { calibration }),
      ...(trained === undefined ? {} : { training: trained.report }),
      ...(clipped === undefined ? {} : { clipped }),
      ...(nextCommand === undefined ? {} : { nextCommand }),
      parts: partsAt(bytesBefore, written.bytes),
      ...(ablation === undefined ? {} : { ablation }),
      ...(ranges.length === 0 ? {} : { ranges }),
      commandLine: commandLine("quantize", [input], options, QUANTIZE_DEFAULTS),
      environment: host.environment(host.runtime),
      ...(evaluation === undefined ? {} : { evaluation: evaluation.report }),
      warnings: [
        ...warnings,
        ...(check === undefined ? [] : checkWarnings(check)),
        ...(evaluation?.warnings ?? []),
        ...clippingWarnings(clipped ?? []),
      ],
    };
    const { report: page } = settings;
    if (page !== undefined)
      await undoOnFailure(host, written.files, async () =>
        host.writeText(page, reportFile(page, report), force),
      );
    trained?.finish();
    return { path: output, report };
  } finally {
    file.close();
  }
}

function inputsOf({ graph }: Model): Value[] {
  return graph.inputs.filter((value) => value.tensor === undefined);
}

/** The same edition with other options, for its check alone. */
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

/** Takes files away again where what follows fails. */
export async function undoOnFailure<T>(
  host: Host,
  files: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    host.remove(files);
    throw error;
  }
}

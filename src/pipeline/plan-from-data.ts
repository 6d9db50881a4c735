// Plans from data: calibrates the float model, smooths it, and plans its sites; static mode with the ranges found, dynamic mode for the smoothing alone.
import { ESTIMATORS, estimatorOf } from "../calibrate/estimator-names.js";
import {
  parseStatistics,
  type Statistics,
  type StatisticsOptions,
} from "../calibrate/statistics-file.js";
import { tapModel } from "../calibrate/taps.js";
import { OptionError, StatisticsError } from "../errors.js";
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { findSites, type Site } from "../quant/sites.js";
import type { OnProgress } from "../report/progress.js";
import {
  ATTENTION,
  RESIDUAL,
  type AttentionChoice,
  type ResidualChoice,
  type Target,
} from "../targets/target.js";
import {
  calibrateSites,
  dataOptions,
  type DataSettings,
  drawFor,
  operandsOf,
  type Calibrated,
  type TapOptions,
} from "../calibrate/calibrate-sites.js";
import { planSites, type Planned, type PlanOptions } from "../plan/plan-model.js";
import { copyOf } from "../calibrate/float-copy.js";
import type { Host, OpenedModel } from "../host/host.js";
import { roundPlan } from "../ptq/gptq/round-plan.js";
import { rangeReports } from "../calibrate/range-reports.js";
import { rangesFrom } from "../ptq/ranges.js";
import { readGraph } from "../host/read-graph.js";
import { withTwoTerms } from "../ptq/second-term/plan-second-terms.js";
import { prepareCalibrated } from "../plan/prepare-calibrated.js";

export interface CalibratedOptions extends PlanOptions, DataSettings, TapOptions {
  readonly attention: AttentionChoice;
  readonly residual: ResidualChoice;
  readonly stats?: string | undefined;
  readonly samples: number | "all";
  readonly smooth: boolean;
  /** Round weights against the covariance of their inputs; needs data, also beside statistics. */
  readonly round: boolean;
  /** Put mean errors into biases. */
  readonly correct: boolean;
  /** The name of a range estimator. */
  readonly range: string;
  /** "high": activations that cost most get two terms. */
  readonly accuracy: "default" | "high";
  /** Share of all multiplications that second terms may take. */
  readonly extraProducts: number;
  readonly onProgress: OnProgress;
}

/**
 * Prepares `model` in place, calibrates it (or takes statistics) and plans its sites. Throws OptionError without data, StatisticsError for
 * statistics of another model, what calibration throws, and as `planModel`.
 */
export async function planCalibrated(
  host: Host,
  file: OpenedModel,
  model: Model,
  target: Target,
  options: CalibratedOptions,
): Promise<Planned> {
  const rewrites = prepareCalibrated(model, target, options);
  const found = findSites(model);
  const start = host.now();
  const operands = operandsOf(found, target, options);
  const {
    statistics,
    batches,
    resumed: _,
    ...rows
  } = await statisticsFor(host, file, model, target, operands, options);
  // By the names that the graph has before it is smoothed.
  const warnings = nonFiniteWarnings(statistics, model);
  options.onProgress({ step: "smoothing", done: 0, total: 0 });
  const estimator = estimatorOf(options.range);
  if (estimator === undefined) throw new OptionError("range", options.range, ESTIMATORS);
  const { smooth } = options;
  const ranged = rangesFrom(model, found, statistics, { smooth, estimator });
  model.graph.sort();
  inferTypes(model);
  const planned = planSites(
    ranged.sites,
    target,
    { ...options, rangeOf: ranged.rangeOf },
    rewrites,
  );
  const float = options.mode === "qat" ? copyOf(model) : undefined;
  const drawn = options.round || options.accuracy === "high" ? await batches?.() : undefined;
  const doubled =
    options.accuracy === "high"
      ? await withTwoTerms(host, file, model, target, planned, drawn, options)
      : { plan: planned.plan, activations: 0 };
  const improved = await roundPlan(
    host,
    file,
    model,
    planned.sites,
    doubled.plan,
    { meansOf: ranged.meansOf, batches: options.round ? drawn : undefined },
    { ...options, correct: options.correct && options.mode !== "dynamic" },
  );
  return {
    ...planned,
    ...(float === undefined ? {} : { float }),
    plan: doubled.plan,
    sites: improved.sites,
    weights: improved.weights,
    ranges: rangeReports(improved.sites, doubled.plan, ranged.seenOf),
    calibration: {
      ...rows,
      smoothed: ranged.smoothed,
      rounded: improved.rounded,
      corrected: improved.corrected,
      twoTerms: doubled.activations,
      activations: statistics.tensors.size,
      seconds: host.now() - start,
    },
    warnings: [...warnings, ...(options.round && batches === undefined ? [NEAREST] : [])],
  };
}

const NEAREST =
  "Weights are rounded to the nearest: rounding against covariances needs --data beside --stats.";

/** `model`: to name the node that computes the activation. */
export function nonFiniteWarnings({ tensors }: Statistics, model?: Model): string[] {
  return [...tensors].flatMap(([name, { nonFinite }]) => {
    if (nonFinite === undefined) return [];
    const node = model?.graph.value(name)?.producer;
    const of =
      node === undefined ? "" : ` (of ${node.op}${node.name === "" ? "" : ` "${node.name}"`})`;
    return [
      `Activation "${name}"${of} holds a NaN or an infinity (first in batch ${nonFinite.first}); the sites that read it stay in float.`,
    ];
  });
}

/** Throws StatisticsError where a site reads what the statistics could have, and have not. */
function requireTensors(
  { tensors, source }: Statistics,
  model: Model,
  operands: ReadonlyMap<string, Site>,
): void {
  const missing = [...operands.keys()].filter((name) => !tensors.has(name));
  const own = model.graph.outputs.length;
  const untapped = new Set(tapModel(model, missing).map(({ name }) => name));
  model.graph.truncateOutputs(own);
  const name = missing.find((each) => !untapped.has(each));
  if (name === undefined) return;
  throw new StatisticsError(
    `they have no tensor "${name}", which site "${operands.get(name)?.name}" reads`,
    "those of the same target and options, by the same version of Octavo",
    "Calibrate again.",
    source,
  );
}

/** With statistics, data serves for all but ranges. */
async function statisticsFor(
  host: Host,
  file: OpenedModel,
  model: Model,
  target: Target,
  operands: ReadonlyMap<string, Site>,
  options: CalibratedOptions,
): Promise<Pick<Calibrated, "statistics"> & Partial<Calibrated>> {
  const { data, stats, samples, outliers, attention, residual, onProgress } = options;
  const taps = { outliers, attention, residual };
  const names = [...operands.keys()];
  if (stats !== undefined) {
    const statistics = parseStatistics(host.readStatistics(stats), stats);
    requireOf(statistics, host.fingerprint(file), taps, stats);
    requireTensors(statistics, model, operands);
    if (data === undefined) return { statistics };
    const given = { ...dataOptions(options, data), samples };
    const drawn = drawFor(host, file, model, names, given);
    return { statistics, batches: drawn };
  }
  if (data === undefined)
    throw new OptionError(
      "data",
      "left out in static mode",
      "a file of texts to calibrate with ({data: train.jsonl}), or statistics ({stats: stats.json})",
    );
  const copy = readGraph(file);
  prepareCalibrated(copy, target, taps);
  return calibrateSites(host, file, copy, names, {
    ...dataOptions(options, data),
    samples,
    ...taps,
    onProgress,
  });
}

function requireOf(
  { model, options }: Statistics,
  fingerprint: string,
  { outliers, attention, residual }: TapOptions,
  path: string,
): void {
  if (model !== fingerprint)
    throw new StatisticsError(
      `they are of the model ${model}`,
      fingerprint,
      "Calibrate this model, or name the one that they are of.",
      path,
    );
  if (options["outliers"] !== outliers)
    throw new StatisticsError(
      `they were taken with outliers ${String(options["outliers"])}`,
      String(outliers),
      "Use --no-outliers for both or for neither.",
      path,
    );
  requireChoice("attention", ATTENTION, options["attention"], attention, path);
  requireChoice("residual", RESIDUAL, options["residual"], residual, path);
}

/** Statistics may hold more than is asked for (each choice holds what stands before it in `choices`), not less. Files of earlier versions hold none of it. */
function requireChoice(
  option: string,
  choices: readonly string[],
  taken: StatisticsOptions[string] | undefined,
  wanted: string,
  path: string,
): void {
  const given = typeof taken === "string" ? taken : "none";
  if (choices.indexOf(given) >= choices.indexOf(wanted)) return;
  throw new StatisticsError(
    `they were taken with ${option} ${given}`,
    wanted,
    `Calibrate with --${option} ${wanted} and the same target, or quantize with --${option} ${given}.`,
    path,
  );
}

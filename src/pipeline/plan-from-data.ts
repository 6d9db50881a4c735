// Plans from data: calibrates the float model, smooths it, and plans its sites; static mode with the ranges found, dynamic mode for the smoothing alone.
import { ESTIMATORS, estimatorOf } from "../calibrate/estimator-names.js";
import {
  parseStatistics,
  type Statistics,
  type StatisticsOptions,
} from "../calibrate/statistics-file.js";
import { addObservers } from "../calibrate/observers.js";
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
  dataOptions,
  type DataSettings,
  drawFor,
  operandsOf,
  rowsForCheck,
  withCalibrated,
  type Calibrated,
  type ObserverOptions,
} from "../calibrate/calibrate-sites.js";
import { planSites, type Planned, type PlanOptions } from "../plan/plan-model.js";
import { copyOf } from "../calibrate/float-copy.js";
import { clippedShares, withObserved, type Observed } from "../calibrate/clipping.js";
import type { RunBatches } from "../data/run-batches.js";
import type { Run } from "../host/run.js";
import type { ClippedReport } from "../report/report.js";
import { roundPlan } from "../ptq/gptq/round-plan.js";
import { rangeReports } from "../calibrate/range-reports.js";
import { rangesFrom, type Ranged } from "../ptq/ranges.js";
import { readGraph } from "../host/read-graph.js";
import { withSecondTerms } from "../ptq/second-term/plan-second-terms.js";
import { prepareCalibrated } from "../plan/prepare-calibrated.js";

export interface CalibratedOptions extends PlanOptions, DataSettings, ObserverOptions {
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
  /** "high": activations that cost most get a second term. */
  readonly accuracy: "default" | "high";
  /** Data that is looked at for values beyond the ranges. */
  readonly unseen?: string | readonly string[] | undefined;
  /** Share of all multiplications that second terms may take. */
  readonly extraProducts: number;
  readonly onProgress: OnProgress;
}

/** Statistics, and what becomes of the plan by them. */
interface Found {
  readonly calibrated: FromStatistics;
  /** By the names that the graph has before it is smoothed. */
  readonly warnings: readonly string[];
  readonly ranged: Ranged;
  readonly planned: Planned;
}

/**
 * Prepares `model` in place, calibrates it (or takes statistics) and plans its sites. Throws OptionError without data, StatisticsError for
 * statistics of another model, what calibration throws, and as `planModel`.
 */
export async function planCalibrated(
  run: Run,
  model: Model,
  target: Target,
  options: CalibratedOptions,
): Promise<Planned> {
  const rewrites = prepareCalibrated(model, target, options);
  const sites = findSites(model);
  const start = run.host.now();
  const { calibrated, warnings, ranged, planned } = await withStatistics(
    run,
    { model, target, sites },
    options,
    async (calibrated, observed) => {
      const { statistics } = calibrated;
      const warnings = nonFiniteWarnings(statistics, model);
      options.onProgress({ step: "smoothing", done: 0, total: 0 });
      const ranged = rangedModel(model, sites, statistics, options);
      const { rangeOf } = ranged;
      const planned = planSites(ranged.sites, target, { ...options, rangeOf }, rewrites);
      const clipped = await clippedIn(run, model, planned, { ranged, observed, options });
      return { calibrated, warnings, ranged, planned: { ...planned, clipped } } satisfies Found;
    },
  );
  const float = options.mode === "qat" ? copyOf(model) : undefined;
  const { statistics, batches, resumed: _, ...rows } = calibrated;
  const { weights, plan, secondTerms, rounded, corrected, ...improved } = await improvedPlan(
    run,
    model,
    target,
    { planned, meansOf: ranged.meansOf, batches },
    options,
  );
  return {
    ...planned,
    ...(float === undefined ? {} : { float }),
    plan,
    sites: improved.sites,
    weights,
    ranges: rangeReports(improved.sites, plan, ranged.seenOf),
    calibration: {
      ...rows,
      smoothed: ranged.smoothed,
      rounded,
      corrected,
      secondTerms,
      activations: statistics.tensors.size,
      seconds: run.host.now() - start,
    },
    warnings: [...warnings, ...(options.round && batches === undefined ? [NEAREST] : [])],
  };
}

/** Smooths `model` in place. Throws OptionError for a range estimator that there is not. */
function rangedModel(
  model: Model,
  sites: readonly Site[],
  statistics: Statistics,
  { range, smooth }: CalibratedOptions,
): Ranged {
  const estimator = estimatorOf(range);
  if (estimator === undefined) throw new OptionError("range", range, ESTIMATORS);
  const ranged = rangesFrom(model, sites, statistics, { smooth, estimator });
  model.graph.sort();
  inferTypes(model);
  return ranged;
}

/** Undefined where nobody asks for it, or ranges are found at run time. */
async function clippedIn(
  run: Run,
  model: Model,
  planned: Planned,
  context: {
    readonly ranged: Ranged;
    readonly observed: WithTapped;
    readonly options: CalibratedOptions;
  },
): Promise<ClippedReport[] | undefined> {
  const { ranged, observed, options } = context;
  const { unseen, mode, signal } = options;
  if (unseen === undefined || mode === "dynamic") return undefined;
  const batches = await rowsForCheck(run, model, dataOptions(options, unseen));
  const { sourceOf } = ranged;
  return observed((heard) => clippedShares(heard, planned, { sourceOf, batches, signal }));
}

/** Second terms, rounded weights and corrected biases. */
async function improvedPlan(
  run: Run,
  model: Model,
  target: Target,
  from: {
    readonly planned: Planned;
    readonly meansOf: Ranged["meansOf"];
    readonly batches: (() => Promise<RunBatches>) | undefined;
  },
  options: CalibratedOptions,
) {
  const { planned, meansOf } = from;
  const { sites } = planned;
  const isHigh = options.accuracy === "high";
  const batches = options.round || isHigh ? await from.batches?.() : undefined;
  const { plan, activations } = isHigh
    ? await withSecondTerms(run, model, target, { ...planned, batches }, options)
    : { plan: planned.plan, activations: 0 };
  const rounded = await roundPlan(
    run,
    model,
    { sites, plan, meansOf, batches: options.round ? batches : undefined },
    { ...options, correct: options.correct && options.mode !== "dynamic" },
  );
  return { ...rounded, plan, secondTerms: activations };
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
  const unobserved = new Set(addObservers(model, missing).map(({ name }) => name));
  model.graph.truncateOutputs(own);
  const name = missing.find((each) => !unobserved.has(each));
  if (name === undefined) return;
  throw new StatisticsError(
    `they have no tensor "${name}", which site "${operands.get(name)?.name}" reads`,
    "those of the same target and options, by the same version of Octavo",
    "Calibrate again.",
    source,
  );
}

type FromStatistics = Pick<Calibrated, "statistics"> & Partial<Calibrated>;

/** Listens to the float model, which is loaded for it where it is not yet. */
type WithTapped = <T>(work: (observed: Observed) => Promise<T>) => Promise<T>;

interface Prepared {
  readonly model: Model;
  readonly target: Target;
  readonly sites: readonly Site[];
}

/** Calibrates; or takes statistics, with which data serves for all but ranges. */
async function withStatistics<T>(
  run: Run,
  { model, target, sites }: Prepared,
  options: CalibratedOptions,
  work: (calibrated: FromStatistics, observed: WithTapped) => Promise<T>,
): Promise<T> {
  const { data, stats, samples, outliers, attention, residual, onProgress } = options;
  const { host, file } = run;
  const observers = { outliers, attention, residual };
  const operands = operandsOf(sites, target, options);
  const names = [...operands.keys()];
  const floatCopy = (): Model => {
    const copy = readGraph(file);
    prepareCalibrated(copy, target, observers);
    return copy;
  };
  if (stats !== undefined) {
    const statistics = parseStatistics(host.readStatistics(stats), stats);
    requireOf(statistics, host.fingerprint(file), observers, stats);
    requireTensors(statistics, model, operands);
    const batches = data && drawFor(run, model, names, { ...dataOptions(options, data), samples });
    const calibrated = { statistics, ...(batches && { batches }) };
    return work(calibrated, (heard) => withObserved(run, floatCopy(), names, heard));
  }
  if (data === undefined)
    throw new OptionError(
      "data",
      "left out in static mode",
      "a file of texts to calibrate with ({data: train.jsonl}), or statistics ({stats: stats.json})",
    );
  const given = { ...dataOptions(options, data), samples, ...observers, onProgress };
  return withCalibrated(run, floatCopy(), names, given, (calibrated, observed) =>
    work(calibrated, (heard) => heard(observed)),
  );
}

function requireOf(
  { model, options }: Statistics,
  fingerprint: string,
  { outliers, attention, residual }: ObserverOptions,
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

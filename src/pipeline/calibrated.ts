// Plans from data: calibrates the float model, smooths it, and plans its sites; static mode with the ranges found, dynamic mode for the smoothing alone.
import {
  parseStatistics,
  type Statistics,
  type StatisticsOptions,
} from "../calibrate/statistics-file.js";
import { OptionError, StatisticsError } from "../errors.js";
import type { Model } from "../graph/model.js";
import { setOutliersApart } from "../improve/outliers.js";
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
  operandsOf,
  type Calibrated,
  type CalibrationOptions,
  type TapOptions,
} from "./calibration.js";
import { planSites, requireFloat, type Planned, type PlanOptions } from "./edition.js";
import type { Host, OpenedModel } from "./host.js";
import { prepare } from "./prepare.js";
import { roundPlan } from "./rounding.js";
import { rangesFrom } from "./ranges.js";
import { readGraph } from "./read.js";
import { withTwoTerms } from "./two-terms.js";

/** Where texts come from and how they are read, as the user says it. */
export interface DataSettings {
  readonly data?: string | readonly string[] | undefined;
  readonly seed: number;
  readonly maxLength?: number | undefined;
  readonly textColumn?: string | undefined;
  readonly pairColumn?: string | undefined;
  readonly tokensColumn?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CalibratedOptions extends PlanOptions, DataSettings, TapOptions {
  readonly attention: AttentionChoice;
  readonly residual: ResidualChoice;
  readonly stats?: string | undefined;
  readonly samples: number | "all";
  readonly smooth: boolean;
  /** Round weights against the covariance of their inputs; needs data. */
  readonly round: boolean;
  /** Put mean errors into biases. */
  readonly correct: boolean;
  /** "high": activations that cost most get two terms. */
  readonly accuracy: "default" | "high";
  /** Share of all multiplications that second terms may take. */
  readonly extraProducts: number;
  readonly onProgress: OnProgress;
}

/** The same for the step that reads them. */
export function dataOptions(
  settings: DataSettings,
  data: string | readonly string[],
): Omit<CalibrationOptions, "samples" | "onProgress" | keyof TapOptions> {
  const { seed, maxLength, signal, textColumn, pairColumn, tokensColumn } = settings;
  return {
    data: typeof data === "string" ? [data] : data,
    columns: { text: textColumn, textPair: pairColumn, tokens: tokensColumn },
    seed,
    maxLength,
    signal,
  };
}

function setApartIn(model: Model): number {
  const count = setOutliersApart(model, findSites(model));
  if (count === 0) return 0;
  model.graph.sort();
  inferTypes(model);
  return count;
}

/** A graph as it is calibrated; deterministic, so that a second copy has the same names. */
export function prepareCalibrated(
  model: Model,
  target: Target,
  { outliers, attention }: Pick<TapOptions, "outliers" | "attention">,
): Planned["rewrites"] {
  requireFloat(model);
  const { rewrites } = prepare(model, target, { attention });
  const outlier = outliers ? setApartIn(model) : 0;
  return outlier === 0 ? rewrites : { ...rewrites, outlier };
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
  const { statistics, batches, ...rows } = await statisticsFor(host, file, target, found, options);
  options.onProgress({ step: "smoothing", done: 0, total: 0 });
  const ranged = rangesFrom(model, found, statistics, options);
  const planned = planSites(
    ranged.sites,
    target,
    { ...options, rangeOf: ranged.rangeOf },
    rewrites,
  );
  const doubled =
    options.accuracy === "high"
      ? await withTwoTerms(host, file, model, target, planned, batches, options)
      : { plan: planned.plan, activations: 0 };
  const improved = await roundPlan(
    host,
    file,
    model,
    planned.sites,
    doubled.plan,
    { meansOf: ranged.meansOf, batches },
    { ...options, correct: options.correct && options.mode !== "dynamic" },
  );
  return {
    ...planned,
    plan: doubled.plan,
    sites: improved.sites,
    weights: improved.weights,
    calibration: {
      ...rows,
      smoothed: ranged.smoothed,
      rounded: improved.rounded,
      corrected: improved.corrected,
      twoTerms: doubled.activations,
      activations: statistics.tensors.size,
      seconds: host.now() - start,
    },
    warnings: [
      ...nonFiniteWarnings(statistics),
      ...(options.round && batches === undefined ? [NEAREST] : []),
    ],
  };
}

const NEAREST =
  "Weights are rounded to the nearest: rounding against covariances needs --data in place of --stats.";

export function nonFiniteWarnings({ tensors }: Statistics): string[] {
  return [...tensors].flatMap(([name, { nonFinite }]) =>
    nonFinite === undefined
      ? []
      : [
          `Activation "${name}" holds a NaN or an infinity (first in batch ${nonFinite.first}); the sites that read it stay in float.`,
        ],
  );
}

async function statisticsFor(
  host: Host,
  file: OpenedModel,
  target: Target,
  sites: readonly Site[],
  options: CalibratedOptions,
): Promise<Pick<Calibrated, "statistics"> & Partial<Calibrated>> {
  const { data, stats, samples, outliers, attention, residual, onProgress } = options;
  const taps = { outliers, attention, residual };
  if (stats !== undefined) {
    const statistics = parseStatistics(host.readStatistics(stats), stats);
    requireOf(statistics, host.fingerprint(file), taps, stats);
    return { statistics };
  }
  if (data === undefined)
    throw new OptionError(
      "data",
      "left out in static mode",
      "a file of texts to calibrate with (--data train.jsonl), or statistics (--stats)",
    );
  const copy = readGraph(file);
  prepareCalibrated(copy, target, taps);
  return calibrateSites(host, file, copy, operandsOf(sites, target, taps), {
    ...dataOptions(options, data),
    samples: samples === "all" ? Infinity : samples,
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

// Static plans: calibrates the float model on data, smooths it, and plans its sites with the ranges found.
import { OptionError } from "../errors.js";
import type { Model } from "../graph/model.js";
import { setOutliersApart } from "../improve/outliers.js";
import { inferTypes } from "../ops/infer.js";
import { findSites } from "../quant/sites.js";
import type { OnProgress } from "../report/progress.js";
import type { Target } from "../targets/target.js";
import { calibrateSites, type CalibrationOptions } from "./calibration.js";
import { planSites, requireFloat, type Planned, type PlanOptions } from "./edition.js";
import type { Host, OpenedModel } from "./host.js";
import { prepare } from "./prepare.js";
import { rangesFrom } from "./ranges.js";
import { readGraph } from "./read.js";

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

export interface StaticOptions extends PlanOptions, DataSettings {
  readonly samples: number | "all";
  readonly smooth: boolean;
  readonly onProgress: OnProgress;
}

/** The same for the step that reads them. */
export function dataOptions(
  settings: DataSettings,
  data: string | readonly string[],
): Omit<CalibrationOptions, "samples" | "onProgress"> {
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

/**
 * Prepares `model` in place, calibrates it and plans its sites. Throws OptionError without data, what calibration throws, and as `planModel`.
 */
export async function planStatic(
  host: Host,
  file: OpenedModel,
  model: Model,
  target: Target,
  options: StaticOptions,
): Promise<Planned> {
  const { data, samples, onProgress } = options;
  if (data === undefined)
    throw new OptionError(
      "data",
      "left out in static mode",
      "a file of texts to calibrate with (--data train.jsonl)",
    );
  requireFloat(model);
  const { rewrites } = prepare(model, target);
  const outlier = options.outliers ? setApartIn(model) : 0;
  const found = findSites(model);
  const start = host.now();
  // Preparing is deterministic: a second copy has the same names, and may be given outputs of its own.
  const copy = readGraph(file);
  prepare(copy, target);
  if (options.outliers) setApartIn(copy);
  const calibrated = await calibrateSites(host, file, copy, found, {
    ...dataOptions(options, data),
    samples: samples === "all" ? Infinity : samples,
    onProgress,
  });
  onProgress({ step: "smoothing", done: 0, total: 0 });
  const ranged = rangesFrom(model, found, calibrated.statistics, options);
  const planned = planSites(
    ranged.sites,
    target,
    { ...options, rangeOf: ranged.rangeOf },
    outlier === 0 ? rewrites : { ...rewrites, outlier },
  );
  const { rows, truncated, empty, statistics } = calibrated;
  return {
    ...planned,
    calibration: {
      rows,
      truncated,
      empty,
      smoothed: ranged.smoothed,
      activations: statistics.tensors.size,
      seconds: host.now() - start,
    },
    warnings: [...statistics.tensors].flatMap(([name, { nonFinite }]) =>
      nonFinite === undefined
        ? []
        : [
            `Activation "${name}" holds a NaN or an infinity (first in batch ${nonFinite.first}); the sites that read it stay in float.`,
          ],
    ),
  };
}

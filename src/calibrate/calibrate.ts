// The run: the float model over a sample, unit by unit, each observed value into its statistics.
import { StatisticsError } from "../errors.js";
import { observe } from "./observe.js";
import type { Statistics } from "./statistics-file.js";
import type { Observer } from "./observers.js";
import type { TensorStatistics } from "./tensor-statistics.js";
import { hasUnit, withUnit } from "./units.js";
import { visitObserved, type ObservedRun } from "./visit.js";

export type CalibrationRun = ObservedRun & {
  /**
   * Where the run begins: `emptyStatistics`, or those of a run that was cut off. They are taken over: the run adds to their tensors.
   * Units that they cover already are passed over.
   */
  readonly statistics: Statistics;
  /** Called after each unit, when the statistics hold the unit wholly: `statisticsToJson` then gives a checkpoint. */
  readonly onUnit?: ((unit: number, statistics: Statistics) => void | Promise<void>) | undefined;
};

/**
 * Statistics of all observers over all units. Runs over parts of the units, merged, or cut off and taken up again, give the same bytes as one run
 * (as far as the runtime's results do not change from run to run). Throws RuntimeFailedError, StatisticsError for an observer that is not real or
 * does not fit its mask, and the reason of an abort.
 */
export async function calibrate(run: CalibrationRun): Promise<Statistics> {
  const { onUnit, observers } = run;
  let { statistics } = run;
  run.signal?.throwIfAborted();
  const tensors = observers.map((observer) => tensorOf(statistics, observer));
  await visitObserved(
    run,
    (unit, seen) => {
      requireUnit(unit, statistics.units);
      for (const [i, { data, dims, rows }] of seen.entries())
        observe(tensors[i] as TensorStatistics, data, dims, rows, unit);
      statistics = { ...statistics, covered: withUnit(statistics.covered, unit) };
      return onUnit?.(unit, statistics);
    },
    (unit) => hasUnit(statistics.covered, unit),
  );
  return statistics;
}

function tensorOf({ tensors }: Statistics, { name }: Observer): TensorStatistics {
  const tensor = tensors.get(name);
  if (tensor !== undefined) return tensor;
  throw new StatisticsError(
    `they have no tensor "${name}"`,
    "those of a run with the same observers",
    "Begin the run anew, or use the same target and plan as before.",
  );
}

function requireUnit(unit: number, units: number): void {
  if (!Number.isSafeInteger(unit) || unit < 0 || unit >= units)
    throw new Error(`internal: unit ${unit} is none of ${units}`);
}

// What a calibration keeps beside its output while it runs, so that one that was cut off is taken up again.
import {
  mergeStatistics,
  parseStatistics,
  statisticsToJson,
  type Statistics,
} from "./statistics-file.js";
import { WRITING } from "./defaults.js";
import { StatisticsError } from "../errors.js";
import type { Host } from "../host/host.js";

export interface Checkpoint {
  /** Where a run begins: with what is kept of an earlier run, or with `empty`. */
  resume(empty: Statistics, owns: (unit: number) => boolean): Statistics;
  /** After each unit: kept when the time has come. The statistics are read at once. */
  offer(statistics: () => Statistics): void;
  /** Keeps what was offered last, if it is not kept yet. */
  flush(): void;
  remove(): void;
}

export interface CheckpointOptions {
  /** Seconds between two checkpoints, at least. */
  readonly every: number;
  /** What is kept of another run is thrown away, with a warning, instead of being an error. */
  readonly force: boolean;
  readonly warn: (warning: string) => void;
}

/** Where the checkpoint of an output is. */
function checkpointPath(output: string): string {
  return `${output}.part`;
}

/** `resume` throws StatisticsError for what is kept of another run, unless `force`; `offer` throws WriteFailedError. */
export function checkpointFor(
  host: Host,
  output: string,
  { every, force, warn }: CheckpointOptions,
): Checkpoint {
  const path = checkpointPath(output);
  let waiting: (() => Statistics) | undefined;
  let next = host.now() + every;
  const flush = () => {
    if (waiting === undefined) return;
    const start = host.now();
    host.writeText(path, statisticsToJson(waiting()), true);
    const end = host.now();
    next = end + Math.max(every, (end - start) / WRITING);
    waiting = undefined;
  };
  return {
    resume(empty, owns) {
      const text = host.readIfThere(path);
      if (text === undefined) return empty;
      try {
        return keptOf(text, path, empty, owns);
      } catch (error) {
        if (!(error instanceof StatisticsError)) throw error;
        const { got, expected } = error;
        if (!force)
          throw new StatisticsError(
            got,
            expected,
            "It is kept from a run that was cut off: give the same command again, name another output, or begin anew with --force.",
            path,
          );
        warn(`${path} is of another run (${got}); this one begins anew.`);
        return empty;
      }
    },
    offer(statistics) {
      waiting = statistics;
      if (host.now() >= next) flush();
    },
    flush,
    remove: () => host.remove([path]),
  };
}

/** Throws StatisticsError for what is not of this run. */
function keptOf(
  text: string,
  path: string,
  empty: Statistics,
  owns: (unit: number) => boolean,
): Statistics {
  const kept = parseStatistics(text, path);
  // Of no units and of some: nothing is added, and all that must be alike is compared.
  const { covered } = mergeStatistics([{ ...empty, source: "this run" }, kept]);
  for (const [from, to] of covered)
    for (let unit = from; unit < to; unit++)
      if (!owns(unit))
        throw new StatisticsError("it is of another shard", "the shard of this run", "", path);
  return kept;
}

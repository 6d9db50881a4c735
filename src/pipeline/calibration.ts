// Calibration as a step: the float model over a sample of data, listened to at the inputs of its sites; statistics out.
import { calibrate } from "../calibrate/calibrate.js";
import {
  emptyStatistics,
  type Statistics,
  type StatisticsOptions,
} from "../calibrate/statistics-file.js";
import { tapModel } from "../calibrate/taps.js";
import { unitsIn } from "../calibrate/units.js";
import type { RunBatch, RunBatches } from "../data/run-batches.js";
import { exportModel } from "../graph/export.js";
import type { Model } from "../graph/model.js";
import type { Site } from "../quant/sites.js";
import type { Port } from "../runtime/runtime.js";
import { sampledBatches, workOf, type RowCounts, type WorkOptions } from "./calibration-work.js";
import { tapsOf } from "./clipping.js";
import type { Checkpoint } from "./checkpoint.js";
import type { Host, OpenedModel } from "./host.js";

export interface CalibrationOptions extends Omit<WorkOptions, "batchTokens"> {
  /** Setting outliers apart names tensors and changes them: statistics of one setting do not fit the other. */
  readonly outliers: boolean;
  /** What is kept of the run while it lasts. */
  readonly checkpoint?: Checkpoint | undefined;
}

type DataOptions = Omit<WorkOptions, "batchTokens" | "samples" | "onProgress" | "shard">;

export interface Calibrated extends RowCounts {
  readonly statistics: Statistics;
  /** Of what was run: of all data, a sample. Drawn when it is called. */
  readonly batches: () => Promise<RunBatches>;
  /** Units that an earlier run had done. */
  readonly resumed: number;
}

/** Names of the values that the sites of a plan need ranges of, each once. */
function activationsOf(sites: readonly Site[]): string[] {
  const names = sites.flatMap((site) =>
    site.kind === "linear" && !site.constantInput ? [site.activation.name] : [],
  );
  return [...new Set(names)];
}

/** The values of all taps of a batch are held at once, by the runtime and as its results: bytes that they may take, and tokens of a batch at most. */
const HELD_BYTES = 64e6;
const MOST_TOKENS = 1024;
/** What a length is that the graph leaves open. */
const LENGTH = 128;

/** Tokens of a batch, by the sizes of the values that are listened to: the same for a model on every machine. */
function tokensAtOnce({ graph }: Model, names: readonly string[]): number {
  let elements = 0;
  for (const name of names) {
    const [, ...dims] = graph.value(name)?.shape ?? [];
    elements += dims.reduce<number>((n, dim) => n * (typeof dim === "number" ? dim : LENGTH), 1);
  }
  const bytesPerToken = (4 * elements) / LENGTH;
  return Math.max(LENGTH, Math.min(MOST_TOKENS, Math.floor(HELD_BYTES / bytesPerToken)));
}

/**
 * Statistics of the inputs of all linear sites. `model` is a prepared graph that nobody needs any more: it gets its taps as outputs. Throws what data
 * and tokenizer throw, StatisticsError, RuntimeFailedError, and the reason of an abort.
 */
export async function calibrateSites(
  host: Host,
  file: OpenedModel,
  model: Model,
  sites: readonly Site[],
  options: CalibrationOptions,
): Promise<Calibrated> {
  const names = activationsOf(sites);
  const batchTokens = tokensAtOnce(model, names);
  const work = await workOf(host, file, portsOf(model), { ...options, batchTokens });
  const untapped = new Set(tapModel(model, names).map(({ name }) => name));
  const taps = tapsOf(
    model,
    names.filter((name) => !untapped.has(name)),
  );
  const temporary = host.writeTemporary(exportModel(model), file.external);
  const { checkpoint, signal } = options;
  try {
    const facts = {
      model: host.fingerprint(file),
      options: { ...decisive(options), data: work.digest },
      units: work.units,
    };
    const empty = emptyStatistics(
      facts,
      taps.map(({ name }) => name),
    );
    const begun = checkpoint?.resume(empty, (unit) => work.owns(unit)) ?? empty;
    const complete = (statistics: Statistics): Statistics => ({
      ...statistics,
      covered: work.covered(statistics.covered),
    });
    const statistics = await calibrate({
      runtime: host.runtime,
      model: temporary.path,
      taps,
      batches: work.batches,
      statistics: begun,
      onUnit: (_, seen) => checkpoint?.offer(() => complete(seen)),
      signal,
    });
    return {
      statistics: complete(statistics),
      batches: () => work.sample(),
      resumed: unitsIn(begun.covered),
      ...work.counts(),
    };
  } catch (error) {
    if (signal?.aborted === true) checkpoint?.flush();
    throw error;
  } finally {
    temporary.release();
  }
}

/** All that decides what the batches hold and what the tensors are. */
function decisive({ samples, seed, maxLength, outliers }: CalibrationOptions): StatisticsOptions {
  return {
    samples,
    seed,
    maxLength: maxLength ?? null,
    outliers,
  };
}

/** Rows that the check runs, of another draw than those that calibration saw. */
const CHECK_ROWS = 16;

/** A few rows of the data, each a batch by itself, for the check. Throws what data and tokenizer throw. */
export async function rowsForCheck(
  host: Host,
  file: OpenedModel,
  model: Model,
  options: DataOptions,
): Promise<RunBatch[]> {
  const drawn = { ...options, samples: CHECK_ROWS, seed: options.seed + 1 };
  const { batches } = await sampledBatches(host, file, portsOf(model), drawn, 1);
  return [...batches];
}

function portsOf({ graph }: Model): Port[] {
  return graph.inputs
    .filter((value) => value.tensor === undefined)
    .map(({ name, dtype, shape }) => ({ name, dtype, shape }));
}

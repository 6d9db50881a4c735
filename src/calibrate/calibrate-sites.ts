// Calibration as a step: the float model over a sample of data, listened to at the inputs of its sites; statistics out.
import { calibrate } from "./calibrate.js";
import { emptyStatistics, type Statistics, type StatisticsOptions } from "./statistics-file.js";
import { unitsIn } from "./units.js";
import { CHECK_ROWS, HELD_BYTES, LENGTH, MOST_TOKENS } from "./defaults.js";
import type { RunBatch, RunBatches } from "../data/run-batches.js";
import type { Model } from "../graph/model.js";
import { operandOf, UNIT } from "../quant/operands.js";
import type { Site } from "../quant/sites.js";
import type { Port } from "../runtime/runtime.js";
import type { AttentionChoice, ResidualChoice, Target } from "../targets/target.js";
import {
  drawnBatches,
  sampledBatches,
  workOf,
  type RowCounts,
  type SampleOptions,
  type Work,
  type WorkOptions,
} from "./calibration-work.js";
import { withObserved, type Observed } from "./clipping.js";
import type { Checkpoint } from "./checkpoint.js";
import type { Run } from "../host/run.js";

export interface CalibrationOptions extends Omit<WorkOptions, "batchTokens"> {
  /** Setting outliers apart names tensors and changes them: statistics of one setting do not fit the other. */
  readonly outliers: boolean;
  /** Which operands beside the inputs of layers are listened to. */
  readonly attention: AttentionChoice;
  readonly residual: ResidualChoice;
  /** What is kept of the run while it lasts. */
  readonly checkpoint?: Checkpoint | undefined;
}

/** What decides the tensors that are listened to, by name and content. */
export type ObserverOptions = Pick<CalibrationOptions, "outliers" | "attention" | "residual">;

type DataOptions = Omit<SampleOptions, "batchTokens" | "samples">;

export interface Calibrated extends RowCounts {
  readonly statistics: Statistics;
  /** Of what was run: of all data, a sample. Drawn when it is called. */
  readonly batches: () => Promise<RunBatches>;
  /** Units that an earlier run had done. */
  readonly resumed: number;
}

/**
 * The values that a static plan may need ranges of, by name, each with the first site that reads it: the inputs of all layers, and what the
 * target's proposals ask for beside them.
 */
export function operandsOf(
  sites: readonly Site[],
  target: Target,
  { attention, residual }: ObserverOptions,
): Map<string, Site> {
  const readers = new Map<string, Site>();
  const add = (name: string, site: Site): void => {
    if (!readers.has(name)) readers.set(name, site);
  };
  for (const site of sites) {
    if (site.kind === "linear" && !site.constantInput) add(site.activation.name, site);
    target.propose(site, "static", {
      reduceRange: false,
      embeddings: true,
      attention,
      residual,
      rangeOf(of, operand = "activation") {
        const value = operandOf(of, operand);
        if (value !== undefined) add(value.name, of);
        return UNIT;
      },
    });
  }
  return readers;
}

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
 * Statistics of the values of these names. `model` is a prepared graph that nobody needs any more: it gets its observers as outputs. Throws what data
 * and tokenizer throw, StatisticsError, RuntimeFailedError, and the reason of an abort.
 */
export function calibrateSites(
  run: Run,
  model: Model,
  names: readonly string[],
  options: CalibrationOptions,
): Promise<Calibrated> {
  return withCalibrated(run, model, names, options, (calibrated) => Promise.resolve(calibrated));
}

/** The same for `work` that goes on listening to the model. */
export async function withCalibrated<T>(
  run: Run,
  model: Model,
  names: readonly string[],
  options: CalibrationOptions,
  work: (calibrated: Calibrated, observed: Observed) => Promise<T>,
): Promise<T> {
  const batchTokens = tokensAtOnce(model, names);
  const units = await workOf(run, portsOf(model), { ...options, batchTokens });
  return withObserved(run, model, names, async (observed) =>
    work(await calibrated(run, observed, units, options), observed),
  );
}

async function calibrated(
  { host, file }: Run,
  { session, observers }: Observed,
  work: Work,
  options: CalibrationOptions,
): Promise<Calibrated> {
  const { checkpoint, signal } = options;
  try {
    const facts = {
      model: host.fingerprint(file),
      options: { ...decisive(options), data: work.digest },
      units: work.units,
    };
    const empty = emptyStatistics(
      facts,
      observers.map(({ name }) => name),
    );
    const begun = checkpoint?.resume(empty, (unit) => work.owns(unit)) ?? empty;
    const complete = (statistics: Statistics): Statistics => ({
      ...statistics,
      covered: work.covered(statistics.covered),
    });
    const statistics = await calibrate({
      session,
      observers,
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
  }
}

/** All that decides what the batches hold and what the tensors are. */
function decisive(options: CalibrationOptions): StatisticsOptions {
  const { samples, seed, maxLength, outliers, attention, residual } = options;
  return {
    samples,
    seed,
    maxLength: maxLength ?? null,
    outliers,
    attention,
    residual,
  };
}

/**
 * The batches that a calibration of these names in `model` would have for what follows it: the sample, or one of all data. Drawn when it is called,
 * of `model` as it is now. What is called throws what data and tokenizer throw.
 */
export function drawFor(
  run: Run,
  model: Model,
  names: readonly string[],
  options: Omit<SampleOptions, "batchTokens">,
): () => Promise<RunBatches> {
  const batchTokens = tokensAtOnce(model, names);
  const inputs = portsOf(model);
  return () => drawnBatches(run, inputs, { ...options, batchTokens });
}

/** A few rows of the data, of another draw than those that calibration saw, each a batch by itself, for the check. Throws what data and tokenizer throw. */
export async function rowsForCheck(
  run: Run,
  model: Model,
  options: DataOptions,
): Promise<RunBatch[]> {
  const drawn = { ...options, samples: CHECK_ROWS, seed: options.seed + 1 };
  const { batches } = await sampledBatches(run, portsOf(model), drawn, 1);
  return [...batches];
}

function portsOf({ graph }: Model): Port[] {
  return graph.inputs
    .filter((value) => value.tensor === undefined)
    .map(({ name, dtype, shape }) => ({ name, dtype, shape }));
}

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

/** The same for the step that reads them. */
export function dataOptions(
  settings: DataSettings,
  data: string | readonly string[],
): Omit<CalibrationOptions, "samples" | "onProgress" | keyof ObserverOptions> {
  const { seed, maxLength, signal, textColumn, pairColumn, tokensColumn } = settings;
  return {
    data: typeof data === "string" ? [data] : data,
    columns: { text: textColumn, textPair: pairColumn, tokens: tokensColumn },
    seed,
    maxLength,
    signal,
  };
}

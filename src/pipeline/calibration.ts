// Calibration as a step: the float model over a sample of data, listened to at the inputs of its sites; statistics out.
import { calibrate } from "../calibrate/calibrate.js";
import {
  emptyStatistics,
  type Statistics,
  type StatisticsOptions,
} from "../calibrate/statistics-file.js";
import { detectMask, tapModel, type Tap } from "../calibrate/taps.js";
import type { ColumnOptions } from "../data/columns.js";
import { batchesFor, type RunBatch, type RunBatches } from "../data/run-batches.js";
import { sampleRecords } from "../data/sample.js";
import { checkShard, type Shard } from "../data/units.js";
import { createTokenizer } from "../data/tokenize.js";
import { exportModel } from "../graph/export.js";
import type { Model } from "../graph/model.js";
import { operandOf, UNIT } from "../quant/operands.js";
import type { Site } from "../quant/sites.js";
import type { OnProgress } from "../report/progress.js";
import type { Feeds, Port } from "../runtime/runtime.js";
import type { AttentionChoice, ResidualChoice, Target } from "../targets/target.js";
import type { Host, OpenedModel } from "./host.js";

export interface CalibrationOptions {
  readonly data: readonly string[];
  readonly columns: ColumnOptions;
  readonly samples: number;
  readonly seed: number;
  readonly maxLength?: number | undefined;
  /** Setting outliers apart names tensors and changes them: statistics of one setting do not fit the other. */
  readonly outliers: boolean;
  /** Which operands beside the inputs of layers are listened to. */
  readonly attention: AttentionChoice;
  readonly residual: ResidualChoice;
  /** The part of the batches that is run; default: all. */
  readonly shard?: Shard | undefined;
  readonly onProgress: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

/** What decides the tensors that are listened to, by name and content. */
export type TapOptions = Pick<CalibrationOptions, "outliers" | "attention" | "residual">;

type DataOptions = Omit<CalibrationOptions, "samples" | "onProgress" | keyof TapOptions>;

export interface Calibrated {
  readonly statistics: Statistics;
  /** What was run. */
  readonly batches: RunBatches;
  /** Rows that were run, and of these the ones that were cut to the model's length. */
  readonly rows: number;
  readonly truncated: number;
  /** Texts that tokenized to nothing. */
  readonly empty: number;
}

/** Tokens of a batch, padding included: small, since the inputs of all sites of a batch are held at once. */
const BATCH_TOKENS = 1024;

/** Names of the values that a static plan may need ranges of, each once: the inputs of all layers, and what the target's proposals ask for beside them. */
export function operandsOf(
  sites: readonly Site[],
  target: Target,
  { attention, residual }: TapOptions,
): string[] {
  const names = new Set<string>();
  for (const site of sites) {
    if (site.kind === "linear" && !site.constantInput) names.add(site.activation.name);
    target.propose(site, "static", {
      reduceRange: false,
      embeddings: true,
      attention,
      residual,
      rangeOf(of, operand = "activation") {
        const value = operandOf(of, operand);
        if (value !== undefined) names.add(value.name);
        return UNIT;
      },
    });
  }
  return [...names];
}

/**
 * Statistics of the values of these names. `model` is a prepared graph that nobody needs any more: it gets its taps as outputs. Throws what data
 * and tokenizer throw, StatisticsError, RuntimeFailedError, and the reason of an abort.
 */
export async function calibrateSites(
  host: Host,
  file: OpenedModel,
  model: Model,
  names: readonly string[],
  options: CalibrationOptions,
): Promise<Calibrated> {
  const batches = await batchesOf(host, file, portsOf(model), options);
  const untapped = new Set(tapModel(model, names).map(({ name }) => name));
  const mask = model.graph.inputs.find(({ rank, dtype }) => rank === 2 && dtype !== "float32");
  const taps = names
    .filter((name) => !untapped.has(name))
    .map((name): Tap => ({
      name,
      masked: detectMask(model.graph.value(name)?.shape, mask?.shape),
    }));
  const temporary = host.writeTemporary(exportModel(model), file.external);
  try {
    const { shard = { index: 0, count: 1 } } = options;
    checkShard(shard);
    const total = Math.ceil((batches.count - shard.index) / shard.count);
    let done = 0;
    const statistics = await calibrate({
      runtime: host.runtime,
      model: temporary.path,
      taps,
      batches: partOf(batches, shard),
      statistics: emptyStatistics(
        { model: host.fingerprint(file), options: decisive(options), units: batches.count },
        taps.map(({ name }) => name),
      ),
      onUnit: () => {
        done++;
        options.onProgress({ step: "calibrating", done, total, unit: "batches" });
      },
      signal: options.signal,
    });
    const { rows, truncated, empty } = batches;
    return { statistics, batches, rows, truncated, empty };
  } finally {
    temporary.release();
  }
}

/** All that decides what the batches hold and what the tensors are. */
function decisive(options: CalibrationOptions): StatisticsOptions {
  const { samples, seed, maxLength, outliers, attention, residual } = options;
  return {
    samples: Number.isFinite(samples) ? samples : "all",
    seed,
    maxLength: maxLength ?? null,
    outliers,
    attention,
    residual,
  };
}

function* partOf({ batches }: RunBatches, { index, count }: Shard): Generator<RunBatch> {
  for (const batch of batches) if (batch.unit % count === index) yield batch;
}

/** Rows that the check runs, of another draw than those that calibration saw. */
const CHECK_ROWS = 16;

/** Feeds of a few rows of the data, for the check. Throws what data and tokenizer throw. */
export async function feedsFromData(
  host: Host,
  file: OpenedModel,
  model: Model,
  options: DataOptions,
): Promise<Feeds[]> {
  const drawn = { ...options, samples: CHECK_ROWS, seed: options.seed + 1 };
  const { batches } = await batchesOf(host, file, portsOf(model), drawn, 1);
  return [...batches].map(({ feeds }) => feeds);
}

async function batchesOf(
  host: Host,
  file: OpenedModel,
  inputs: readonly Port[],
  { data, columns, samples, seed, maxLength, signal }: DataOptions & { readonly samples: number },
  batchSize?: number,
): Promise<RunBatches> {
  const source = host.records(data, columns);
  const { records } = await sampleRecords(source, { samples, seed, ...(signal && { signal }) });
  const ready = records.every((record) => "inputs" in record);
  const tokenizer =
    ready || file.folder === undefined ? undefined : createTokenizer(host.folderFiles(file.folder));
  return batchesFor(inputs, tokenizer, records, {
    batchSize,
    batchTokens: BATCH_TOKENS,
    maxLength,
  });
}

function portsOf({ graph }: Model): Port[] {
  return graph.inputs
    .filter((value) => value.tensor === undefined)
    .map(({ name, dtype, shape }) => ({ name, dtype, shape }));
}

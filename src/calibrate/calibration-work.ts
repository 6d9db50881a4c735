// What a calibration runs: the batches of a sample, or of all data in one pass with the memory of a few hundred rows; numbered alike on every machine.
import { DRAWN_OF_ALL } from "./defaults.js";
import { spansOf, type UnitSpan, type UnitSpans } from "./units.js";
import type { ColumnOptions } from "../data/columns.js";
import { Digest } from "../data/digest.js";
import {
  batchesFor,
  batchGroups,
  WINDOW,
  type RunBatch,
  type RunBatches,
} from "../data/run-batches.js";
import { sampleRecords } from "../data/sample.js";
import { createTokenizer, type Tokenizer } from "../data/tokenize.js";
import { checkShard, type Shard } from "../data/units.js";
import type { OnProgress } from "../report/progress.js";
import type { Port } from "../runtime/runtime.js";
import type { Host, OpenedModel } from "../host/host.js";

export interface SampleOptions {
  readonly data: readonly string[];
  readonly columns: ColumnOptions;
  readonly samples: number | "all";
  readonly seed: number;
  readonly maxLength?: number | undefined;
  /** Tokens of a batch at most, padding included. */
  readonly batchTokens?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WorkOptions extends SampleOptions {
  /** The part of the batches that is run; default: all. */
  readonly shard?: Shard | undefined;
  readonly onProgress: OnProgress;
}

export interface RowCounts {
  /** Rows that were run, and of these the ones that were cut to the model's length. */
  readonly rows: number;
  readonly truncated: number;
  /** Texts that tokenized to nothing. */
  readonly empty: number;
}

export interface Work {
  /** Numbers that the batches of the whole sample may have: 0 … units - 1. */
  readonly units: number;
  /** Of the records. */
  readonly digest: string;
  readonly batches: Iterable<RunBatch> | AsyncIterable<RunBatch>;
  /** Whether a unit is in this shard. */
  owns(unit: number): boolean;
  /** The spans given, and the numbers that no batch has, as far as the work is done. */
  covered(spans: UnitSpans): UnitSpans;
  /** The batches of the sample; of all data, those of a sample of it. */
  sample(): Promise<RunBatches>;
  /** Of a sample: of the whole of it; of all data: of this shard, as far as the work is done. */
  counts(): RowCounts;
}

/** Throws what data and tokenizer throw, and OptionError for a shard that there is not. */
export async function workOf(
  host: Host,
  file: OpenedModel,
  inputs: readonly Port[],
  options: WorkOptions,
): Promise<Work> {
  const shard = options.shard ?? { index: 0, count: 1 };
  checkShard(shard);
  return options.samples === "all"
    ? allOf(host, file, inputs, options, shard)
    : sampleOf(await sampledBatches(host, file, inputs, options), options, shard);
}

function sampleOf(
  sample: RunBatches & { readonly digest: string },
  { onProgress }: WorkOptions,
  shard: Shard,
): Work {
  const total = Math.ceil((sample.count - shard.index) / shard.count);
  const owns = (unit: number) => unit % shard.count === shard.index;
  return {
    units: sample.count,
    digest: sample.digest,
    batches: {
      *[Symbol.iterator]() {
        let done = 0;
        for (const batch of sample.batches) {
          if (!owns(batch.unit)) continue;
          yield batch;
          done++;
          onProgress({ step: "calibrating", done, total, unit: "batches" });
        }
      },
    },
    owns,
    covered: (spans) => spans,
    sample: () => Promise.resolve(sample),
    counts: () => ({ rows: sample.rows, truncated: sample.truncated, empty: sample.empty }),
  };
}

/** Batches of a sample. Throws what data and tokenizer throw. */
export async function sampledBatches(
  host: Host,
  file: OpenedModel,
  inputs: readonly Port[],
  options: SampleOptions,
  batchSize?: number,
): Promise<RunBatches & { readonly digest: string }> {
  const { data, columns, samples, seed, maxLength, batchTokens, signal } = options;
  const source = host.records(data, columns);
  const { records } = await sampleRecords(source, { samples, seed, ...(signal && { signal }) });
  const digest = new Digest();
  for (const record of records) digest.add(record);
  const ready = records.every((record) => "inputs" in record);
  const tokenizer = ready ? undefined : tokenizerOf(host, file);
  const limits = { batchSize, batchTokens, maxLength };
  return { ...batchesFor(inputs, tokenizer, records, limits), digest: digest.hex };
}

/** The same, of all data those of a sample. */
export function drawnBatches(
  host: Host,
  file: OpenedModel,
  inputs: readonly Port[],
  options: SampleOptions,
): Promise<RunBatches> {
  const samples = options.samples === "all" ? DRAWN_OF_ALL : options.samples;
  return sampledBatches(host, file, inputs, { ...options, samples });
}

function tokenizerOf(host: Host, { folder }: OpenedModel): Tokenizer | undefined {
  return folder === undefined ? undefined : createTokenizer(host.folderFiles(folder));
}

/** A record has at most one batch, so that there are numbers enough; those that no batch has count as done with their window. */
async function allOf(
  host: Host,
  file: OpenedModel,
  inputs: readonly Port[],
  options: WorkOptions,
  shard: Shard,
): Promise<Work> {
  const { data, columns, seed, maxLength, batchTokens, signal, onProgress } = options;
  const source = host.records(data, columns);
  const digest = new Digest();
  let [records, texts] = [0, 0];
  for await (const record of source) {
    signal?.throwIfAborted();
    digest.add(record);
    records++;
    if (!("inputs" in record)) texts++;
  }
  const tokenizer = texts === 0 ? undefined : tokenizerOf(host, file);
  const owns = (unit: number) => Math.floor(unit / WINDOW) % shard.count === shard.index;
  const windows = Math.ceil(records / WINDOW);
  const windowAt = (n: number): UnitSpan => [n * WINDOW, Math.min((n + 1) * WINDOW, records)];
  let total = 0;
  for (let n = shard.index; n < windows; n += shard.count) total += windowAt(n)[1] - windowAt(n)[0];
  let finished: UnitSpan[] = [];
  let counts: RowCounts = { rows: 0, truncated: 0, empty: 0 };
  return {
    units: records,
    digest: digest.hex,
    batches: {
      async *[Symbol.asyncIterator]() {
        [finished, counts] = [[], { rows: 0, truncated: 0, empty: 0 }];
        let done = 0;
        let window = shard.index;
        const groups = batchGroups(inputs, tokenizer, source, {
          samples: "all",
          seed,
          maxLength,
          shard,
          signal,
          batchTokens,
        });
        for await (const { batches, rows, truncated, empty } of groups) {
          for (const batch of batches) {
            yield batch;
            done += batch.records.length;
            onProgress({ step: "calibrating", done, total, unit: "rows" });
          }
          done += empty;
          counts = {
            rows: counts.rows + rows,
            truncated: counts.truncated + truncated,
            empty: counts.empty + empty,
          };
          finished.push(windowAt(window));
          window += shard.count;
        }
      },
    },
    owns,
    covered: (spans) => spansOf([...spans, ...finished]),
    sample: () => drawnBatches(host, file, inputs, options),
    counts: () => counts,
  };
}

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
import type { RecordSource } from "../data/records.js";
import { sampleRecords } from "../data/sample.js";
import type { Tokenizer } from "../data/tokenize.js";
import { checkShard, type Shard } from "../data/units.js";
import type { OnProgress } from "../report/progress.js";
import type { Port } from "../runtime/runtime.js";
import type { Run } from "../host/run.js";

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
  run: Run,
  inputs: readonly Port[],
  options: WorkOptions,
): Promise<Work> {
  const shard = options.shard ?? { index: 0, count: 1 };
  checkShard(shard);
  return options.samples === "all"
    ? allOf(run, inputs, options, shard)
    : sampleOf(await sampledBatches(run, inputs, options), options, shard);
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
  run: Run,
  inputs: readonly Port[],
  options: SampleOptions,
  batchSize?: number,
): Promise<RunBatches & { readonly digest: string }> {
  const { data, columns, samples, seed, maxLength, batchTokens, signal } = options;
  const source = run.data.records(data, columns);
  const { records } = await sampleRecords(source, { samples, seed, ...(signal && { signal }) });
  const digest = new Digest();
  for (const record of records) digest.add(record);
  const ready = records.every((record) => "inputs" in record);
  const tokenizer = ready ? undefined : tokenizerOf(run);
  const limits = { batchSize, batchTokens, maxLength };
  return { ...batchesFor(inputs, tokenizer, records, limits), digest: digest.hex };
}

/** The same, of all data those of a sample. */
export function drawnBatches(
  run: Run,
  inputs: readonly Port[],
  options: SampleOptions,
): Promise<RunBatches> {
  const samples = options.samples === "all" ? DRAWN_OF_ALL : options.samples;
  return sampledBatches(run, inputs, { ...options, samples });
}

function tokenizerOf({ file: { folder }, data }: Run): Tokenizer | undefined {
  return folder === undefined ? undefined : data.tokenizer(data.files(folder));
}

/** A record has at most one batch, so that there are numbers enough; those that no batch has count as done with their window. */
async function allOf(
  run: Run,
  inputs: readonly Port[],
  options: WorkOptions,
  shard: Shard,
): Promise<Work> {
  const source = run.data.records(options.data, options.columns);
  const { records, texts, digest } = await counted(source, options.signal);
  const tokenizer = texts === 0 ? undefined : tokenizerOf(run);
  const walk = new WindowWalk(records, shard);
  return {
    units: records,
    digest,
    batches: {
      [Symbol.asyncIterator]() {
        const { maxLength, batchTokens, seed, signal } = options;
        const limits = { samples: "all", seed, maxLength, batchTokens, shard, signal } as const;
        const groups = batchGroups(inputs, tokenizer, source, limits);
        return walk.batches(groups, options.onProgress);
      },
    },
    owns: (unit: number) => Math.floor(unit / WINDOW) % shard.count === shard.index,
    covered: (spans) => spansOf([...spans, ...walk.finished]),
    sample: () => drawnBatches(run, inputs, options),
    counts: () => walk.counts,
  };
}

/** Reads a source to its end. */
async function counted(source: RecordSource, signal: AbortSignal | undefined) {
  const digest = new Digest();
  let [records, texts] = [0, 0];
  for await (const record of source) {
    signal?.throwIfAborted();
    digest.add(record);
    records++;
    if (!("inputs" in record)) texts++;
  }
  return { records, texts, digest: digest.hex };
}

/** A shard's way through the windows of all records: which of them are done, and what was in them. */
class WindowWalk {
  readonly #records: number;
  readonly #shard: Shard;
  finished: UnitSpan[] = [];
  counts: RowCounts = NOTHING;

  constructor(records: number, shard: Shard) {
    this.#records = records;
    this.#shard = shard;
  }

  async *batches(
    groups: AsyncIterable<RunBatches>,
    onProgress: OnProgress,
  ): AsyncGenerator<RunBatch, void, undefined> {
    [this.finished, this.counts] = [[], NOTHING];
    const total = this.#total();
    let done = 0;
    let window = this.#shard.index;
    for await (const { batches, rows, truncated, empty } of groups) {
      for (const batch of batches) {
        yield batch;
        done += batch.records.length;
        onProgress({ step: "calibrating", done, total, unit: "rows" });
      }
      done += empty;
      this.counts = {
        rows: this.counts.rows + rows,
        truncated: this.counts.truncated + truncated,
        empty: this.counts.empty + empty,
      };
      this.finished.push(this.#windowAt(window));
      window += this.#shard.count;
    }
  }

  /** Records of the shard. */
  #total(): number {
    let total = 0;
    const windows = Math.ceil(this.#records / WINDOW);
    for (let n = this.#shard.index; n < windows; n += this.#shard.count) {
      const [from, to] = this.#windowAt(n);
      total += to - from;
    }
    return total;
  }

  #windowAt(n: number): UnitSpan {
    return [n * WINDOW, Math.min((n + 1) * WINDOW, this.#records)];
  }
}

const NOTHING: RowCounts = { rows: 0, truncated: 0, empty: 0 };

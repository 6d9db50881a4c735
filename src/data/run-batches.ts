// Records to batches that a session runs: tokenized, grouped by length, padded, with a mask of what counts. For calibration and training.
import type { Feeds, Port } from "../runtime/runtime.js";
import { feedsOf, fixedSizes, maskOf, type FixedSizes } from "./feeds.js";
import { maskOfFeeds, readyFeeds, rowsOfFeeds } from "./ready-feeds.js";
import {
  dataErrorAt,
  type DataRecord,
  type FeedRecord,
  type RecordSource,
  type TextRecord,
  type TokensRecord,
} from "./records.js";
import { sampleRecords, type SampleOptions } from "./sample.js";
import type { Encoded, TextInput, Tokenizer } from "./tokenize.js";
import { checkShard, shardOf, unitsOf, type Shard } from "./units.js";

export interface BatchOptions {
  /** Rows of a batch at most; default 32. A batch that the graph fixes wins. */
  readonly batchSize?: number | undefined;
  /** Tokens of a batch at most, padding included; default 4096. */
  readonly batchTokens?: number | undefined;
  /** Tokens of a row at most; default: what the model's folder and the graph admit. */
  readonly maxLength?: number | undefined;
  /** Number of the first token's position; default: the tokenizer's. */
  readonly positionOffset?: number | undefined;
  /** The part of the batches that this process runs; default: all. */
  readonly shard?: Shard | undefined;
}

export interface RunBatch {
  readonly feeds: Feeds;
  /** batch × length: 1 where a token counts; 0 for padding, and for rows that only fill a batch which the graph fixes. Undefined: all counts. */
  readonly mask?: Uint8Array | undefined;
  /** Rows that count. */
  readonly rows: number;
  /** Which of the records they come from; of a stream, counted from its beginning. */
  readonly records: readonly number[];
  /** The batch's number, which it has in every shard; of a stream there may be numbers that no batch has. */
  readonly unit: number;
}

export interface RunBatches {
  /** Built one at a time, anew each time they are walked through. */
  readonly batches: Iterable<RunBatch>;
  /** How many batches there are. */
  readonly count: number;
  /** Rows that count in all of them. */
  readonly rows: number;
  /** Rows of which tokens were cut off, because the model reads no more. */
  readonly truncated: number;
  /** Texts that tokenize to nothing and were left out. */
  readonly empty: number;
}

type Words = TextRecord | TokensRecord;

/** A batch before its feeds are built: rows of tokens, or the record that has its feeds. */
type Unit =
  | { readonly number: number; readonly rows: readonly Row[] }
  | { readonly number: number; readonly ready: FeedRecord; readonly index: number };

interface Row {
  readonly index: number;
  readonly encoded: Encoded;
}

/**
 * Batches of records that are in memory. Texts and words are tokenized at once and grouped by length; a record of feeds is a batch by
 * itself. The batches do not depend on the shard, which takes every n-th; counts are the shard's, so that they add up to those of the
 * whole run.
 *
 * Throws DataError for texts without a tokenizer and where all texts tokenize to nothing; OptionError for a shard that there is not; and
 * while the batches are built InputNotFilledError, and DataError for feeds that do not fit the graph.
 */
export function batchesFor(
  inputs: readonly Port[],
  tokenizer: Tokenizer | undefined,
  records: readonly DataRecord[],
  options: BatchOptions = {},
): RunBatches {
  const shard = options.shard ?? { index: 0, count: 1 };
  const planned = plan(inputs, tokenizer, records, options, { record: 0, unit: 0 });
  if (planned.units.length === 0 && planned.empty.length > 0) throw nothingIn(records);
  return built(inputs, tokenizer, options, {
    units: shardOf(planned.units, shard.index, shard.count),
    empty: shardOf(planned.empty, shard.index, shard.count),
  });
}

/** Records of a stream that are grouped together. */
export const WINDOW = 256;

/**
 * Batches of a source of any size: of a sample, which are one group, or of all its records, in groups of 256 in the order of the source, so
 * that only one group is in memory. With shards, of a sample each takes every n-th batch and of all records every n-th group, and tokenizes
 * no other. Throws as `batchesFor` and `sampleRecords`.
 */
export async function* batchGroups(
  inputs: readonly Port[],
  tokenizer: Tokenizer | undefined,
  source: RecordSource,
  options: BatchOptions & SampleOptions,
): AsyncGenerator<RunBatches> {
  const shard = options.shard ?? { index: 0, count: 1 };
  checkShard(shard);
  if (options.samples !== "all") {
    const { records } = await sampleRecords(source, options);
    yield batchesFor(inputs, tokenizer, records, options);
    return;
  }
  let full = 0;
  let last: readonly DataRecord[] = [];
  for await (const { records, number } of windowsOf(source, options.signal)) {
    if (number % shard.count !== shard.index) continue;
    const base = { record: number * WINDOW, unit: number * WINDOW };
    const planned = plan(inputs, tokenizer, records, options, base);
    full += planned.units.length;
    last = records;
    yield built(inputs, tokenizer, options, planned);
  }
  // What other shards found is not known here.
  if (full === 0 && last.length > 0 && shard.count === 1) throw nothingIn(last);
}

async function* windowsOf(
  source: RecordSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ records: readonly DataRecord[]; number: number }> {
  let records: DataRecord[] = [];
  let number = 0;
  for await (const record of source) {
    signal?.throwIfAborted();
    records.push(record);
    if (records.length < WINDOW) continue;
    yield { records, number };
    records = [];
    number++;
  }
  if (records.length > 0) yield { records, number };
}

interface Plan {
  readonly units: readonly Unit[];
  /** Texts that tokenize to nothing. */
  readonly empty: readonly DataRecord[];
}

/** Tokenizes and groups records; `base` is what numbers are counted from. */
function plan(
  inputs: readonly Port[],
  tokenizer: Tokenizer | undefined,
  records: readonly DataRecord[],
  options: BatchOptions,
  base: { readonly record: number; readonly unit: number },
): Plan {
  const fixed = fixedSizes(inputs);
  const rows: Row[] = [];
  const ready: { readonly record: FeedRecord; readonly index: number }[] = [];
  const empty: DataRecord[] = [];
  for (const [i, record] of records.entries()) {
    const index = base.record + i;
    if ("inputs" in record) {
      ready.push({ record, index });
      continue;
    }
    const encoded = encode(tokenizer, record, fixed, options);
    if (encoded === undefined) empty.push(record);
    else rows.push({ index, encoded });
  }
  const limits = {
    tokens: fixed.batch === undefined ? (options.batchTokens ?? 4096) : Infinity,
    rows: fixed.batch ?? options.batchSize ?? 32,
  };
  const lengths = rows.map(({ encoded }) => fixed.length ?? encoded.ids.length);
  const groups = unitsOf(lengths, limits);
  const units: Unit[] = groups.map((group, i) => ({
    number: base.unit + i,
    rows: group.map((row) => rows[row]).filter((row) => row !== undefined),
  }));
  for (const { record, index } of ready)
    units.push({ number: base.unit + units.length, ready: record, index });
  return { units, empty };
}

/** Undefined for a text that tokenizes to nothing. */
function encode(
  tokenizer: Tokenizer | undefined,
  record: Words,
  fixed: FixedSizes,
  options: BatchOptions,
): Encoded | undefined {
  if (tokenizer === undefined)
    throw dataErrorAt(
      record.place,
      "a text, and no tokenizer to make inputs of it",
      'ready feeds, {"inputs": {…}}, or a model\'s folder with its tokenizer.json',
    );
  const input: TextInput = "tokens" in record ? { words: record.tokens } : record;
  const { limit = Infinity, specials } = tokenizer;
  const longest = Math.min(options.maxLength ?? Infinity, limit, fixed.length ?? Infinity);
  const encoded = tokenizer.encode(input, longest);
  const isPair = "textPair" in input && input.textPair !== undefined;
  const own = encoded.ids.length + encoded.cut - (isPair ? specials.pair : specials.single);
  return own > 0 ? encoded : undefined;
}

function built(
  inputs: readonly Port[],
  tokenizer: Tokenizer | undefined,
  options: BatchOptions,
  { units, empty }: Plan,
): RunBatches {
  const rows = units.flatMap((unit) => ("rows" in unit ? unit.rows : []));
  const ready = units.flatMap((unit) => ("ready" in unit ? rowsOfFeeds(inputs, unit.ready) : []));
  return {
    batches: {
      *[Symbol.iterator]() {
        for (const unit of units)
          yield "rows" in unit
            ? textBatch(inputs, tokenizer, options, unit.rows, unit.number)
            : readyBatch(inputs, unit.ready, unit.index, unit.number);
      },
    },
    count: units.length,
    rows: ready.reduce((sum, n) => sum + n, rows.length),
    truncated: rows.filter(({ encoded }) => encoded.cut > 0).length,
    empty: empty.length,
  };
}

function textBatch(
  inputs: readonly Port[],
  tokenizer: Tokenizer | undefined,
  options: BatchOptions,
  rows: readonly Row[],
  unit: number,
): RunBatch {
  if (tokenizer === undefined) throw new Error("internal: tokens without a tokenizer");
  const { padding } = tokenizer;
  const positionOffset = options.positionOffset ?? tokenizer.positionOffset;
  const encoded = rows.map((row) => row.encoded);
  const feeds = feedsOf(inputs, encoded, { padding, positionOffset });
  const [batch = 0, length = 0] = Object.values(feeds)[0]?.dims ?? [];
  return {
    feeds,
    mask: maskOf(encoded, batch, length, padding),
    rows: rows.length,
    records: rows.map((row) => row.index),
    unit,
  };
}

function readyBatch(
  inputs: readonly Port[],
  record: FeedRecord,
  index: number,
  unit: number,
): RunBatch {
  const feeds = readyFeeds(inputs, record);
  const rows = rowsOfFeeds(inputs, record);
  return { feeds, mask: maskOfFeeds(feeds), rows, records: [index], unit };
}

function nothingIn(records: readonly DataRecord[]): Error {
  return dataErrorAt(
    records[0]?.place,
    `this text tokenizes to nothing, and so do all others (${records.length})`,
    "texts that the model's tokenizer has tokens for",
  );
}

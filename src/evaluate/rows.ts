// The rows of an evaluation: what each record makes the model read, in batches of about one length.
import { feedsOf, fixedSizes } from "../data/feeds.js";
import { readyFeeds, rowsOfFeeds } from "../data/ready-feeds.js";
import { dataErrorAt, type DataRecord, type FeedRecord } from "../data/records.js";
import type { Encoded, Tokenizer } from "../data/tokenize.js";
import { unitsOf } from "../data/units.js";
import type { Elements, Feeds, Port, Session } from "../runtime/runtime.js";
import type { Task } from "../tasks/task.js";

export interface EvaluationRow {
  /** Which of the records it belongs to, and its number among the rows of that. */
  readonly record: number;
  readonly place: number;
  /** Tokens, or feeds that are ready. */
  readonly encoded?: Encoded;
  readonly ready?: FeedRecord;
}

export interface EvaluationRows {
  readonly rows: readonly EvaluationRow[];
  /** How many rows each record has. */
  readonly counts: readonly number[];
  /** Indices of rows, shortest first. */
  readonly batches: readonly (readonly number[])[];
}

export interface RowOptions {
  readonly batchSize?: number | undefined;
  readonly maxLength?: number | undefined;
}

/** Numbers of an output in one run at most: a vocabulary's logits of every token fill memory before they help speed. */
const LARGEST_OUTPUT = 2 ** 26;

/** Throws what the task throws for records that are not its kind, and DataError for a text without a tokenizer. */
export function rowsFor(
  sessions: readonly Pick<Session, "inputs" | "outputs">[],
  tokenizer: Tokenizer | undefined,
  task: Task,
  records: readonly DataRecord[],
  options: RowOptions = {},
): EvaluationRows {
  const fixed = sessions.map(({ inputs }) => fixedSizes(inputs));
  const limits = [options.maxLength, tokenizer?.limit, ...fixed.map(({ length }) => length)];
  const longest = Math.min(...limits.map((limit) => limit ?? Infinity));
  const rows: EvaluationRow[] = [];
  const counts = records.map((record, i) => {
    const own: Omit<EvaluationRow, "record" | "place">[] =
      "inputs" in record
        ? [{ ready: checked(sessions[0]?.inputs ?? [], task, record) }]
        : encodedOf(record, tokenizer, task, longest).map((encoded) => ({ encoded }));
    for (const [place, row] of own.entries()) rows.push({ record: i, place, ...row });
    return own.length;
  });
  const batch = fixed.map((sizes) => sizes.batch).find((size) => size !== undefined);
  const batches = batchesOf(rows, {
    rows: batch ?? options.batchSize ?? 32,
    tokens: batch === undefined ? LARGEST_OUTPUT / widest(sessions) : Infinity,
  });
  return { rows, counts, batches };
}

function encodedOf(
  record: DataRecord,
  tokenizer: Tokenizer | undefined,
  task: Task,
  longest: number,
): readonly Encoded[] {
  if (tokenizer === undefined)
    throw dataErrorAt(
      record.place,
      "a text, and no tokenizer to make inputs of it",
      'ready inputs, {"inputs": {…}}, or a model\'s folder with its tokenizer.json',
    );
  if (task.rows === undefined)
    return task.inputs(record).map((input) => tokenizer.encode(input, longest));
  const own = ownRows.get(record) ?? new Map<string, readonly Encoded[]>();
  ownRows.set(record, own);
  const key = `${task.name} ${longest}`;
  const rows = own.get(key) ?? task.rows(record, tokenizer, longest);
  own.set(key, rows);
  return rows;
}

/** Rows that a task makes of a record in its own way, as long as the record is kept: the same objects each time, as a run's tokenizer gives them. */
const ownRows = new WeakMap<DataRecord, Map<string, readonly Encoded[]>>();

/** A record of one row of feeds. Throws DataError, also where the task does not take such. */
function checked(inputs: readonly Port[], task: Task, record: FeedRecord): FeedRecord {
  task.inputs(record);
  const rows = rowsOfFeeds(inputs, record);
  if (rows === 1) return record;
  throw dataErrorAt(record.place, `ready inputs of ${rows} rows`, "one row for each label");
}

/** Numbers per token of the widest output. */
function widest(sessions: readonly Pick<Session, "outputs">[]): number {
  const widths = sessions.flatMap(({ outputs }) =>
    outputs.map(({ shape }) => {
      const last = shape?.length === 3 ? shape[2] : 1;
      return typeof last === "number" ? last : 1;
    }),
  );
  return Math.max(1, ...widths);
}

/** Rows of tokens by length; ready feeds side by side where they have the same dims. */
function batchesOf(
  rows: readonly EvaluationRow[],
  limits: { readonly rows: number; readonly tokens: number },
): number[][] {
  const texts: number[] = [];
  const ready = new Map<string, number[]>();
  for (const [i, { encoded, ready: feeds }] of rows.entries()) {
    if (encoded !== undefined) texts.push(i);
    if (feeds === undefined) continue;
    const dims = Object.entries(feeds.inputs).map(
      ([name, tensor]) => `${name} ${tensor.dims.join()}`,
    );
    const key = dims.toSorted().join("\n");
    const list = ready.get(key) ?? [];
    list.push(i);
    ready.set(key, list);
  }
  const units = unitsOf(
    texts.map((i) => rows[i]?.encoded?.ids.length ?? 0),
    limits,
  );
  const batches = units.map((unit) => unit.map((k) => texts[k] ?? 0));
  for (const list of ready.values())
    for (let at = 0; at < list.length; at += limits.rows)
      batches.push(list.slice(at, at + limits.rows));
  return batches;
}

/** What a session is fed for a batch. Throws InputNotFilledError, and DataError for feeds that do not fit the graph. */
export function feedsFor(
  inputs: readonly Port[],
  tokenizer: Tokenizer | undefined,
  rows: readonly EvaluationRow[],
  positionOffset = tokenizer?.positionOffset,
  length?: number,
): Feeds {
  const encoded = rows.map((row) => row.encoded).filter((row) => row !== undefined);
  if (tokenizer !== undefined && encoded.length > 0) {
    const { padding } = tokenizer;
    const offset = positionOffset === undefined ? {} : { positionOffset };
    return feedsOf(inputs, encoded, { padding, ...offset, ...(length && { length }) });
  }
  const feeds = rows.flatMap(({ ready }) =>
    ready === undefined ? [] : [readyFeeds(inputs, ready)],
  );
  const [first] = feeds;
  if (first === undefined) throw new Error("internal: a batch without rows");
  return feeds.length === 1 ? first : stacked(first, feeds);
}

function stacked(first: Feeds, feeds: readonly Feeds[]): Feeds {
  return Object.fromEntries(
    Object.entries(first).map(([name, { dtype, dims, data }]) => {
      const parts = feeds.map((feed) => feed[name]?.data ?? data);
      return [name, { dtype, dims: [parts.length, ...dims.slice(1)], data: joined(data, parts) }];
    }),
  );
}

/** Elements of one type, one after the other. */
function joined(kind: Elements, parts: readonly Elements[]): Elements {
  const make = kind.constructor as new (length: number) => Elements;
  const all = new make(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part as never, at);
    at += part.length;
  }
  return all;
}

// What a line of data becomes, whatever file it came from: one typed record.
import { DataError } from "../errors.js";
import type { Feeds } from "../runtime/runtime.js";

export type Label = string | number;

/** Where a record stands in its file, for messages. */
export interface Place {
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  /** What is counted where the file has no lines: rows of a Parquet file, feeds of a safetensors file. */
  readonly unit?: "row" | "feed" | undefined;
}

/** A text or a pair of texts. */
export interface TextRecord {
  readonly text: string;
  readonly textPair?: string | undefined;
  /** A class by its name or number, or a score. */
  readonly label?: Label | undefined;
  /** Where a text has any number of classes: their names or numbers, or a 0 or 1 for each class. */
  readonly labels?: readonly Label[] | undefined;
  /** Of a question (the text) and its context (the pair): all answers that are right; empty where the context holds none. */
  readonly answers?: readonly string[] | undefined;
  readonly place?: Place | undefined;
}

/** Words, split already, each with its label. */
export interface TokensRecord {
  readonly tokens: readonly string[];
  readonly labels?: readonly Label[] | undefined;
  readonly place?: Place | undefined;
}

/** The inputs of a graph by their names, ready to run: as the graph has them, or one row of them, without the axis of the batch. */
export interface FeedRecord {
  readonly inputs: Feeds;
  readonly label?: Label | undefined;
  readonly place?: Place | undefined;
}

export type DataRecord = TextRecord | TokensRecord | FeedRecord;

/** Records one after the other; a source is never held in memory as a whole. */
export type RecordSource = AsyncIterable<DataRecord>;

/** `dev.tsv, line 3`. */
export function placeOf({ place }: DataRecord): string {
  return place === undefined ? "A record" : `${place.path}, ${place.unit ?? "line"} ${place.line}`;
}

/** The error of a record, which names where it stands. */
export function dataErrorAt(place: Place | undefined, detail: string, expected: string): DataError {
  if (place === undefined) return new DataError("A record", undefined, detail, expected);
  const { path, line, unit } = place;
  return unit === undefined
    ? new DataError(path, line, detail, expected)
    : new DataError(path, undefined, `${unit} ${line}: ${detail}`, expected);
}

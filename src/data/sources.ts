// Sources of records: each format turns lines into records, one at a time.
import { DataError } from "../errors.js";
import { recordOf, type ColumnOptions, type Row } from "./columns.js";
import { linesOf } from "./lines.js";
import type { DataRecord } from "./records.js";

export interface SourceOptions {
  /** Columns by name; found by their usual names otherwise. */
  readonly columns?: ColumnOptions;
}

/** Reads the bytes of one file; `path` is for messages. */
export type Format = (
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  options?: SourceOptions,
) => AsyncGenerator<DataRecord>;

/**
 * Tab-separated values under a line of column names. There is no quoting: a quotation mark is text, as in the files of GLUE. Empty lines
 * are passed over. Throws DataError, with the line.
 */
const readTsv: Format = async function* (chunks, path, options = {}) {
  let names: readonly string[] | undefined;
  for await (const { text, number } of linesOf(chunks, path)) {
    if (text === "") continue;
    const cells = text.split("\t");
    if (names === undefined) {
      names = cells;
      const twice = cells.find((name, i) => cells.indexOf(name) !== i);
      if (twice !== undefined)
        throw new DataError(path, number, `two columns "${twice}"`, "a line of column names");
      continue;
    }
    if (cells.length !== names.length)
      throw new DataError(
        path,
        number,
        `${cells.length} cells under ${names.length} columns`,
        "a cell for each column, separated by tabs",
      );
    const row: Row = Object.fromEntries(names.map((name, i) => [name, cells[i]]));
    yield recordOf(row, { path, line: number }, options.columns);
  }
};

/** A JSON object per line; empty lines are passed over. Throws DataError, with the line. */
const readJsonl: Format = async function* (chunks, path, options = {}) {
  for await (const { text, number } of linesOf(chunks, path)) {
    if (text.trim() === "") continue;
    const row = parse(text, path, number);
    yield recordOf(row, { path, line: number }, options.columns);
  }
};

function parse(text: string, path: string, line: number): Row {
  const expected = 'a JSON object such as {"text": "…", "label": 1}';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new DataError(path, line, `no JSON (${detail})`, expected);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new DataError(path, line, "no JSON object", expected);
  return value as Row;
}

/** Formats by the ending of the file's name. */
export const FORMATS: Readonly<Record<string, Format>> = {
  ".tsv": readTsv,
  ".jsonl": readJsonl,
  ".ndjson": readJsonl,
};

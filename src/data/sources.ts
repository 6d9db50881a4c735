// Sources of records that are text: each format turns lines into records, one at a time.
import { DataError } from "../errors.js";
import { recordOf, type ColumnOptions, type Row } from "./columns.js";
import { csvRows } from "./csv.js";
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
  const record = tableReader(path, "tabs", options.columns);
  for await (const { text, number } of linesOf(chunks, path)) {
    const made = text === "" ? undefined : record(text.split("\t"), number);
    if (made !== undefined) yield made;
  }
};

/**
 * Comma-separated values under a line of column names; cells may be quoted (RFC 4180) and then hold commas, line breaks and doubled
 * quotation marks. Empty lines are passed over. Throws DataError, with the line.
 */
const readCsv: Format = async function* (chunks, path, options = {}) {
  const record = tableReader(path, "commas", options.columns);
  for await (const { cells, line } of csvRows(chunks, path)) {
    const made = record(cells, line);
    if (made !== undefined) yield made;
  }
};

/** Makes records of a table's rows of cells; the first row names the columns and makes none. */
function tableReader(
  path: string,
  separators: string,
  columns: ColumnOptions | undefined,
): (cells: readonly string[], line: number) => DataRecord | undefined {
  let names: readonly string[] | undefined;
  return (cells, line) => {
    if (names === undefined) {
      const twice = cells.find((name, i) => cells.indexOf(name) !== i);
      if (twice !== undefined)
        throw new DataError(path, line, `two columns "${twice}"`, "a line of column names");
      names = cells;
      return undefined;
    }
    if (cells.length !== names.length)
      throw new DataError(
        path,
        line,
        `${cells.length} cells under ${names.length} columns`,
        `a cell for each column, separated by ${separators}`,
      );
    const row: Row = Object.fromEntries(names.map((name, i) => [name, cells[i]]));
    return recordOf(row, { path, line }, columns);
  };
}

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

/** Formats of text by the ending of the file's name. */
export const FORMATS: Readonly<Record<string, Format>> = {
  ".tsv": readTsv,
  ".csv": readCsv,
  ".jsonl": readJsonl,
  ".ndjson": readJsonl,
};

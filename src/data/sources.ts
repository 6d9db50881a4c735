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

/** Larger ones are no list that somebody wrote: lines (JSONL) can be of any number. */
const MAX_JSON = 2 ** 28;

/** One list of objects. Throws DataError, with the number of the object. */
const readJson: Format = async function* (chunks, path, options = {}) {
  const expected =
    'a list of objects such as [{"text": "…", "label": 1}], or JSONL: an object per line';
  const value = parseWhole(await textOf(chunks, path), path, expected);
  if (!Array.isArray(value)) throw new DataError(path, undefined, "no JSON list", expected);
  for (const [i, row] of value.entries()) {
    if (typeof row !== "object" || row === null || Array.isArray(row))
      throw new DataError(path, undefined, `entry ${i + 1} is no object`, expected);
    yield recordOf(row as Row, { path, line: i + 1 }, options.columns);
  }
};

async function textOf(chunks: AsyncIterable<Uint8Array>, path: string): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const parts: string[] = [];
  let length = 0;
  try {
    for await (const chunk of chunks) {
      length += chunk.length;
      if (length > MAX_JSON)
        throw new DataError(
          path,
          undefined,
          `more than ${MAX_JSON} bytes of JSON`,
          "JSONL: an object per line",
        );
      parts.push(decoder.decode(chunk, { stream: true }));
    }
    return parts.join("") + decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new DataError(path, undefined, "bytes that are not UTF-8", "text in UTF-8");
  }
}

function parseWhole(text: string, path: string, expected: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new DataError(path, undefined, `no JSON (${detail})`, expected);
  }
}

/** Formats of text by the ending of the file's name. */
export const FORMATS: Readonly<Record<string, Format>> = {
  ".tsv": readTsv,
  ".csv": readCsv,
  ".jsonl": readJsonl,
  ".ndjson": readJsonl,
  ".json": readJson,
};

// Comma-separated values to rows of cells, streaming: quoting is csv-parse's, lines and encoding are checked here.
import { CsvError, parse } from "csv-parse/stream";
import { DataError } from "../errors.js";
import { MAX_LINE, wholeLinesOf } from "./lines.js";

export interface CsvRow {
  readonly cells: readonly string[];
  /** Where the row begins, counted from 1. */
  readonly line: number;
}

/** What csv-parse gives with `info`. */
interface Parsed {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

const EXPECTED =
  'cells separated by commas; a cell that holds a comma, a line break or a quotation mark stands in "…", its quotation marks doubled';

/**
 * Rows of a CSV file, its line of names included; empty lines are passed over, a byte order mark is left out. Throws DataError with the
 * line for quotation marks that do not match and for bytes that are no UTF-8.
 */
export async function* csvRows(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<CsvRow> {
  // What the source throws is kept: on its way through the stream it may lose its class.
  let failed: unknown;
  // csv-parse counts a CR inside of a cell as a line, also before an LF.
  let twice = 0;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const { buffer, byteOffset, byteLength } of wholeLinesOf(chunks, path))
        yield Buffer.from(buffer, byteOffset, byteLength);
    } catch (error) {
      failed = error;
      throw error;
    }
  };
  const parser = parse({
    bom: true,
    info: true,
    max_record_size: MAX_LINE,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    skip_empty_lines: true,
  });
  try {
    const rows = ReadableStream.from(source()).pipeThrough(parser) as AsyncIterable<Parsed>;
    for await (const { record, info } of rows) {
      twice += count(record, "\r");
      yield { cells: record, line: info.lines - twice - count(record, "\n") };
    }
  } catch (error) {
    if (failed !== undefined) throw failed;
    if (!(error instanceof CsvError)) throw error;
    throw new DataError(path, lineOf(error, twice), detailOf(error), EXPECTED);
  }
}

/** How often a character stands inside of cells. */
function count(cells: readonly string[], character: string): number {
  let found = 0;
  for (const cell of cells)
    for (let at = cell.indexOf(character); at >= 0; at = cell.indexOf(character, at + 1)) found++;
  return found;
}

function lineOf({ lines }: CsvError, twice: number): number | undefined {
  return typeof lines === "number" ? lines - twice : undefined;
}

const DETAILS: Readonly<Record<string, string>> = {
  CSV_INVALID_CLOSING_QUOTE: "text behind the closing quotation mark of a cell",
  CSV_QUOTE_NOT_CLOSED: "a quotation mark that is not closed until the end of the file",
  INVALID_OPENING_QUOTE: "a quotation mark inside of a cell that does not begin with one",
  CSV_MAX_RECORD_SIZE: `a row of more than ${MAX_LINE} bytes`,
};

function detailOf({ code, message }: CsvError): string {
  return DETAILS[code] ?? message.replace(/\.$/, "");
}

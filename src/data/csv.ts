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
  // csv-parse counts a CR inside of a cell as a line, also before an LF.
  let twice = 0;
  const parser = parse({
    bom: true,
    info: true,
    max_record_size: MAX_LINE,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    skip_empty_lines: true,
  });
  const written = writeInto(parser.writable, wholeLinesOf(chunks, path));
  try {
    for await (const { record, info } of parser.readable as AsyncIterable<Parsed>) {
      twice += count(record, "\r");
      yield { cells: record, line: info.lines - twice - count(record, "\n") };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new DataError(path, lineOf(error, twice), detailOf(error), EXPECTED);
  } finally {
    await written;
  }
}

/**
 * Writes piece after piece, each when the one before has been parsed: a pipe would read a thousand pieces ahead. What goes wrong is thrown to
 * the reader of the other side.
 */
async function writeInto(
  writable: WritableStream<Uint8Array>,
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  const writer = writable.getWriter();
  try {
    for await (const { buffer, byteOffset, byteLength } of pieces)
      await writer.write(Buffer.from(buffer, byteOffset, byteLength));
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => undefined);
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

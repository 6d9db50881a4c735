// Splits a stream of bytes into lines of text, so that a file of any size is read with the memory of its longest line.
import { DataError } from "../errors.js";

export interface Line {
  readonly text: string;
  /** Counted from 1. */
  readonly number: number;
}

const LF = 0x0a;
const CR = 0x0d;
/** Longer lines are no text that a model could read; most likely the file is something else. */
export const MAX_LINE = 2 ** 26;

/**
 * Lines of a UTF-8 file, without their ends (LF or CRLF); a byte order mark is left out. Other line separators of Unicode are text. Throws
 * DataError for bytes that are no UTF-8, naming the line.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let number = 0;
  const decode = (bytes: Uint8Array): Line => {
    number++;
    const end = bytes.at(-1) === CR ? bytes.length - 1 : bytes.length;
    const start =
      number === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    try {
      return { text: decoder.decode(bytes.subarray(start, end)), number };
    } catch {
      throw new DataError(path, number, "bytes that are not UTF-8", "text in UTF-8");
    }
  };
  let rest: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      yield decode(joined(rest, chunk.subarray(start, end)));
      rest = [];
      length = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    rest.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > MAX_LINE)
      throw new DataError(
        path,
        number + 1,
        `a line of more than ${MAX_LINE} bytes`,
        "text in lines",
      );
  }
  if (rest.length > 0) yield decode(joined(rest, new Uint8Array(0)));
}

/**
 * The bytes of a UTF-8 file as they are, in pieces of whole lines. Throws DataError for bytes that are no UTF-8, naming the line: readers
 * that decode by themselves would put U+FFFD there, without a word.
 */
export async function* wholeLinesOf(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<Uint8Array> {
  let line = 1;
  let rest: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(LF) + 1;
    length = end > 0 ? chunk.length - end : length + chunk.length;
    if (length > MAX_LINE)
      throw new DataError(path, line, `a line of more than ${MAX_LINE} bytes`, "text in lines");
    if (end > 0) {
      const piece = joined(rest, chunk.subarray(0, end));
      line = checked(piece, path, line);
      yield piece;
      rest = [];
    }
    if (end < chunk.length) rest.push(chunk.subarray(end));
  }
  if (rest.length === 0) return;
  const piece = joined(rest, new Uint8Array(0));
  checked(piece, path, line);
  yield piece;
}

/** Checks lines of which the first has number `line`; returns the number of the line behind them. */
function checked(piece: Uint8Array, path: string, line: number): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const isText = (bytes: Uint8Array): boolean => {
    try {
      decoder.decode(bytes);
      return true;
    } catch {
      return false;
    }
  };
  const whole = isText(piece);
  let number = line;
  let start = 0;
  for (let end = piece.indexOf(LF); end >= 0; end = piece.indexOf(LF, start)) {
    if (!whole && !isText(piece.subarray(start, end))) break;
    start = end + 1;
    number++;
  }
  if (whole) return number;
  throw new DataError(path, number, "bytes that are not UTF-8", "text in UTF-8");
}

function joined(parts: readonly Uint8Array[], last: Uint8Array): Uint8Array {
  if (parts.length === 0) return last;
  const whole = new Uint8Array(parts.reduce((n, part) => n + part.length, last.length));
  let at = 0;
  for (const part of [...parts, last]) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

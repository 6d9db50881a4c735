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
const MAX_LINE = 2 ** 26;

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

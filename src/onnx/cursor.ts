// Walks over the bytes of a source through a window: all of it for memory, pages for a file, so that skipped tensors are never read.
import { OnnxFormatError } from "../errors.js";
import type { Blob, Int64 } from "./proto.js";
import { blobOf, MemorySource, RangeBlob, type ByteSource } from "./source.js";

/** First page after a jump: what stands between two tensors fits. Pages double while reading goes straight on. */
const SMALLEST_PAGE = 4 * 1024;
const LARGEST_PAGE = 256 * 1024;
/** Blobs of a file up to this size are kept in memory: each would cost a system call of its own. */
const SMALL_BLOB = 1024;
/** Strings up to this length are looked up among those seen before: operator and attribute names repeat thousands of times. */
const SHARED_STRING = 24;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Cursor {
  readonly #memory: MemorySource | undefined;
  #window: Uint8Array;
  /** Offset of the window in the source. */
  #base = 0;
  /** Where reading goes on, in the window; beyond its end after a skip. */
  #at = 0;
  #page = SMALLEST_PAGE;
  /** Halves of the varint that was read last. */
  #low = 0;
  #high = 0;
  #strings: (string | undefined)[] | undefined;

  constructor(readonly source: ByteSource) {
    this.#memory = source instanceof MemorySource ? source : undefined;
    this.#window = this.#memory?.bytes ?? new Uint8Array(0);
  }

  get offset(): number {
    return this.#base + this.#at;
  }

  fail(detail: string, offset = this.offset): never {
    throw new OnnxFormatError(detail, offset, this.source.path);
  }

  /** Makes the next `count` bytes present in the window, or as many as the source still has. */
  need(count: number): void {
    if (this.#window.length - this.#at < count && this.#memory === undefined) this.#fill(count);
  }

  #fill(count: number): void {
    const start = this.offset;
    const left = this.source.size - start;
    if (this.#base + this.#window.length >= this.source.size && this.#at <= this.#window.length)
      return;
    this.#page =
      this.#at <= this.#window.length ? Math.min(this.#page * 2, LARGEST_PAGE) : SMALLEST_PAGE;
    this.#window = this.source.read(start, Math.min(left, Math.max(count, this.#page)));
    this.#base = start;
    this.#at = 0;
  }

  skip(count: number): void {
    this.#at += count;
  }

  /** A varint into `#low` and `#high`. The window must hold it (`need`). */
  #varint(): void {
    const window = this.#window;
    let at = this.#at;
    let byte = window[at++];
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (byte === undefined) this.fail("it ends within a number");
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) this.fail("a number has more than 64 bits");
        break;
      }
      if (shift === 63) this.fail("a number takes more than 10 bytes");
      byte = window[at++];
    }
    this.#low = low >>> 0;
    this.#high = high >>> 0;
    this.#at = at;
  }

  /** Field number and wire type. */
  tag(): number {
    const first = this.#window[this.#at];
    if (first !== undefined && first < 0x80) {
      this.#at++;
      return first;
    }
    const start = this.offset;
    this.#varint();
    if (this.#high !== 0) this.fail("a field number is too large", start);
    return this.#low;
  }

  /** The length of what follows, known to end at `end` or before. */
  length(end: number): number {
    const start = this.offset;
    const first = this.#window[this.#at];
    let length: number;
    if (first !== undefined && first < 0x80) {
      this.#at++;
      length = first;
    } else {
      this.#varint();
      length = this.#high * 2 ** 32 + this.#low;
    }
    const left = end - this.offset;
    if (length > left)
      this.fail(`a length of ${length} where ${Math.max(left, 0)} bytes are left`, start);
    return length;
  }

  int64(): Int64 {
    const first = this.#window[this.#at];
    if (first !== undefined && first < 0x80) {
      this.#at++;
      return first;
    }
    this.#varint();
    const high = this.#high | 0;
    const value = high * 2 ** 32 + this.#low;
    return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(this.#low);
  }

  /** An int32 or an enum: the low half of a varint. */
  int32(): number {
    this.#varint();
    return this.#low | 0;
  }

  /** A varint straight into little-endian memory, as 4 or 8 bytes. */
  varintInto(view: DataView, at: number, width: 4 | 8): void {
    this.#varint();
    view.setUint32(at, this.#low, true);
    if (width === 8) view.setUint32(at + 4, this.#high, true);
  }

  skipVarint(): void {
    this.#varint();
  }

  /** Four bytes as a float; the window must hold them. */
  float(): number {
    const { buffer, byteOffset, length } = this.#window;
    if (length - this.#at < 4) this.fail("it ends within a number");
    const value = new DataView(buffer, byteOffset + this.#at, 4).getFloat32(0, true);
    this.#at += 4;
    return value;
  }

  string(length: number): string {
    if (length === 0) return "";
    this.need(length);
    const start = this.#at;
    const end = start + length;
    this.#at = end;
    if (length > SHARED_STRING) return this.#decode(start, end);
    const window = this.#window;
    let hash = length;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (window[i] ?? 0)) | 0;
    const slot = (hash ^ (hash >>> 15)) & 1023;
    this.#strings ??= Array.from({ length: 1024 });
    const known = this.#strings[slot];
    if (known !== undefined && known.length === length) {
      let same = 0;
      while (same < length && known.charCodeAt(same) === window[start + same]) same++;
      if (same === length) return known;
    }
    const text = this.#decode(start, end);
    if (isAscii(text)) this.#strings[slot] = text;
    return text;
  }

  #decode(start: number, end: number): string {
    try {
      return utf8.decode(this.#window.subarray(start, end));
    } catch {
      return this.fail("a text is not UTF-8", this.#base + start);
    }
  }

  /** Bytes to keep: a view over memory, a copy out of a page. */
  bytes(length: number): Uint8Array {
    if (this.#memory === undefined && length > LARGEST_PAGE) {
      const bytes = this.source.read(this.offset, length);
      this.skip(length);
      return bytes;
    }
    this.need(length);
    const end = this.#at + length;
    const bytes =
      this.#memory === undefined
        ? this.#window.slice(this.#at, end)
        : this.#window.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** Bytes that stay where they are. */
  blob(length: number): Blob {
    if (this.#memory === undefined && length <= SMALL_BLOB) return blobOf(this.bytes(length));
    const blob = new RangeBlob(this.source, this.offset, length);
    this.skip(length);
    return blob;
  }

  /** Bytes that were passed already. */
  passed(from: number, to: number): Uint8Array {
    return from >= this.#base && to <= this.#base + this.#window.length
      ? this.#memory === undefined
        ? this.#window.slice(from - this.#base, to - this.#base)
        : this.#window.subarray(from, to)
      : this.source.read(from, to - from);
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

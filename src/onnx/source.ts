// Where bytes come from: one small interface over memory and files, so that a model is indexed without being loaded.
import type { Blob } from "./proto.js";

export interface ByteSource {
  readonly size: number;
  /** For messages only. */
  readonly path?: string;
  /**
   * Bytes `offset` to `offset + length`, which must lie inside. What is returned stays valid and must not be written into: a view over
   * memory, fresh bytes from a file.
   */
  read(offset: number, length: number): Uint8Array;
}

/** Bytes in memory; reads are views. */
export function memorySource(bytes: Uint8Array, path?: string): ByteSource {
  return new MemorySource(bytes, path);
}

export class MemorySource implements ByteSource {
  readonly size: number;
  readonly path?: string;
  /** A plain Uint8Array, whatever subclass came in (a Buffer's slice is not a copy). */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, path?: string) {
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.size = bytes.byteLength;
    if (path !== undefined) this.path = path;
  }

  read(offset: number, length: number): Uint8Array {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size))
      throw new Error(`internal: read of ${length} bytes at ${offset}, of ${this.size}`);
    return this.bytes.subarray(offset, offset + length);
  }
}

/** A range of a source, read when asked for. */
export class RangeBlob implements Blob {
  constructor(
    readonly source: ByteSource,
    readonly offset: number,
    readonly byteLength: number,
  ) {}

  read(): Uint8Array {
    return this.source.read(this.offset, this.byteLength);
  }
}

/** Values in memory as a blob, without a copy. */
export function blobOf(values: ArrayBufferView): Blob {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { byteLength: bytes.byteLength, read: () => bytes };
}

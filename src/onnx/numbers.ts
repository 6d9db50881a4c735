// Runs of packed numbers in tensors (float_data, int64_data, …) as blobs: counted and checked while scanning, decoded when asked for.
import { Cursor } from "./cursor.js";
import type { Blob } from "./proto.js";
import type { NumberKind } from "./schema.js";
import { MemorySource, type ByteSource } from "./source.js";

interface NumberRow {
  /** Bytes of a decoded element. */
  readonly width: 4 | 8;
  readonly varint: boolean;
}

export const NUMBERS: { readonly [K in NumberKind]: NumberRow } = {
  float: { width: 4, varint: false },
  double: { width: 8, varint: false },
  int32: { width: 4, varint: true },
  int64: { width: 8, varint: true },
  uint64: { width: 8, varint: true },
};

/** Varints in a range of a source; `count` of them, checked before. */
export class VarintBlob implements Blob {
  readonly byteLength: number;

  constructor(
    readonly source: ByteSource,
    readonly offset: number,
    readonly length: number,
    readonly width: 4 | 8,
    count: number,
  ) {
    this.byteLength = count * width;
  }

  read(): Uint8Array {
    const cursor = new Cursor(new MemorySource(this.source.read(this.offset, this.length)));
    const out = new Uint8Array(this.byteLength);
    const view = new DataView(out.buffer);
    for (let at = 0; at < out.length; at += this.width) cursor.varintInto(view, at, this.width);
    return out;
  }
}

/** Numbers gathered one by one or run by run: what a tensor's typed field becomes where it is not one packed run. */
export class GatheredBlob implements Blob {
  #bytes: Uint8Array;
  byteLength = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
    this.byteLength = bytes.length;
  }

  read(): Uint8Array {
    return this.#bytes.subarray(0, this.byteLength);
  }

  append(bytes: Uint8Array): void {
    const length = this.byteLength + bytes.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2, 64));
      grown.set(this.#bytes.subarray(0, this.byteLength));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.byteLength);
    this.byteLength = length;
  }
}

// Bytes that behave like a file: every read is a fresh copy, and the ranges that were read are on record.
import type { ByteSource } from "../src/onnx/source.js";

export interface PagedSource extends ByteSource {
  readonly reads: { offset: number; length: number }[];
}

export function pagedSource(bytes: Uint8Array): PagedSource {
  const reads: { offset: number; length: number }[] = [];
  return {
    size: bytes.length,
    reads,
    read(offset, length) {
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
        throw new Error(`internal: read of ${length} at ${offset}, of ${bytes.length}`);
      reads.push({ offset, length });
      return Uint8Array.prototype.slice.call(bytes, offset, offset + length);
    },
  };
}

// Writes the safetensors format, in pieces that are views of the tensors themselves. https://github.com/huggingface/safetensors#format
import { byteLengthOf, elementCount } from "../onnx/dtypes.js";
import type { RunnableDType, RuntimeTensor } from "../runtime/runtime.js";

const NAME_OF: Readonly<Record<RunnableDType, string>> = {
  bool: "BOOL",
  uint8: "U8",
  int8: "I8",
  int16: "I16",
  uint16: "U16",
  float16: "F16",
  int32: "I32",
  uint32: "U32",
  float32: "F32",
  float64: "F64",
  int64: "I64",
  uint64: "U64",
};

/** The bytes of a file, one piece after the other: the header, then each tensor in the order given. Texts go under `__metadata__`. */
export function safetensorsPieces(
  tensors: Readonly<Record<string, RuntimeTensor>>,
  texts: Readonly<Record<string, string>>,
): Uint8Array[] {
  let at = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, dims }]) => {
    const begin = at;
    at += byteLengthOf(dtype, elementCount(dims));
    return [name, { dtype: NAME_OF[dtype], shape: dims, data_offsets: [begin, at] }] as const;
  });
  const header = JSON.stringify({ __metadata__: texts, ...Object.fromEntries(entries) });
  const bytes = new TextEncoder().encode(header);
  // Spaces bring the tensors to a multiple of 8 bytes, as the format recommends.
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(0x20);
  padded.set(bytes);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  const data = Object.values(tensors).map(
    ({ data: { buffer, byteOffset, byteLength } }) =>
      new Uint8Array(buffer, byteOffset, byteLength),
  );
  return [length, padded, ...data];
}

// What is written is read back the same.
import { expect, test } from "vitest";
import type { RuntimeTensor } from "../runtime/runtime.js";
import { readSafetensors } from "./safetensors.js";
import { safetensorsPieces } from "./write-safetensors.js";

test("tensors of all kinds and texts are read back as they were written", () => {
  const tensors: Record<string, RuntimeTensor> = {
    scalar: { dtype: "float32", dims: [], data: Float32Array.of(1.5) },
    empty: { dtype: "float32", dims: [0, 3], data: new Float32Array() },
    odd: { dtype: "uint8", dims: [3], data: Uint8Array.of(1, 2, 255) },
    wide: { dtype: "int64", dims: [1, 2], data: BigInt64Array.of(-1n, 2n ** 40n) },
    half: { dtype: "float16", dims: [2], data: Uint16Array.of(0x3c00, 0xfc00) },
  };
  const file = Buffer.concat(safetensorsPieces(tensors, { kind: "größer", steps: "12" }));
  const read = readSafetensors(file);
  expect(Object.fromEntries(read.metadata)).toEqual({ kind: "größer", steps: "12" });
  expect([...read.tensors.keys()].toSorted()).toEqual(Object.keys(tensors).toSorted());
  for (const [name, { dtype, dims, data }] of Object.entries(tensors)) {
    const tensor = read.tensors.get(name);
    expect(tensor).toMatchObject({ dtype, dims });
    expect(Buffer.from(tensor?.data.read() ?? [])).toEqual(
      Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    );
  }
});

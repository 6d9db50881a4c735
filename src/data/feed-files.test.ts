import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OctavoError } from "../errors.js";
import { memorySource } from "../onnx/source.js";
import { readFeedFile } from "./feed-files.js";
import { placeOf, type DataRecord } from "./records.js";

type Entry = readonly [
  name: string,
  dtype: string,
  shape: readonly number[],
  values: ArrayBufferView,
];

function safetensors(entries: readonly Entry[]): Uint8Array {
  const header: Record<string, unknown> = {};
  const bytes: number[] = [];
  for (const [name, dtype, shape, { buffer, byteOffset, byteLength }] of entries) {
    header[name] = { dtype, shape, data_offsets: [bytes.length, bytes.length + byteLength] };
    bytes.push(...new Uint8Array(buffer, byteOffset, byteLength));
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(BigUint64Array.of(BigInt(json.length)).buffer);
  return Uint8Array.of(...length, ...json, ...bytes);
}

async function read(bytes: Uint8Array): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for await (const record of readFeedFile(memorySource(bytes), "f")) records.push(record);
  return records;
}

const ids = (...values: number[]) => BigInt64Array.from(values, BigInt);

describe("a safetensors file", () => {
  test("of names alone is one feed, in the types it has", async () => {
    const records = await read(
      safetensors([
        ["a", "BOOL", [3], Uint8Array.of(1, 0, 1)],
        ["encoder/ids", "I64", [1, 2], ids(5, 6)],
        ["half", "BF16", [1], Uint16Array.of(0x3fc0)],
      ]),
    );
    expect(records).toEqual([
      {
        inputs: {
          a: { dtype: "bool", dims: [3], data: Uint8Array.of(1, 0, 1) },
          "encoder/ids": { dtype: "int64", dims: [1, 2], data: ids(5, 6) },
          half: { dtype: "float32", dims: [1], data: Float32Array.of(1.5) },
        },
        place: { path: "f", line: 1, unit: "feed" },
      },
    ]);
  });

  test("of numbered names is a feed per number, in the order of the numbers", async () => {
    const entries = [10, 2, 0].map((i): Entry => [`${i}/ids`, "I64", [1], ids(i)]);
    const records = await read(safetensors(entries));
    expect(records.map((record) => "inputs" in record && record.inputs["ids"]?.data)).toEqual([
      ids(0),
      ids(2),
      ids(10),
    ]);
    expect(records.map(placeOf)).toEqual(["f, feed 1", "f, feed 3", "f, feed 11"]);
  });

  test("that mixes both, or holds complex numbers, is refused", async () => {
    const mixed = safetensors([
      ["0/ids", "I64", [1], ids(1)],
      ["mask", "I64", [1], ids(1)],
    ]);
    await expect(read(mixed)).rejects.toThrow('f: "mask" has no number, others have one');
    const complex = safetensors([["z", "C64", [1], Float32Array.of(1, 2)]]);
    await expect(read(complex)).rejects.toThrow('"z" holds complex numbers');
  });

  test("that is damaged is an error of Octavo, or feeds", async () => {
    const whole = safetensors([["0/ids", "I64", [2], ids(1, 2)]]);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.nat(255),
        fc.boolean(),
        async (at, value, cut) => {
          const damaged = cut ? whole.slice(0, at) : whole.with(at, value);
          const got = await read(damaged).catch((error: unknown) => error);
          expect(Array.isArray(got) || got instanceof OctavoError).toBe(true);
        },
      ),
    );
  });
});

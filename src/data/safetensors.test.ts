import fc from "fast-check";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hasShared, shared, zooGraphs } from "../../test/shared.js";
import { SafetensorsError } from "../errors.js";
import { readSafetensors } from "./safetensors.js";

/** A file of this header (text or object) and these data bytes. */
function file(header: unknown, data: Uint8Array = new Uint8Array(0), length?: bigint): Uint8Array {
  const text = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

const f32 = (shape: number[], begin: number, end: number) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

describe("readSafetensors", () => {
  test("gives tensors by name with their bytes, and the metadata", () => {
    const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    const { tensors, metadata } = readSafetensors(
      file(
        {
          __metadata__: { format: "pt" },
          b: f32([1, 3], 4, 16),
          a: f32([], 0, 4),
          empty: f32([0, 7], 16, 16),
        },
        data,
      ),
    );
    expect([...metadata]).toEqual([["format", "pt"]]);
    expect([...tensors].map(([name, t]) => [name, t.dtype, t.dims])).toEqual([
      ["a", "float32", []],
      ["b", "float32", [1, 3]],
      ["empty", "float32", [0, 7]],
    ]);
    expect([...(tensors.get("b")?.data.read() ?? [])]).toEqual([...data.subarray(4)]);
  });

  test("reads only what is asked for from a source", () => {
    const bytes = file({ a: f32([2], 0, 8) }, new Uint8Array(8));
    const reads: number[] = [];
    const { tensors } = readSafetensors({
      size: bytes.length,
      read(at, length) {
        reads.push(length);
        return bytes.subarray(at, at + length);
      },
    });
    expect(reads).toEqual([8, bytes.length - 16]);
    tensors.get("a")?.data.read();
    expect(reads[2]).toBe(8);
  });

  test("names like __proto__ are names like any other", () => {
    const header = `{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`;
    const { tensors } = readSafetensors(file(header, Uint8Array.of(7)));
    expect([...tensors.keys()]).toEqual(["__proto__"]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["no length", Uint8Array.of(1, 2), /has 2 bytes/],
    ["a huge header", file("{}", undefined, 1n << 60n), /claims 1152921504606846976 bytes/],
    ["a header past the end", file("{}", undefined, 50n), /the file has 2 after it/],
    ["no JSON", file("{nope"), /no valid JSON/],
    ["bytes before the object", file(" {}"), /does not begin with/],
    ["invalid UTF-8", file("{}").with(9, 0xff), /no valid JSON/],
    ["an entry that is no object", file({ a: 3 }), /"a" is no object/],
    ["metadata that is no text", file({ __metadata__: { a: 1 } }), /"a" is no text/],
    ["an unknown type", file({ a: { ...f32([], 0, 4), dtype: "Q4" } }), /unknown type "Q4"/],
    ["a negative size", file({ a: f32([-1], 0, 4) }), /shape \[-1\]/],
    ["a size in text", file({ a: { ...f32([], 0, 4), shape: ["1"] } }), /shape \["1"\]/],
    ["one offset", file({ a: { ...f32([], 0, 4), data_offsets: [0] } }), /expected two/],
    [
      "a shape larger than its bytes",
      file({ a: f32([2], 0, 4) }, new Uint8Array(4)),
      /needs 8 bytes/,
    ],
    [
      "a shape whose product wraps around 64 bits",
      file({ a: f32([4194305, 4194305, 211106198978564], 0, 4) }, new Uint8Array(4)),
      /needs Infinity bytes/,
    ],
    ["offsets in reverse", file({ a: f32([1], 4, 0) }, new Uint8Array(4)), /span -4/],
    [
      "an overlap",
      file({ a: f32([1], 0, 4), b: f32([1], 2, 6) }, new Uint8Array(6)),
      /"b" begins at byte 2/,
    ],
    [
      "a gap",
      file({ a: f32([1], 0, 4), b: f32([1], 5, 9) }, new Uint8Array(9)),
      /"b" begins at byte 5/,
    ],
    ["data past the end", file({ a: f32([2], 0, 8) }, new Uint8Array(4)), /the data has 4/],
    ["left over bytes", file({ a: f32([1], 0, 4) }, new Uint8Array(6)), /2 bytes at the end/],
  ])("%s is an error that says so", (_, bytes, message) => {
    expect(() => readSafetensors(bytes)).toThrow(SafetensorsError);
    expect(() => readSafetensors(bytes)).toThrow(message);
  });

  test("a hundred thousand entries are read in linear time", () => {
    const header = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, i) => [
        `t${i}`,
        { dtype: "U8", shape: [1], data_offsets: [i, i + 1] },
      ]),
    );
    const bytes = file(header, new Uint8Array(100_000));
    const start = performance.now();
    expect(readSafetensors(bytes).tensors.size).toBe(100_000);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test("damaged files are read or refused with a SafetensorsError, nothing else", () => {
    const good = file(
      { __metadata__: { a: "b" }, x: f32([2, 2], 0, 16), y: f32([1], 16, 20) },
      new Uint8Array(20),
    );
    const read = (bytes: Uint8Array) => {
      try {
        for (const tensor of readSafetensors(bytes).tensors.values()) tensor.data.read();
      } catch (error) {
        expect(error).toBeInstanceOf(SafetensorsError);
      }
    };
    for (let length = 0; length < good.length; length++) read(good.subarray(0, length));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (flips) => {
          const bytes = good.slice();
          for (const [at, value] of flips) bytes[at] = value;
          read(bytes);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe.skipIf(!hasShared)("on the zoo's files (../shared)", () => {
  test.each(zooGraphs().map((g) => g.name))("%s", (name) => {
    const { tensors } = readSafetensors(readFileSync(shared("zoo", name, "reference.safetensors")));
    expect([...tensors.keys()].some((key) => key.startsWith("case0/input/"))).toBe(true);
  });
});

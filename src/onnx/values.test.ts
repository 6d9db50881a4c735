import fc from "fast-check";
import { expect, test } from "vitest";
import { DTYPES, type DType } from "./dtypes.js";
import { tensorOf } from "./tensor.js";
import { bigintsOf, floatsOf, numbersOf, scalarOf } from "./values.js";

test("float32 is a view where its bytes are aligned, a copy where not", () => {
  const bytes = new Uint8Array(Float32Array.of(0, 1, -2.5).buffer);
  const whole = floatsOf(tensorOf("float32", [3], bytes));
  expect(whole.buffer).toBe(bytes.buffer);
  expect([...whole]).toEqual([0, 1, -2.5]);
  const shifted = new Uint8Array(13);
  shifted.set(bytes, 1);
  const copy = floatsOf(tensorOf("float32", [3], shifted.subarray(1)));
  expect(copy.buffer).not.toBe(shifted.buffer);
  expect([...copy]).toEqual([0, 1, -2.5]);
});

test.each<[DType, Uint8Array | Uint16Array, number[]]>([
  ["uint8", Uint8Array.of(0, 200, 255), [0, 200, 255]],
  ["int8", Uint8Array.of(0, 200, 255), [0, -56, -1]],
  ["int16", Uint16Array.of(0, 65535, 32768), [0, -1, -32768]],
  ["bool", Uint8Array.of(0, 1, 2), [0, 1, 1]],
  ["float16", Uint16Array.of(0x3c00, 0xbc00, 0x0001), [1, -1, 2 ** -24]],
  ["bfloat16", Uint16Array.of(0x3f80, 0xbf80, 0x4049), [1, -1, 3.140625]],
  ["float8e4m3fn", Uint8Array.of(0x38, 0xb8, 0x7e), [1, -1, 448]],
  ["float8e8m0", Uint8Array.of(127, 126, 129), [1, 0.5, 4]],
  ["int4", Uint8Array.of(0x7f, 0x08), [-1, 7, -8]],
  ["uint4", Uint8Array.of(0x7f, 0x08), [15, 7, 8]],
  ["int2", Uint8Array.of(0b100111), [-1, 1, -2]],
  ["uint2", Uint8Array.of(0b100111), [3, 1, 2]],
  ["float4e2m1", Uint8Array.of(0x7f, 0x02), [-6, 6, 1]],
  ["float6e3m2", Uint8Array.of(0b10001100, 0b00000011, 0), [1, 1.5, 0]],
])("%s elements are read from their bytes", (dtype, bytes, values) => {
  const tensor = tensorOf(dtype, [3], bytes);
  expect(numbersOf(tensor)).toEqual(values);
  expect([...floatsOf(tensor)]).toEqual(values);
});

test("64-bit integers are exact as bigints, and rounded as numbers", () => {
  const values = [2n ** 63n - 1n, -(2n ** 63n), 7n];
  const tensor = tensorOf("int64", [3], BigInt64Array.from(values));
  expect(bigintsOf(tensor)).toEqual(values);
  expect(numbersOf(tensor)).toEqual([2 ** 63, -(2 ** 63), 7]);
  expect([...floatsOf(tensor)]).toEqual([2 ** 63, -(2 ** 63), 7]);
  expect(bigintsOf(tensorOf("uint64", [1], BigUint64Array.of(2n ** 64n - 1n)))).toEqual([
    2n ** 64n - 1n,
  ]);
  expect(bigintsOf(tensorOf("bool", [2], Uint8Array.of(0, 9)))).toEqual([0n, 1n]);
});

test("packed 4-bit elements are read like their bytes, low half first, for every length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, odd) => {
      const count = bytes.length * 2 - (odd && bytes.length > 0 ? 1 : 0);
      const halves = [...bytes].flatMap((byte) => [byte & 15, byte >> 4]).slice(0, count);
      expect(numbersOf(tensorOf("uint4", [count], bytes))).toEqual(halves);
      const signed = halves.map((half) => (half > 7 ? half - 16 : half));
      expect(numbersOf(tensorOf("int4", [count], bytes))).toEqual(signed);
    }),
  );
});

test("a scalar is the element of a tensor that has one, of whatever rank", () => {
  expect(scalarOf(tensorOf("float32", [], Float32Array.of(2)))).toBe(2);
  expect(scalarOf(tensorOf("int64", [1, 1], BigInt64Array.of(-3n)))).toBe(-3);
  expect(scalarOf(tensorOf("float32", [2], Float32Array.of(1, 2)))).toBeUndefined();
  expect(scalarOf(tensorOf("float32", [0], new Float32Array(0)))).toBeUndefined();
  expect(scalarOf(tensorOf("complex64", [], new Float32Array(2)))).toBeUndefined();
});

test("every element type but strings and complex numbers can be read as numbers", () => {
  for (const dtype of Object.keys(DTYPES) as DType[]) {
    const { kind, bits } = DTYPES[dtype];
    if (kind === "string") continue;
    const tensor = tensorOf(dtype, [8], new Uint8Array(bits));
    if (kind === "complex") expect(() => floatsOf(tensor)).toThrow("internal: ");
    else expect(floatsOf(tensor)).toHaveLength(8);
  }
});

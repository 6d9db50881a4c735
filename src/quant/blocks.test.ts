import fc from "fast-check";
import { expect, test } from "vitest";
import { noise } from "../../test/build.js";
import { BITS, blockCount, packBlocks, zeroPointBytes, type PackedBlocks } from "./blocks.js";
import type { BlockWeight } from "./plan.js";

const spec = (over: Partial<BlockWeight> = {}): BlockWeight => ({
  dtype: "int4",
  granularity: "block-wise",
  block: 32,
  scheme: "symmetric",
  range: "min-max",
  ...over,
});

const never = (index: number): never => {
  throw new Error(`bad value at ${index}`);
};

/** What the operator's specification makes of packed bytes: one code after the other, the first in the low bits. */
function unpacked(packed: PackedBlocks, columns: number, depth: number, form: BlockWeight) {
  const bits = BITS[form.dtype];
  const blocks = blockCount(depth, form.block);
  const codeAt = (bytes: Uint8Array, row: number, i: number) =>
    ((bytes[row + Math.floor((i * bits) / 8)] ?? NaN) >> ((i * bits) % 8)) & (2 ** bits - 1);
  return Array.from({ length: columns * depth }, (_, at) => {
    const [n, k] = [Math.floor(at / depth), at % depth];
    const b = Math.floor(k / form.block);
    const code = codeAt(packed.codes, (n * blocks * form.block * bits) / 8, k);
    const { zeroPoints } = packed;
    const zero =
      zeroPoints === undefined
        ? 2 ** (bits - 1)
        : codeAt(zeroPoints, n * zeroPointBytes(depth, form), b);
    return (code - zero) * (packed.scales[n * blocks + b] ?? NaN);
  });
}

const forms = fc.record({
  dtype: fc.constantFrom("int4", "int8"),
  granularity: fc.constant("block-wise" as const),
  block: fc.constantFrom(16, 32, 64),
  scheme: fc.constantFrom("symmetric", "asymmetric"),
  range: fc.constantFrom("min-max", "mse"),
}) satisfies fc.Arbitrary<BlockWeight>;
const real = fc.float({ noNaN: true, min: -8, max: 8 });
const matrices = fc
  .record({ columns: fc.integer({ min: 1, max: 5 }), depth: fc.integer({ min: 1, max: 150 }) })
  .chain(({ columns, depth }) =>
    fc.record({
      columns: fc.constant(columns),
      depth: fc.constant(depth),
      values: fc.float32Array({
        minLength: columns * depth,
        maxLength: columns * depth,
        noNaN: true,
        min: -8,
        max: 8,
      }),
    }),
  );

test("no value is further from its code than a step, whatever the shape, and half a step where all are spanned", () => {
  fc.assert(
    fc.property(matrices, forms, ({ columns, depth, values }, form) => {
      const whole = { ...form, range: "min-max" } as const;
      const packed = packBlocks(values, columns, depth, whole, never);
      const read = unpacked(packed, columns, depth, whole);
      const blocks = blockCount(depth, form.block);
      for (const [i, value] of values.entries()) {
        const block = Math.floor((i % depth) / form.block);
        const step = Math.abs(packed.scales[Math.floor(i / depth) * blocks + block] ?? NaN);
        // The largest of the other sign than code 0 may lie one step out; the zero point is rounded too.
        expect(Math.abs((read[i] ?? NaN) - value)).toBeLessThanOrEqual(step * 1.0001);
      }
    }),
  );
});

test("the search for the least error never leaves more of it", () => {
  fc.assert(
    fc.property(matrices, forms, ({ columns, depth, values }, form) => {
      const error = (range: BlockWeight["range"]) => {
        const tried = { ...form, range };
        const packed = packBlocks(values, columns, depth, tried, never);
        return unpacked(packed, columns, depth, tried).reduce(
          (sum, v, i) => sum + (v - (values[i] ?? NaN)) ** 2,
          0,
        );
      };
      expect(error("mse")).toBeLessThanOrEqual(error("min-max") * (1 + 1e-5) + 1e-12);
    }),
  );
});

test("zeros, padding and blocks of zeros stay exact", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), real, forms, (depth, value, form) => {
      const values = new Float32Array(2 * depth);
      values[0] = value;
      const read = unpacked(packBlocks(values, 2, depth, form, never), 2, depth, form);
      expect(read.slice(1).every((v) => v === 0)).toBe(true);
    }),
  );
});

test("a symmetric block uses its lowest code for the largest value, positive or not", () => {
  for (const sign of [1, -1]) {
    const values = Float32Array.from({ length: 16 }, (_, i) => (i === 3 ? 8 * sign : 0));
    const { codes, scales } = packBlocks(values, 1, 16, spec({ block: 16 }), never);
    expect(scales[0]).toBe(-sign);
    expect([...codes]).toEqual([0x88, 0x08, ...Array<number>(6).fill(0x88)]);
  }
});

test("a value that is no number is reported with its place", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = noise(3 * 20, 1);
    values[45] = bad;
    expect(() => packBlocks(values, 3, 20, spec(), never)).toThrow("bad value at 45");
  }
});

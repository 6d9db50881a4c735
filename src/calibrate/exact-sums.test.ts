import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExactSums, GRID_EXPONENT } from "./exact-sums.js";

const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });
/** What is summed: float32 numbers, their squares, and float64 sums of them. */
const summand = fc.oneof(
  float32,
  float32.map((x) => x * x),
  fc.array(float32, { maxLength: 5 }).map((xs) => xs.reduce((sum, x) => sum + x * x, 0)),
);

/** The exact integer of a float64 in units of 2^-298, found another way: through its digits. */
function integerOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const mantissa = (bits & (2n ** 52n - 1n)) | (exponent === 0 ? 0n : 2n ** 52n);
  const shift = Math.max(exponent, 1) - 1075 - GRID_EXPONENT;
  const size = shift >= 0 ? mantissa << BigInt(shift) : mantissa >> BigInt(-shift);
  return value < 0 ? -size : size;
}

describe("exact sums", () => {
  test("hold every bit, whatever the order and the split", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(summand, fc.nat(3)), { maxLength: 40 }), (list) => {
        const exact = list.reduce((sum, [value]) => sum + integerOf(value), 0n);
        const parts = Array.from({ length: 4 }, () => new ExactSums(2));
        for (const [value, part] of list) parts[part]?.add(Float64Array.of(value, -value));
        const whole = new ExactSums(2);
        for (const part of parts.toReversed()) whole.merge(part);
        expect(whole.integers()).toEqual([exact, -exact]);
        expect(ExactSums.of(whole.integers()).integers()).toEqual([exact, -exact]);
        expect(whole.folded().integers()).toEqual([0n]);
        expect(whole.numbers()[0]).toBe(Number(exact) * 2 ** GRID_EXPONENT);
      }),
    );
  });

  test("carry before a digit overflows", () => {
    const all = 2 ** 53 - 1;
    const sums = new ExactSums(1);
    const many = new Float64Array(3_000_000).fill(all);
    sums.add(many);
    expect(sums.integers()).toEqual([(BigInt(all) * 3_000_000n) << BigInt(-GRID_EXPONENT)]);
  });
});

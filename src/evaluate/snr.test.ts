// Ratios of signal and noise, cosines and agreement, against numbers worked out by hand.
import { describe, expect, test } from "vitest";
import type { RuntimeTensor } from "../runtime/runtime.js";
import { agreementOf, noiseSums, realsOf, signalToNoise } from "./snr.js";

const sumsOf = (a: number[], b: number[], rows?: Uint8Array) => {
  const sums = noiseSums();
  sums.add(a, b, rows);
  return sums;
};

describe("the signal-to-noise ratio", () => {
  test("is of all pairs together, in dB", () => {
    // Signal 100 + 44, noise 1 + 0.44.
    const first = { reference: [10, 0], candidate: [9, 0] };
    const second = { reference: [Math.sqrt(44)], candidate: [Math.sqrt(44) + Math.sqrt(0.44)] };
    expect(signalToNoise(first, second)).toBeCloseTo(20, 9);
    expect(signalToNoise(first)).toBeCloseTo(20, 9);
  });

  test("is endless where nothing differs, and less than anything where one alone is not finite", () => {
    expect(signalToNoise({ reference: [1, 2], candidate: [1, 2] })).toBe(Infinity);
    for (const wrong of [NaN, Infinity, -Infinity])
      expect(signalToNoise({ reference: [1, 2], candidate: [1, wrong] })).toBe(-Infinity);
    expect(signalToNoise({ reference: [Infinity, 1], candidate: [-Infinity, 1] })).toBe(-Infinity);
  });

  test("leaves out what is the same and not finite on both sides", () => {
    const both = { reference: [NaN, Infinity, 10], candidate: [NaN, Infinity, 9] };
    expect(signalToNoise(both)).toBeCloseTo(20, 9);
  });

  test("is of the rows that count", () => {
    const sums = sumsOf([10, 0, 5, 5], [9, 0, 70, 80], Uint8Array.of(1, 0));
    expect(sums.snrDb()).toBeCloseTo(20, 9);
  });
});

test("the cosine is that of two vectors, 1 of two zeros, 0 where one is zero", () => {
  expect(sumsOf([3, 0], [1, 1]).cosine()).toBeCloseTo(Math.SQRT1_2, 12);
  expect(sumsOf([3, 1], [-3, -1]).cosine()).toBeCloseTo(-1, 12);
  expect(sumsOf([0, 0], [0, 0]).cosine()).toBe(1);
  expect(sumsOf([0, 0], [0, 1]).cosine()).toBe(0);
  expect(sumsOf([2, 0], [0, 0]).cosine()).toBe(0);
  expect(sumsOf([0.1, 0.7, 3], [0.1, 0.7, 3]).cosine()).toBeLessThanOrEqual(1);
});

test("whole numbers agree by the share that is equal", () => {
  const tensor = (...data: number[]): RuntimeTensor => ({
    dtype: "int32",
    dims: [data.length],
    data: Int32Array.from(data),
  });
  expect(agreementOf(tensor(1, 2, 3, 4), tensor(1, 2, 5, 4))).toBe(0.75);
  // Of none there is nothing to say.
  expect(agreementOf(tensor(), tensor())).toBeNaN();
  expect(agreementOf(tensor(1), tensor())).toBe(0);
  expect(realsOf(tensor(1))).toBeUndefined();
  const half = { dtype: "float16", dims: [2], data: Uint16Array.of(0x3c00, 0xc000) } as const;
  expect(Array.from(realsOf(half) ?? [])).toEqual([1, -2]);
  expect(realsOf({ dtype: "uint16", dims: [1], data: Uint16Array.of(1) })).toBeUndefined();
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noise } from "../../../test/build.js";
import type { Matrix } from "../products.js";
import { smoothingScales, type ChannelFacts } from "./scales.js";

const facts = (sizes: readonly number[]): ChannelFacts => ({
  highest: Float64Array.from(sizes),
  lowest: Float64Array.from(sizes, (v) => -v),
  meanSquares: Float64Array.from(sizes, (v) => v ** 2 / 12),
});

function weight(rows: number, cols: number, seed = 1): Matrix {
  return { values: noise(rows * cols, seed), rows, cols };
}

/** The noise that the scales promise, by its definition, with true maxima. */
function noiseOf(f: ChannelFacts, w: Matrix, s: ArrayLike<number>): number {
  const at = (values: ArrayLike<number>, k: number) => (values[k] as number) / (s[k] as number);
  const channels = [...Array(w.rows).keys()];
  const step =
    (Math.max(...channels.map((k) => at(f.highest, k))) -
      Math.min(...channels.map((k) => at(f.lowest, k)))) /
    255;
  let passed = 0;
  const maxima = new Float64Array(w.cols);
  w.values.forEach((v, i) => {
    const k = Math.floor(i / w.cols);
    const scaled = Math.abs(v) * (s[k] as number);
    passed += scaled ** 2;
    maxima[i % w.cols] = Math.max(maxima[i % w.cols] ?? 0, scaled);
  });
  const energy = channels.reduce(
    (sum, k) => sum + (f.meanSquares[k] as number) / (s[k] as number) ** 2,
    0,
  );
  const steps = maxima.reduce((sum, m) => sum + (m / 127) ** 2, 0);
  return (step ** 2 / 12) * passed + (steps / 12) * energy;
}

describe("smoothing scales", () => {
  test("make the noise of an activation with outliers several times smaller", () => {
    const f = facts(Array.from({ length: 64 }, (_, k) => (k % 16 === 3 ? 40 : 1)));
    const w = weight(64, 32);
    const s = smoothingScales([f], [w]);
    if (s === undefined) throw new Error("nothing was gained");
    const ones = new Float32Array(64).fill(1);
    expect(noiseOf(f, w, s)).toBeLessThan(noiseOf(f, w, ones) / 4);
  });

  test("are finite, positive, of geometric mean 1, and never make more noise", () => {
    const sizes = fc.array(fc.double({ min: 0, max: 1e4, noNaN: true }), {
      minLength: 8,
      maxLength: 8,
    });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 9 }), (list, seed) => {
        const w = weight(8, 6, seed);
        const s = smoothingScales([facts(list)], [w]);
        if (s === undefined) return;
        expect(s.every((v) => Number.isFinite(v) && v > 0)).toBe(true);
        const ones = new Float32Array(8).fill(1);
        expect(noiseOf(facts(list), w, s)).toBeLessThan(noiseOf(facts(list), w, ones) * 1.05);
      }),
      { numRuns: 60 },
    );
  });

  test("are none where channels are alike already", () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 1 : -1));
    expect(
      smoothingScales([facts(Array(8).fill(2))], [{ values, rows: 8, cols: 8 }]),
    ).toBeUndefined();
  });
});

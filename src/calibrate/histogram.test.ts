import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gridOf, Histogram, MAX_BINS } from "./histogram.js";

const float32 = fc
  .oneof(
    fc.float({ noNaN: true, noDefaultInfinity: true }),
    fc.float({ noNaN: true, min: -2, max: 8 }),
  )
  .map((x) => x + 0);
const values = fc.array(float32, { minLength: 1, maxLength: 60 });

function histogramOf(list: readonly number[]): Histogram {
  const histogram = new Histogram();
  histogram.cover(Math.min(...list), Math.max(...list));
  histogram.count(Float32Array.from(list), [0, list.length]);
  return histogram;
}

const total = ({ counts }: Histogram) => counts.reduce((sum, n) => sum + n, 0);
const facts = ({ exponent, first, counts }: Histogram) => ({
  exponent,
  first,
  counts: [...counts],
});

describe("a histogram", () => {
  test("counts each value in the bin whose edges it lies between", () => {
    fc.assert(
      fc.property(values, (list) => {
        const histogram = histogramOf(list);
        for (const value of list) {
          const bin = Math.floor(value / histogram.width);
          expect(histogram.counts[bin - histogram.first]).toBe(
            list.filter((v) => Math.floor(v / histogram.width) === bin).length,
          );
        }
        expect(total(histogram)).toBe(list.length);
      }),
    );
  });

  test("loses no count when it widens, and is then what it would be from the start", () => {
    fc.assert(
      fc.property(values, values, (before, after) => {
        const histogram = histogramOf(before);
        const all = [...before, ...after];
        histogram.cover(Math.min(...all), Math.max(...all));
        expect(total(histogram)).toBe(before.length);
        histogram.count(Float32Array.from(after), [0, after.length]);
        expect(facts(histogram)).toEqual(facts(histogramOf(all)));
      }),
    );
  });

  test("has at most 2048 bins, more than 1024 of them in use, and bins no finer than float32 tells apart", () => {
    fc.assert(
      fc.property(float32, float32, (a, b) => {
        const [min, max] = [Math.min(a, b), Math.max(a, b)];
        const { exponent, bins } = gridOf(min, max);
        expect(bins).toBeLessThanOrEqual(MAX_BINS);
        expect(exponent).toBeGreaterThanOrEqual(-149);
        const largest = Math.max(-min, max);
        const finer = 2 ** (exponent - 1);
        const count = Math.floor(max / finer) - Math.floor(min / finer) + 1;
        expect(count > MAX_BINS || finer < largest * 2 ** -22 || largest < 2 ** -125).toBe(true);
      }),
    );
  });

  test("does not move a value that lies just below an edge", () => {
    const tiny = Math.fround(-1e-30);
    const { counts, first } = histogramOf([-1000, tiny, 0, 1000]);
    expect([counts[-1 - first], counts[-first]]).toEqual([1, 1]);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noise } from "../../test/build.js";
import { StatisticsError } from "../errors.js";
import { channelRanges, estimateRange, rangeGrowth, type Estimator } from "./estimators.js";
import { expectedError } from "./mean-square.js";
import { observe } from "./observe.js";
import { TensorStatistics } from "./tensor-statistics.js";

const format = fc.record({ bits: fc.constantFrom(4, 8), symmetric: fc.boolean() });
/** Bells with tails and a shift: about what activations look like. */
const sample = fc
  .record({
    seed: fc.integer(),
    count: fc.integer({ min: 1, max: 3000 }),
    power: fc.integer({ min: 1, max: 9 }),
    shift: fc.double({ min: -2, max: 2, noNaN: true }),
  })
  .map(({ seed, count, power, shift }) =>
    noise(count, seed).map((x) => Math.sign(x) * Math.abs(x) ** power * 10 + shift),
  );

function statisticsOf(...units: (Float32Array | readonly number[])[]): TensorStatistics {
  const tensor = new TensorStatistics();
  units.forEach((unit, i) =>
    observe(tensor, Float32Array.from(unit), [unit.length, 1], undefined, i),
  );
  return tensor;
}

const ESTIMATORS: readonly Estimator[] = [
  { kind: "min-max" },
  { kind: "moving-average" },
  { kind: "percentile" },
  { kind: "percentile", percentile: 90 },
  { kind: "entropy" },
  { kind: "mse" },
];

describe("a range", () => {
  test("includes 0, is within what was seen, and symmetric where the format is", () => {
    fc.assert(
      fc.property(sample, format, (values, format) => {
        const tensor = statisticsOf(values);
        const all = estimateRange(tensor, { kind: "min-max" }, format);
        for (const estimator of ESTIMATORS) {
          const { min, max } = estimateRange(tensor, estimator, format);
          expect(min <= 0 && max >= 0).toBe(true);
          expect(min >= all.min && max <= all.max).toBe(true);
          if (format.symmetric) expect(min).toBe(-max + 0);
        }
      }),
    );
  });

  test.each(ESTIMATORS)("of nothing but zeros is [0, 0]: $kind", (estimator) => {
    const tensor = statisticsOf([0, -0, 0]);
    for (const symmetric of [true, false])
      expect(estimateRange(tensor, estimator, { bits: 8, symmetric })).toEqual({ min: 0, max: 0 });
  });

  test("of no values is an error that says so", () => {
    const of =
      (...units: number[][]) =>
      () =>
        estimateRange(statisticsOf(...units), { kind: "mse" }, { bits: 8, symmetric: false });
    expect(of()).toThrow(StatisticsError);
    expect(of([])).toThrow(/no values/);
    expect(of([NaN])).toThrow(/NaN or infinite/);
  });

  test("refuses what is no percentile, no constant and no number of bits", () => {
    const of = (estimator: Estimator, bits: number) => () =>
      estimateRange(statisticsOf([1]), estimator, { bits, symmetric: false });
    expect(of({ kind: "percentile", percentile: 101 }, 8)).toThrow(RangeError);
    expect(of({ kind: "moving-average", constant: 0 }, 8)).toThrow(RangeError);
    expect(of({ kind: "mse" }, 8.5)).toThrow(RangeError);
  });
});

describe("a percentile", () => {
  const percentile = fc.constantFrom(50, 90, 99, 99.9, 99.99, 100);

  test("covers its share of the values, and ends within a bin of the value where it is reached", () => {
    fc.assert(
      fc.property(sample, percentile, (values, percentile) => {
        const tensor = statisticsOf(values);
        const { min, max } = estimateRange(
          tensor,
          { kind: "percentile", percentile },
          { bits: 8, symmetric: false },
        );
        const sorted = values.toSorted();
        const outside = Math.floor((values.length * (1 - percentile / 100)) / 2);
        expect(values.filter((x) => x < min).length).toBeLessThanOrEqual(outside);
        expect(values.filter((x) => x > max).length).toBeLessThanOrEqual(outside);
        const [low, high] = [sorted[outside] as number, sorted.at(-1 - outside) as number];
        const { width } = tensor.histogram;
        expect(min).toBeGreaterThanOrEqual(Math.min(0, low - width));
        expect(max).toBeLessThanOrEqual(Math.max(0, high + width));
      }),
    );
  });

  test("is of the absolute values where the format is symmetric", () => {
    fc.assert(
      fc.property(sample, percentile, (values, percentile) => {
        const tensor = statisticsOf(values);
        const { max } = estimateRange(
          tensor,
          { kind: "percentile", percentile },
          { bits: 8, symmetric: true },
        );
        const sorted = values.map(Math.abs).toSorted();
        const outside = Math.floor(values.length * (1 - percentile / 100));
        expect(sorted.filter((x) => x > max).length).toBeLessThanOrEqual(outside);
        expect(max).toBeLessThanOrEqual(
          (sorted.at(-1 - outside) as number) + tensor.histogram.width,
        );
      }),
    );
  });
});

describe("mean squared error", () => {
  test("is no more than that of min-max, of percentiles, and of any other range, by its own measure", () => {
    fc.assert(
      fc.property(
        sample,
        format,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, format, part) => {
          const tensor = statisticsOf(values);
          const errorOf = (estimator: Estimator) =>
            expectedError(tensor, estimateRange(tensor, estimator, format), format);
          const least = errorOf({ kind: "mse" }) * (1 - 1e-9);
          for (const estimator of ESTIMATORS.filter(({ kind }) => kind !== "moving-average"))
            expect(errorOf(estimator)).toBeGreaterThanOrEqual(least);
          // Ends on edges of bins, as the search has them.
          const { width } = tensor.histogram;
          const all = estimateRange(tensor, { kind: "min-max" }, format);
          const max = Math.floor((all.max * part) / width) * width;
          const min = format.symmetric ? -max : all.min;
          expect(expectedError(tensor, { min, max }, format)).toBeGreaterThanOrEqual(least);
        },
      ),
    );
  });

  test("is close to what quantizing the values really costs", () => {
    const values = noise(60_000).map((x) => Math.atanh(x * 0.999));
    const tensor = statisticsOf(values);
    for (const bits of [4, 8]) {
      const format = { bits, symmetric: false };
      for (const kind of ["min-max", "mse"] as const) {
        const range = estimateRange(tensor, { kind }, format);
        const step = (range.max - range.min) / (2 ** bits - 1);
        const real = values.reduce((sum, x) => {
          const code = Math.min(2 ** bits - 1, Math.max(0, Math.round((x - range.min) / step)));
          return sum + (x - range.min - code * step) ** 2;
        }, 0);
        const ratio = real / values.length / expectedError(tensor, range, format);
        expect(ratio).toBeGreaterThan(0.97);
        expect(ratio).toBeLessThan(1.03);
      }
    }
  });

  test("clips a lone far value of many, more so with fewer bits", () => {
    const tensor = statisticsOf([...noise(50_000), 12]);
    const maxOf = (bits: number) =>
      estimateRange(tensor, { kind: "mse" }, { bits, symmetric: false }).max;
    expect(maxOf(4)).toBeLessThan(3);
    expect(maxOf(8)).toBeGreaterThan(maxOf(4));
  });
});

describe("entropy", () => {
  test("cuts a far value off on the side where it is, and keeps the other side", () => {
    const values = noise(50_000).map((x) => (x < 0 ? x / 8 : Math.log(1 - x * 0.99999) ** 4 / 100));
    const { min, max } = estimateRange(
      statisticsOf(values),
      { kind: "entropy" },
      { bits: 8, symmetric: false },
    );
    expect(Math.max(...values)).toBeGreaterThan(80);
    expect(max).toBeLessThan(20);
    expect(max).toBeGreaterThan(10);
    expect(min).toBeCloseTo(-1 / 8, 1);
  });

  test("keeps all where the values spread evenly, and where there are more codes than bins", () => {
    const tensor = statisticsOf(Float32Array.from({ length: 65_537 }, (_, i) => i / 32_768 - 1));
    for (const symmetric of [true, false]) {
      const range = estimateRange(tensor, { kind: "entropy" }, { bits: 8, symmetric });
      expect(range.max).toBeGreaterThan(0.97);
      expect(range.min).toBeLessThan(-0.97);
      expect(estimateRange(tensor, { kind: "entropy" }, { bits: 12, symmetric }).max).toBe(1);
    }
  });

  test("is the divergence of its definition", () => {
    // Symmetric, 2 bits: 3 codes. Checked by brute force over all edges.
    const values = noise(400, 7).map((x) => x ** 3 * 4);
    const tensor = statisticsOf(values);
    const { counts, first, width } = tensor.histogram;
    const reach = Math.max(-first, first + counts.length);
    const at = (bin: number) => counts[bin - first] ?? 0;
    const divergence = (k: number) => {
      const bins = Array.from({ length: 2 * k }, (_, i) => i - k);
      const p = bins.map(at);
      const total = values.length;
      p[0] = values.filter((x) => x < (-k + 1) * width).length;
      p[2 * k - 1] = values.filter((x) => x >= (k - 1) * width).length;
      const q = bins.map(() => 0);
      for (let level = 0; level < 3; level++) {
        const [from, to] = [level, level + 1].map((l) => Math.floor((l * 2 * k) / 3)) as [
          number,
          number,
        ];
        const group = bins.slice(from, to).map((_, i) => from + i);
        const filled = group.filter((i) => (p[i] as number) > 0);
        const sum = group.reduce((s, i) => s + at(i - k), 0);
        for (const i of filled) q[i] = sum / filled.length;
      }
      const mass = q.reduce((s, x) => s + x, 0);
      return bins.reduce((s, _, i) => {
        const [a, b] = [(p[i] as number) / total, (q[i] as number) / mass];
        return a === 0 ? s : s + a * Math.log(a / b);
      }, 0);
    };
    const candidates = Array.from({ length: reach - 1 }, (_, i) => i + 2);
    const least = Math.min(...candidates.map(divergence));
    const { max } = estimateRange(tensor, { kind: "entropy" }, { bits: 2, symmetric: true });
    const found = candidates.find((k) => k * width >= max) ?? reach;
    expect(divergence(found)).toBeCloseTo(least, 9);
  });
});

describe("a moving average", () => {
  test("is the mean of the units' extremes at first, and follows the later ones then", () => {
    const few = statisticsOf([-1, 4], [-3, 2]);
    const format = { bits: 8, symmetric: false };
    expect(estimateRange(few, { kind: "moving-average" }, format)).toEqual({ min: -2, max: 3 });
    const many = statisticsOf(...Array.from({ length: 40 }, (_, i) => [0, i < 20 ? 100 : 1]));
    const { max } = estimateRange(many, { kind: "moving-average", constant: 0.5 }, format);
    expect(max).toBeCloseTo(1, 3);
  });
});

describe("per channel", () => {
  test("ranges are those of min-max, each with 0", () => {
    const tensor = new TensorStatistics();
    observe(tensor, Float32Array.of(1, -5, 0, 3, 2, 0), [2, 3], undefined, 0);
    expect(channelRanges(tensor, { symmetric: false })).toEqual({
      min: Float64Array.of(0, -5, 0),
      max: Float64Array.of(3, 2, 0),
    });
    expect(channelRanges(tensor, { symmetric: true }).min).toEqual(Float64Array.of(-3, -5, 0));
  });
});

describe("growth of the range", () => {
  test("compares the whole with its halves, also of scaled channels", () => {
    expect(rangeGrowth(statisticsOf([-1, 1], [-1, 3], [0, 1]))).toBeCloseTo(8 / 6);
    expect(rangeGrowth(statisticsOf([-1, 1], [-1, 1]))).toBe(1);
    expect(rangeGrowth(statisticsOf([5]))).toBe(1);
    const two = new TensorStatistics();
    observe(two, Float32Array.of(10, 1), [1, 2], undefined, 0);
    observe(two, Float32Array.of(5, 2), [1, 2], undefined, 1);
    expect(rangeGrowth(two, [10, 1])).toBeCloseTo((2 * 2) / (1 + 2));
  });
});

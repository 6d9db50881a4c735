import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { median, quantile } from "../math/quantile.js";
import { interleavedLatencies, medianLatencies, pairedRatio } from "./latency.js";

/** A clock that runs tell how far to go. */
function clock() {
  let time = 0;
  return { now: () => time, run: (seconds: number) => () => Promise.resolve((time += seconds)) };
}

describe("interleavedLatencies", () => {
  test("as many times of each run, warm-up left out, all in each round", async () => {
    const { now, run } = clock();
    const rounds: number[] = [];
    const times = await interleavedLatencies([run(1), run(2)], {
      warmup: 2,
      rounds: 4,
      seconds: 100,
      now,
      onRound: (done) => rounds.push(done),
    });
    expect(times).toEqual([
      [1, 1, 1, 1],
      [2, 2, 2, 2],
    ]);
    expect(rounds).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("who begins changes from round to round", async () => {
    const order: string[] = [];
    const run = (name: string) => () => Promise.resolve(order.push(name));
    const limits = { warmup: 0, rounds: 3, seconds: 100, now: () => 0 };
    await interleavedLatencies([run("a"), run("b"), run("c")], limits);
    expect(order.join("")).toBe("abcbcacab");
  });

  test("ends after the seconds given, but never before three rounds", async () => {
    const { now, run } = clock();
    const limits = { warmup: 0, rounds: 50, now };
    const [slow] = await interleavedLatencies([run(10)], { ...limits, seconds: 1 });
    expect(slow).toHaveLength(3);
    const [quick] = await interleavedLatencies([run(1)], { ...limits, seconds: 10.5 });
    expect(quick).toHaveLength(11);
    expect(await medianLatencies([run(3)], { ...limits, seconds: 1 })).toEqual([3]);
  });
});

describe("pairedRatio", () => {
  const times = fc.array(fc.double({ min: 1e-4, max: 10, noNaN: true }), {
    minLength: 3,
    maxLength: 40,
  });

  test("a run against itself is 1, exactly and without doubt; half the time is 2", () => {
    fc.assert(
      fc.property(times, fc.nat(), (own, seed) => {
        expect(pairedRatio(own, own, seed)).toEqual({ value: 1, low: 1, high: 1 });
        const half = own.map((time) => time / 2);
        expect(pairedRatio(own, half, seed)).toEqual({ value: 2, low: 2, high: 2 });
      }),
      { numRuns: 20 },
    );
  });

  test("what disturbs whole rounds does not show", () => {
    const disturbed = Array.from({ length: 30 }, (_, i) => 1 + (i % 7) * (i > 15 ? 3 : 1));
    const faster = disturbed.map((time) => time / 1.5);
    const { value, low, high } = pairedRatio(disturbed, faster, 0);
    for (const ratio of [value, low, high]) expect(ratio).toBeCloseTo(1.5, 12);
  });

  test("the interval holds the value, is the same for the same seed, and is swapped for the reverse", () => {
    fc.assert(
      fc.property(times, times, fc.nat(), (a, b, seed) => {
        const count = Math.min(a.length, b.length);
        const [first, other] = [a.slice(0, count), b.slice(0, count)];
        const ratio = pairedRatio(first, other, seed);
        expect(ratio).toEqual(pairedRatio(first, other, seed));
        expect(ratio.low).toBeLessThanOrEqual(ratio.value);
        expect(ratio.high).toBeGreaterThanOrEqual(ratio.value);
      }),
      { numRuns: 20 },
    );
  });
});

test("quantiles lie between neighbours; the middle one is the median", () => {
  expect(quantile([4, 1, 3, 2], 0.25)).toBe(1.75);
  expect(quantile([5], 0.9)).toBe(5);
  expect(quantile([], 0.5)).toBeNaN();
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
      expect(quantile(values, 0.5)).toBe(median(values));
      expect([quantile(values, 0), quantile(values, 1)]).toEqual([
        Math.min(...values),
        Math.max(...values),
      ]);
    }),
  );
});

// Expected values: scipy 1.18 (binomtest, proportion_ci by Wilson, chi2.sf, erfc).
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { random } from "../math/random.js";
import { averageOf, shareOf, type Measure } from "../tasks/measure.js";
import { erfc, mcnemar, metricChanges, metricReports, resamples, wilson } from "./significance.js";

test.each([
  [762, 872, 0.8501640762604746, 0.8942628898686545],
  [0, 10, 0, 0.27753279986288926],
  [10, 10, 0.7224672001371109, 1],
  [1, 3, 0.06149194472039626, 0.7923403991979523],
  [9, 1000, 0.0047420606674770625, 0.01701581616533807],
])("Wilson's interval of %i in %i is scipy's", (hits, count, low, high) => {
  const [a, b] = wilson(hits, count);
  expect(a).toBeCloseTo(low, 13);
  expect(b).toBeCloseTo(high, 13);
});

test.each([
  [0, 1],
  [0.1, 0.8875370839817152],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028516],
  [1.9, 0.007209570764742531],
  [2, 0.004677734981047266],
  [2.5, 0.00040695201744495886],
  [4, 1.541725790028002e-8],
  [8, 1.1224297172982928e-29],
])("erfc(%d) is scipy's", (x, expected) => {
  expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(2e-12);
});

describe("McNemar's test", () => {
  const pair = (onlyLeft: number, onlyRight: number, both: number): [Uint8Array, Uint8Array] => [
    Uint8Array.from([
      ...Array<number>(onlyLeft).fill(1),
      ...Array<number>(onlyRight).fill(0),
      ...Array<number>(both).fill(1),
    ]),
    Uint8Array.from([
      ...Array<number>(onlyLeft).fill(0),
      ...Array<number>(onlyRight).fill(1),
      ...Array<number>(both).fill(1),
    ]),
  ];

  test.each([
    [3, 9, "mcnemar-exact", 0.14599609375],
    [0, 0, "mcnemar-exact", 1],
    [12, 13, "mcnemar-exact", 1],
    [20, 40, "mcnemar-continuity", 0.014171388254012323],
    [30, 30, "mcnemar-continuity", 1],
    [100, 60, "mcnemar-continuity", 0.002047732153668759],
    [5, 400, "mcnemar-continuity", 2.381092296287405e-85],
  ] as const)("of %i against %i rows is %s, p %d", (b, c, name, p) => {
    const report = mcnemar(...pair(b, c, 50));
    expect(report).toMatchObject({ name, onlyReference: b, onlyCandidate: c });
    expect(Math.abs((report.p ?? NaN) / p - 1)).toBeLessThan(1e-11);
  });
});

describe("resamples", () => {
  test("are as large as the rows, the same for a seed and others for another", () => {
    const all = (seed: number) => Array.from(resamples(20, seed), (weights) => [...weights]);
    expect(all(3)).toEqual(all(3));
    expect(all(3)).not.toEqual(all(4));
    expect(all(0)).toHaveLength(1000);
    for (const weights of all(0)) expect(weights.reduce((a, b) => a + b, 0)).toBe(20);
  });

  test("give an interval of a mean that is the normal one, nearly", () => {
    const draw = random(5);
    const values = Float64Array.from({ length: 2000 }, () => draw.normal());
    const [report] = metricReports([averageOf("mean", values)], 2000, 1);
    const half = 1.96 / Math.sqrt(2000);
    expect(report?.interval).toBe("bootstrap");
    expect(report?.low).toBeCloseTo((report?.value ?? NaN) - half, 2);
    expect(report?.high).toBeCloseTo((report?.value ?? NaN) + half, 2);
  });
});

describe("before and after", () => {
  const hits = fc.array(fc.tuple(fc.nat({ max: 1 }), fc.nat({ max: 1 })), {
    minLength: 2,
    maxLength: 40,
  });
  const share = (name: string, list: readonly number[]) => shareOf(name, Uint8Array.from(list));

  test("turned round, the difference and its interval change their sign, the p stays", () => {
    fc.assert(
      fc.property(hits, (rows) => {
        const [a, b] = [rows.map(([x]) => x), rows.map(([, y]) => y)];
        const forth = metricChanges([share("m", a)], [share("m", b)], rows.length, 0)[0];
        const back = metricChanges([share("m", b)], [share("m", a)], rows.length, 0)[0];
        expect(forth?.difference).toBeCloseTo(-(back?.difference ?? NaN), 12);
        expect(forth?.low).toBeCloseTo(-(back?.high ?? NaN), 12);
        expect(forth?.test.p).toBe(back?.test.p);
        expect(forth?.test.p).toBeLessThanOrEqual(1);
      }),
      { numRuns: 20 },
    );
  });

  test("a model against itself differs by nothing, and chance explains it", () => {
    const one = averageOf("mean", Float64Array.of(0.2, 0.9, 0.4, 0.7));
    const [change] = metricChanges([one], [one], 4, 0);
    expect(change).toMatchObject({ difference: 0, low: 0, high: 0 });
    expect(change?.test).toEqual({ name: "paired-bootstrap", p: 1 });
  });

  test("a difference on every row is no chance", () => {
    const before = averageOf(
      "mean",
      Float64Array.from({ length: 50 }, (_, i) => i / 50),
    );
    const after = averageOf(
      "mean",
      Float64Array.from({ length: 50 }, (_, i) => i / 50 - 0.1),
    );
    const [change] = metricChanges([before], [after], 50, 0);
    expect(change?.low).toBeCloseTo(-0.1, 12);
    expect(change?.test.p).toBeCloseTo(2 / 1001, 12);
  });

  test("a metric without a value has no interval and no p", () => {
    const none: Measure = { name: "none", better: "higher", value: () => NaN };
    const [change] = metricChanges([none], [none], 5, 0);
    expect(change).toMatchObject({ low: null, high: null, test: { p: null } });
  });
});

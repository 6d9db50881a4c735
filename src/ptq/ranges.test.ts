// Ranges have room for what calibration did not see, and are of what is quantized after smoothing.
import { describe, expect, test } from "vitest";
import {
  decibels,
  layerModel,
  normals,
  product,
  quantizedRows,
  squaredDistance,
  type Rows,
} from "../../test/layer.js";
import { observed } from "../../test/observed.js";
import type { Estimator } from "../calibrate/estimators.js";
import { emptyStatistics, type Statistics } from "../calibrate/statistics-file.js";
import type { TensorStatistics } from "../calibrate/tensor-statistics.js";
import { floatsOf } from "../onnx/values.js";
import type { Range } from "../quant/plan.js";
import { channelScales, encodeChannels } from "../quant/scales.js";
import { findSites } from "../quant/sites.js";
import { rangesFrom, type Ranged } from "./ranges.js";

const [K, N] = [32, 24];
const weight = normals(K, N, 3);
const MIN_MAX: Estimator = { kind: "min-max" };

function statisticsOf(tensor: TensorStatistics, units: number): Statistics {
  const none = emptyStatistics({ model: "m", options: {}, units }, ["x"]);
  return { ...none, tensors: new Map([["x", tensor]]) };
}

interface Given {
  readonly units: readonly Rows[];
  readonly smooth?: boolean;
  readonly estimator?: Estimator;
}

function ranged({ units, smooth = false, estimator = MIN_MAX }: Given) {
  const model = layerModel(weight);
  const statistics = statisticsOf(observed(units), units.length);
  return {
    model,
    ranged: rangesFrom(model, findSites(model), statistics, { smooth, estimator }),
  };
}

function rangeOf({ sites, rangeOf: of }: Ranged, symmetric = false): Range {
  const [site] = sites;
  const range = site && of(site, "activation", { symmetric });
  if (range === undefined) throw new Error("no range");
  return range;
}

/** One row of these extremes. */
const between = (low: number, high: number): Rows => ({
  values: Float32Array.from({ length: K }, (_, k) => (k === 0 ? low : k === 1 ? high : 0.1)),
  rows: 1,
  cols: K,
});

describe("headroom", () => {
  test("is by how much the whole sample goes beyond its halves, half as much again at most", () => {
    const alike = rangeOf(ranged({ units: [between(-2, 2), between(-2, 2)] }).ranged);
    expect(alike).toEqual({ min: -2, max: 2 });
    // Halves of 4 and 3, the whole of 4.5.
    const apart = rangeOf(ranged({ units: [between(-2, 2), between(-0.5, 2.5)] }).ranged);
    expect(apart.max).toBeCloseTo(2.5 * (9 / 7), 6);
    expect(apart.min).toBeCloseTo(-2 * (9 / 7), 6);
    const far = rangeOf(ranged({ units: [between(-1, 0.01), between(-0.01, 1)] }).ranged);
    expect(far).toEqual({ min: -1.5, max: 1.5 });
  });

  test("of a batch that nothing can be compared with is a fifth", () => {
    const { max, min } = rangeOf(ranged({ units: [between(-1, 2)] }).ranged);
    expect([min, max]).toEqual([-1.2, 2.4]);
  });

  test("takes 1.5 dB from the error of values that nobody has seen", () => {
    const heavy = (rows: number, seed: number): Rows => {
      const [a, b] = [normals(rows, K, seed), normals(rows, K, seed + 1)];
      return { ...a, values: a.values.map((v, i) => v * Math.abs(b.values[i] as number)) };
    };
    const unseen = heavy(500, 90);
    const error = (range: Range): number => {
      const spec = { dtype: "uint8", granularity: "per-tensor", range } as const;
      return squaredDistance(unseen.values, quantizedRows(unseen, spec).values);
    };
    const units = [heavy(4, 3), heavy(4, 5)];
    const { min, max } = observed(units);
    const gain = decibels(error({ min, max }), error(rangeOf(ranged({ units }).ranged)));
    expect(gain).toBeGreaterThan(1.5);
  });

  test("estimators that leave values out get none, and 0 is always within", () => {
    const units = [between(-2, 2), between(-0.5, 2.5)];
    const estimator: Estimator = { kind: "moving-average" };
    const { max } = rangeOf(ranged({ units, estimator }).ranged);
    expect(max).toBeLessThanOrEqual(2.5);
    const positive = { ...between(1, 2), values: new Float32Array(K).fill(2) };
    expect(rangeOf(ranged({ units: [positive, positive] }).ranged)).toEqual({ min: 0, max: 2 });
  });
});

test("nothing is known of what was not finite, of what is 0, and of what nobody has seen", () => {
  const zero = { values: new Float32Array(K), rows: 1, cols: K };
  const { ranged: of } = ranged({ units: [zero, zero] });
  const [site] = of.sites;
  if (site === undefined) throw new Error("no site");
  expect(of.rangeOf(site)).toBeUndefined();
  const broken = observed([between(-1, 1), between(-1, 1)]);
  broken.reject(1);
  const model = layerModel(weight);
  const made = rangesFrom(model, findSites(model), statisticsOf(broken, 2), {
    smooth: true,
    estimator: MIN_MAX,
  });
  expect(made.rangeOf(site)).toBeUndefined();
  expect(made.seenOf("x")).toBeUndefined();
  expect(made.seenOf("y")).toBeUndefined();
  expect(made.smoothed).toBe(0);
});

describe("smoothing", () => {
  /** Two of the channels are far larger than the others. */
  const rows = (seed: number): Rows => {
    const plain = normals(200, K, seed);
    const sizes = (k: number) => (k === 3 || k === 17 ? 40 : 1);
    return { ...plain, values: plain.values.map((v, i) => (v + 0.5) * sizes(i % K)) };
  };
  const units = [rows(5), rows(6)];

  /** Σ ‖x · W − x̂ · Ŵ‖² of the layer in 8 bits. */
  function errorOf({ ranged: of }: ReturnType<typeof ranged>, seen: Rows): number {
    const [site] = of.sites;
    if (site?.kind !== "linear") throw new Error("no layer");
    const { tensor } = site.weight.initializer;
    const { scales } = of.seenOf(site.activation.name) ?? {};
    if (tensor === undefined) throw new Error("no weight");
    const values = floatsOf(tensor);
    const none = () => {
      throw new Error("not finite");
    };
    const steps = channelScales(values, K, N, 1, 127, none);
    const codes = encodeChannels(values, K, N, 1, steps);
    const held = Float64Array.from(codes, (code, i) => code * (steps[i % N] as number));
    const divided = { ...seen, values: seen.values.map((v, i) => v / (scales?.[i % K] ?? 1)) };
    const spec = { dtype: "uint8", granularity: "per-tensor", range: rangeOf(of) } as const;
    // The float function is the same.
    const exact = product(seen, weight.values);
    const same = squaredDistance(exact, product(divided, values));
    expect(decibels(squaredDistance(exact, new Float64Array(exact.length)), same)).toBeGreaterThan(
      100,
    );
    return squaredDistance(exact, product(quantizedRows(divided, spec), held));
  }

  test("takes 10 dB from the error of a layer whose input has channels far larger than others", () => {
    const plain = ranged({ units });
    const smoothed = ranged({ units, smooth: true });
    expect([plain.ranged.smoothed, smoothed.ranged.smoothed]).toEqual([0, 1]);
    const [before, after] = [errorOf(plain, rows(9)), errorOf(smoothed, rows(9))];
    expect(decibels(before, after)).toBeGreaterThan(10);
  });

  test("needs two batches at least, and min-max", () => {
    expect(ranged({ units: units.slice(0, 1), smooth: true }).ranged.smoothed).toBe(0);
    const estimator: Estimator = { kind: "percentile" };
    expect(ranged({ units, smooth: true, estimator }).ranged.smoothed).toBe(0);
  });

  test("means are those of the divided activation", () => {
    const { ranged: of } = ranged({ units, smooth: true });
    const [site] = of.sites;
    if (site?.kind !== "linear") throw new Error("no layer");
    const { scales } = of.seenOf(site.activation.name) ?? {};
    const means = of.meansOf(site.activation);
    expect(means?.rows).toBe(400);
    for (let k = 0; k < K; k++) {
      const channel = units.flatMap(({ values }) => [...values].filter((_, i) => i % K === k));
      const mean = channel.reduce((sum, v) => sum + v, 0) / 400;
      expect(means?.means[k]).toBeCloseTo(mean / (scales?.[k] ?? NaN), 3);
    }
  });
});

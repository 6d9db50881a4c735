import { describe, expect, test } from "vitest";
import { buildModel, floats } from "../../test/build.js";
import { random } from "../math/random.js";
import { TensorStatistics } from "./tensor-statistics.js";
import { affineOf } from "../quant/affine.js";
import type { ActivationSpec, Plan } from "../quant/plan.js";
import { findSites } from "../quant/sites.js";
import { rangeReports } from "./range-reports.js";

const ROWS = 4000;
const CHANNELS = 3;

/** Statistics of values [ROWS, CHANNELS] as calibration takes them. */
function seen(data: Float32Array): TensorStatistics {
  const statistics = new TensorStatistics();
  statistics.see([ROWS, CHANNELS]);
  const min = new Float32Array(CHANNELS).fill(Infinity);
  const max = new Float32Array(CHANNELS).fill(-Infinity);
  const [sums, squares] = [new Float64Array(CHANNELS), new Float64Array(CHANNELS)];
  for (const [i, value] of data.entries()) {
    const c = i % CHANNELS;
    min[c] = Math.min(min[c] as number, value);
    max[c] = Math.max(max[c] as number, value);
    sums[c] = (sums[c] as number) + value;
    squares[c] = (squares[c] as number) + value * value;
  }
  statistics.add({
    unit: 0,
    count: data.length,
    min,
    max,
    sums,
    squares,
    data,
    runs: [0, data.length],
  });
  return statistics;
}

function values(): Float32Array {
  const source = random(3);
  return Float32Array.from(
    { length: ROWS * CHANNELS },
    (_, i) => source.normal() * (1 + (i % CHANNELS)),
  );
}

const model = buildModel((b) => {
  const x = b.input("x", ["batch", "length", 32]);
  for (const name of ["query", "key"])
    b.output(b.op(name, "MatMul", [x, b.graph.addInitializer(`${name}.weight`, floats([32, 32]))]));
});
const sites = findSites(model);

function planOf(activation: ActivationSpec): Plan {
  const one = { kind: "linear" as const, quantize: true as const, activation };
  return {
    format: "octavo-plan",
    version: 1,
    mode: "static",
    target: "cpu",
    sites: new Map(sites.map(({ name }) => [name, one])),
  };
}

/** dB between values and what their codes stand for. */
function measured(data: Float32Array, spec: ActivationSpec): number {
  const { scale, zeroPoint } = affineOf(spec);
  const [low, high] = spec.dtype === "uint8" ? [0, 255] : [-127, 127];
  let [signal, noise] = [0, 0];
  for (const x of data) {
    const code = Math.min(high, Math.max(low, Math.round(x / scale) + zeroPoint));
    signal += x * x;
    noise += (x - scale * (code - zeroPoint)) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

function spec(min: number, max: number, more: Partial<ActivationSpec> = {}): ActivationSpec {
  return { dtype: "uint8", granularity: "per-tensor", range: { min, max }, ...more };
}

describe("rangeReports", () => {
  const data = values();
  const tensor = seen(data);

  test.each([
    ["all values", spec(tensor.min, tensor.max)],
    ["a part of them", spec(-4, 3)],
    ["symmetric codes", spec(-9, 9, { dtype: "int8", symmetric: true })],
  ])("the error of %s is what rounding them makes", (_, activation) => {
    const [report, ...others] = rangeReports(sites, planOf(activation), () => ({ tensor }));
    expect(others).toEqual([]);
    expect(report?.sites).toEqual(sites.map(({ name }) => name));
    expect(report?.snrDb).toBeCloseTo(measured(data, activation), 0);
    expect(report?.histogram.reduce((a, b) => a + b, 0)).toBe(data.length);
    expect([report?.lowest, report?.highest]).toEqual([tensor.min, tensor.max]);
    const outside = data.filter((x) => x < (report?.min ?? 0) || x > (report?.max ?? 0)).length;
    expect(report?.outside).toBeCloseTo(outside / data.length, 2);
  });

  test("of an activation that was divided per channel since, the values are known by their moments", () => {
    const scales = Float32Array.of(0.5, 1, 4);
    const divided = data.map((x, i) => x / (scales[i % CHANNELS] ?? 1));
    const after = seen(divided);
    const activation = spec(after.min * 1.1, after.max * 1.1);
    const [report] = rangeReports(sites, planOf(activation), () => ({ tensor, scales }));
    const [exact] = rangeReports(sites, planOf(activation), () => ({ tensor: after }));
    expect(report?.snrDb).toBeCloseTo(measured(divided, activation), 0);
    expect(report?.lowest).toBeCloseTo(after.min, 5);
    expect(report?.highest).toBeCloseTo(after.max, 5);
    const sum = report?.histogram.reduce((a, b) => a + b, 0) ?? 0;
    expect(Math.abs(sum - data.length)).toBeLessThan(40);
    // The shape is that of the values: no bin is off by more than a few in a hundred of all.
    for (const [bin, count] of (exact?.histogram ?? []).entries())
      expect(Math.abs((report?.histogram[bin] ?? 0) - count)).toBeLessThan(0.02 * data.length);
  });

  test("what nobody saw, what is found at run time and what stays in float has no report", () => {
    expect(rangeReports(sites, planOf(spec(-1, 1)), () => undefined)).toEqual([]);
    expect(
      rangeReports(sites, planOf({ ...spec(0, 1), range: "dynamic" }), () => ({ tensor })),
    ).toEqual([]);
    const float = new Map(
      sites.map(({ name }) => [
        name,
        { kind: "linear" as const, quantize: false as const, reason: "" },
      ]),
    );
    const plan = { ...planOf(spec(-1, 1)), sites: float };
    expect(rangeReports(sites, plan, () => ({ tensor }))).toEqual([]);
  });

  test("a second term brings tens of dB", () => {
    const error = (terms: 1 | 2) =>
      rangeReports(sites, planOf(spec(-9, 9, { terms })), () => ({ tensor }))[0]?.snrDb ?? NaN;
    expect(error(2) - error(1)).toBeCloseTo(44.6, 1);
  });
});

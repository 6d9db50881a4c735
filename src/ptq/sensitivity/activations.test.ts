// What each activation costs by itself, against the definition; and which of them get a second term for it.
import { describe, expect, test } from "vitest";
import {
  batchesOf,
  decibels,
  normals,
  product,
  quantizedRows,
  squaredDistance,
  type Rows,
} from "../../../test/layer.js";
import { buildModel } from "../../../test/build.js";
import { runOn } from "../../../test/step-host.js";
import type { RunBatches } from "../../data/run-batches.js";
import { OptionError, UnsupportedError } from "../../errors.js";
import type { Model } from "../../graph/model.js";
import { inferTypes } from "../../ops/infer.js";
import { affineOf, restOf } from "../../quant/affine.js";
import type { ActivationSpec, Plan, Range } from "../../quant/plan.js";
import { findSites } from "../../quant/sites.js";
import { cpu } from "../../targets/cpu.js";
import { tensorrt } from "../../targets/tensorrt.js";
import { withSecondTerms } from "../second-term/plan-second-terms.js";
import { sensitivities } from "./activations.js";

const [K, M] = [12, 20];
const [up, down] = [normals(K, M, 1), normals(M, K, 2)];
const x = normals(160, K, 3);

/** y = |x · U| · D. */
function model(): Model {
  const made = buildModel((b) => {
    const input = b.input("x", ["batch", "length", K]);
    b.input("attention_mask", ["batch", "length"], "int64");
    const wide = b.op("wide", "MatMul", [input, b.float("up", [...up.values], [K, M])]);
    const act = b.op("act", "Abs", [wide]);
    b.output(b.op("y", "MatMul", [act, b.float("down", [...down.values], [M, K])]));
  });
  inferTypes(made);
  return made;
}

const specOf = (range: Range): ActivationSpec => ({
  dtype: "uint8",
  granularity: "per-tensor",
  range,
});
const specs = { x: specOf({ min: -6, max: 7 }), act: specOf({ min: 0, max: 120 }) };

function output(input: Rows, quantize: (act: Rows) => Rows = (act) => act): Float64Array {
  const wide = product(input, up.values).map(Math.abs);
  return product(
    quantize({ values: Float32Array.from(wide), rows: input.rows, cols: M }),
    down.values,
  );
}

const exact = output(x);
const power = exact.reduce((sum, v) => sum + v * v, 0);
const noises = {
  x: squaredDistance(exact, output(quantizedRows(x, specs.x))) / power,
  act:
    squaredDistance(
      exact,
      output(x, (act) => quantizedRows(act, specs.act)),
    ) / power,
};

test("the noise of each activation alone is that of its codes, all others in float, without padding", async () => {
  const made = model();
  const value = (name: string) => {
    const found = made.graph.value(name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  };
  const given = new Map([
    [value("x"), specs.x],
    [value("act"), specs.act],
  ]);
  let seen = 0;
  const batches = batchesOf(x);
  const found = await sensitivities(runOn(), made, given, {
    batches,
    onBatch: () => seen++,
  });
  expect(seen).toBe(batches.length);
  for (const name of ["x", "act"] as const)
    expect(decibels(noises[name], found.get(value(name)) ?? NaN)).toBeCloseTo(0, 1);
  // The model itself is as it was.
  expect(made.graph.inputs.map(({ name }) => name)).toEqual(["x", "attention_mask"]);
});

function runOf(rows: Rows): RunBatches {
  const batches = batchesOf(rows);
  return { batches, count: batches.length, rows: batches.length, truncated: 0, empty: 0 };
}

describe("a second term", () => {
  const planOf = (names: readonly string[]): Plan => ({
    format: "octavo-plan",
    version: 1,
    mode: "static",
    target: "cpu",
    sites: new Map(
      [["up", specs.x] as const, ["down", specs.act] as const].map(([name, activation]) => [
        name,
        names.includes(name)
          ? { kind: "linear", quantize: true, activation }
          : { kind: "linear", quantize: false, reason: "excluded" },
      ]),
    ),
  });
  const options = { mode: "static", extraProducts: 0.5, onProgress: () => undefined } as const;
  const two = (
    names: readonly string[],
    more: object = {},
    run: RunBatches | undefined = runOf(x),
  ) => {
    const made = model();
    const planned = { sites: findSites(made), plan: planOf(names) };
    return withSecondTerms(
      runOn(),
      made,
      cpu,
      { ...planned, batches: run },
      { ...options, ...more },
    );
  };
  const termsOf = ({ sites }: Plan) =>
    [...sites].map(([name, site]) => [name, site.quantize ? site.activation?.terms : undefined]);

  test("goes to the activation that costs most, and takes 30 dB from its noise", async () => {
    expect(noises.act).toBeGreaterThan(2 * noises.x);
    const { plan, activations } = await two(["up", "down"]);
    expect(activations).toBe(1);
    expect(termsOf(plan)).toEqual([
      ["up", undefined],
      ["down", 2],
    ]);
    const rest = restOf(affineOf(specs.act));
    const twice = (act: Rows): Rows => {
      const first = quantizedRows(act, specs.act);
      const left = { ...act, values: act.values.map((v, i) => v - (first.values[i] as number)) };
      const second = quantizedRows(left, specOf(rest));
      return { ...act, values: first.values.map((v, i) => v + (second.values[i] as number)) };
    };
    const noise = squaredDistance(exact, output(x, twice)) / power;
    expect(decibels(noises.act, noise)).toBeGreaterThan(30);
  });

  test("goes to all that are quantized where products allow it, and to none else", async () => {
    expect(termsOf((await two(["up", "down"], { extraProducts: 1 })).plan)).toEqual([
      ["up", 2],
      ["down", 2],
    ]);
    const { plan, activations } = await two(["up"], { extraProducts: 1 });
    expect([activations, termsOf(plan)]).toEqual([
      1,
      [
        ["up", 2],
        ["down", undefined],
      ],
    ]);
    expect((await two(["up", "down"], { extraProducts: 0 })).activations).toBe(0);
  });

  test("is measured on 64 rows, spread over all", async () => {
    const totals: number[] = [];
    const units: number[] = [];
    const many = runOf(normals(16 * 150, K, 5));
    const run: RunBatches = {
      ...many,
      batches: [...many.batches].map((batch) => ({
        ...batch,
        get feeds() {
          units.push(batch.unit);
          return batch.feeds;
        },
      })),
    };
    await two(["up"], { onProgress: ({ total }: { total: number }) => totals.push(total) }, run);
    expect(totals).toEqual(Array<number>(64).fill(64));
    expect([...new Set(units)].slice(0, 3)).toEqual([0, 2, 4]);
  });

  test("is refused where there is no such form, and without data", async () => {
    const made = model();
    const planned = { sites: findSites(made), plan: planOf(["up"]) };
    const on = (target: typeof cpu, mode: "static" | "dynamic", run?: RunBatches) =>
      withSecondTerms(runOn(), made, target, { ...planned, batches: run }, { ...options, mode });
    await expect(on(tensorrt, "static", runOf(x))).rejects.toThrow(UnsupportedError);
    await expect(on(cpu, "dynamic", runOf(x))).rejects.toThrow(UnsupportedError);
    await expect(on(cpu, "static")).rejects.toThrow(OptionError);
  });
});

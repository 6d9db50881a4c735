// What a training graph computes is what the model exported from it computes: on every target, from the start and after training.
import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { feeds, layer, matrix } from "../../test/tensorrt-layer.js";
import { compareWithExport, startOf, type Trained } from "../../test/exported.js";
import type { Model } from "../graph/model.js";
import { importModel } from "../graph/import.js";
import { decodeModel } from "../onnx/reader.js";
import { lowerPlan, planModel, type Planned } from "../plan/plan-model.js";
import { quantizerGraph } from "./quantizer-graph.js";
import type { SitePlan } from "../quant/plan.js";
import { findSites } from "../quant/sites.js";
import { targetFor, type TargetName } from "../targets/all.js";
import { choose, type GivenChoices } from "../targets/choices.js";
import { foldBack } from "./fold-back.js";

function planned(build: (b: Builder) => void, name: TargetName, given: GivenChoices = {}) {
  const model = importModel(decodeModel(bytesOf(buildModel(build))));
  const target = targetFor(name, "qat");
  const plan = planModel(model, target, {
    ...choose(target, "qat", given),
    mode: "qat",
    reduceRange: false,
    embeddings: true,
    outliers: false,
    exclude: [],
    small: true,
    rangeOf: (site) => (site.kind === "residual" ? { min: -5, max: 4.5 } : { min: -2.9, max: 2.3 }),
  });
  return { model, target, plan };
}

/** As training would: everything moves a little. */
function trained(values: Trained): void {
  let seed = 3;
  for (const [name, list] of values) {
    const by = noise(list.length, seed++);
    const size = name.endsWith("_ratio") ? 0.1 : name.endsWith("_shift") ? 0.03 : 0.004;
    list.forEach((v, i) => (list[i] = v + (by[i] as number) * size));
  }
}

/** Embeddings, a table that a product reads, too, and one weight used twice behind a Transpose. */
const shared = (b: Builder): void => {
  const ids = b.input("ids", ["batch", "length"], "int64");
  const table = matrix(b, "table", 64, 32, 3);
  const x = b.op("rows", "Gather", [table, ids]);
  const weight = b.op("turned", "Transpose", [matrix(b, "shared", 32, 32, 8)], { perm: [1, 0] });
  const once = b.op("once", "Relu", [b.op("one", "MatMul", [x, weight])]);
  const twice = b.op("twice", "Add", [
    b.op("two", "MatMul", [once, weight]),
    b.float("bias", [...noise(32)]),
  ]);
  b.output(b.op("y", "MatMul", [twice, b.op("head", "Transpose", [table], { perm: [1, 0] })]));
};

const gemm = (b: Builder): void => {
  const x = b.input("x", ["rows", 32]);
  const inputs = [x, matrix(b, "first", 48, 32, 2), b.float("bias", [...noise(48)])];
  const hidden = b.op("hidden", "Tanh", [b.op("one", "Gemm", inputs, { transB: 1 })]);
  b.output(b.op("y", "Gemm", [hidden, matrix(b, "second", 48, 32, 4)]));
};

const cases: { target: TargetName; given?: GivenChoices }[] = [
  { target: "cpu" },
  { target: "cpu", given: { attention: "all" } },
  { target: "web" },
  { target: "openvino", given: { attention: "all" } },
  { target: "tensorrt", given: { residual: "both" } },
  { target: "tensorrt", given: { residual: "both", attention: "all" } },
];

describe.each(cases)("$target $given", ({ target: name, given = {} }) => {
  test.each([
    ["as it starts", () => undefined],
    ["as it is trained", trained],
  ] as const)("%s", async (_, change) => {
    const { model, target, plan } = planned(layer, name, given);
    const found = await compareWithExport(model, plan, target, feeds(), change);
    expect(found.operands.length).toBeGreaterThanOrEqual(3);
    for (const { steps } of found.operands) expect(steps).toBeLessThanOrEqual(1.001);
    expect(found.outputs).toBeLessThan(0.02);
  });
});

const ids = { ids: matrixOfIds() };
function matrixOfIds() {
  const model = buildModel((b) => b.int("ids", [3, 1, 4, 1, 5, 9, 2, 6], [2, 4]));
  const tensor = model.graph.value("ids")?.tensor;
  if (tensor === undefined) throw new Error("no ids");
  return tensor;
}

test.each(["cpu", "openvino", "tensorrt"] as const)(
  "a table that a product reads, and a weight that two layers share, on %s",
  async (name) => {
    const { model, target, plan } = planned(shared, name);
    const found = await compareWithExport(model, plan, target, ids, trained);
    for (const { steps } of found.operands) expect(steps).toBeLessThanOrEqual(1.001);
    expect(found.outputs).toBeLessThan(0.01);
  },
);

test.each(["cpu", "tensorrt"] as const)("Gemm, transposed or not, on %s", async (name) => {
  const { model, target, plan } = planned(gemm, name);
  const { x } = feeds();
  const rows = { x: { ...x, dims: [10, 32] } };
  const found = await compareWithExport(model, plan, target, rows, trained);
  expect(found.outputs).toBeLessThan(0.01);
});

test("a second term stay a second term", async () => {
  const { model, target, plan } = planned(layer, "cpu");
  const sites = [...plan.plan.sites].map(([name, site]): [string, SitePlan] => [
    name,
    site.quantize && site.activation !== undefined
      ? { ...site, activation: { ...site.activation, terms: 2 } }
      : site,
  ]);
  const doubled: Planned = { ...plan, plan: { ...plan.plan, sites: new Map(sites) } };
  const found = await compareWithExport(model, doubled, target, feeds(), trained);
  expect(found.outputs).toBeLessThan(1e-4);
});

test("an untrained model folds back to what the static model is, codes and scales", () => {
  const lowered = (fold: boolean): Model => {
    const { model, target, plan } = planned(layer, "cpu");
    const made = quantizerGraph(model, plan.plan, target, {
      scaleRateMultiplier: 20,
      outputs: model.graph.outputs.map((output) => output.name),
    });
    const back = fold
      ? foldBack(model, made.plan, made.quantizers, startOf(made))
      : { plan: plan.plan, weights: undefined };
    lowerPlan(model, findSites(model), back.plan, target, { weights: back.weights });
    return model;
  };
  expect(Buffer.from(bytesOf(lowered(true)))).toEqual(Buffer.from(bytesOf(lowered(false))));
});

test.each([
  [2, -255, 0],
  [-2, 0, 255],
])("a zero point that training moves out of the codes stays at their end: %d", (by, low, high) => {
  const { model, target, plan } = planned(gemm, "cpu");
  const made = quantizerGraph(model, plan.plan, target, {
    scaleRateMultiplier: 20,
    outputs: model.graph.outputs.map((output) => output.name),
  });
  const start = startOf(made);
  for (const [name, values] of start) if (name.endsWith("_shift")) values.fill(by);
  const back = foldBack(model, made.plan, made.quantizers, start);
  const moved = made.quantizers.activations.filter(({ shift }) => shift !== undefined);
  expect(moved.length).toBeGreaterThan(0);
  for (const { base, readers } of moved)
    for (const { site } of readers) {
      const sitePlan = back.plan.sites.get(site);
      const range = sitePlan?.quantize === true ? sitePlan.activation?.range : undefined;
      if (range === undefined || range === "dynamic") throw new Error(`no range of ${site}`);
      expect(range.min / base).toBeCloseTo(low, 4);
      expect(range.max / base).toBeCloseTo(high, 4);
    }
});

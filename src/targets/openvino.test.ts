import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, noise, type Builder } from "../../test/build.js";
import { openvinoViolations } from "../../test/openvino-rules.js";
import { runModel, snr } from "../../test/run.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { inferTypes } from "../ops/infer.js";
import { lowerPlan, planModel } from "../plan/plan-model.js";
import { findSites } from "../quant/sites.js";
import type { SiteReport } from "../report/report.js";
import { choose, type GivenChoices } from "./choices.js";
import { openvino } from "./openvino.js";

function lowered(
  model: Model,
  given: GivenChoices = {},
): { quantizedModel: Model; sites: readonly SiteReport[] } {
  const quantizedModel = importModel(decodeModel(bytesOf(model)));
  const choices = choose(openvino, "static", given);
  const { sites, plan, reports } = planModel(quantizedModel, openvino, {
    ...choices,
    mode: "static",
    reduceRange: false,
    embeddings: true,
    outliers: false,
    exclude: [],
    rangeOf: () => ({ min: -3, max: 2 }),
  });
  lowerPlan(quantizedModel, sites, plan, openvino, choices);
  inferTypes(quantizedModel);
  verify(quantizedModel);
  return { quantizedModel, sites: reports };
}

function matrix(b: Builder, name: string, rows: number, cols: number, seed = 1) {
  return b.float(
    name,
    [...noise(rows * cols, seed)].map((v) => v / 4),
    [rows, cols],
  );
}

/** Attention over rows of width 16, guarded against rows that are masked as a whole, from a table of words and a projection of constants. */
const attention = (b: Builder) => {
  const x = b.input("x", ["batch", "length", 16]);
  const layer = (name: string, seed: number) =>
    b.op(`${name}_out`, "MatMul", [x, matrix(b, `${name}.weight`, 16, 16, seed)]);
  const keys = b.op("keys", "Transpose", [layer("key", 2)], { perm: [0, 2, 1] });
  const scores = b.op("scores", "MatMul", [layer("query", 1), keys]);
  const masked = b.op("masked", "Add", [scores, b.input("mask", ["batch", 1, "length"])]);
  const p = b.op("p", "Softmax", [masked], { axis: -1 });
  const guarded = b.op("guarded", "Where", [b.op("nan", "IsNaN", [p]), b.float("zero", 0), p]);
  const context = b.op("context", "MatMul", [guarded, layer("value", 3)]);
  const fixed = b.op("fixed", "MatMul", [
    b.float("places", [...noise(16 * 16, 8)], [16, 16]),
    matrix(b, "places.weight", 16, 16, 9),
  ]);
  b.output(b.op("y", "MatMul", [context, fixed]));
};

const feeds = {
  x: floats([2, 5, 16], 4),
  mask: tensorOf("float32", [2, 1, 5], new Float32Array(10)),
};

describe("attention in OpenVINO's form", () => {
  test.each([
    { attention: "none", products: 0, least: 20 },
    { attention: "values", products: 1, least: 20 },
    { attention: "all", products: 3, least: 15 },
  ] as const)("$attention", async ({ products, least, ...given }) => {
    const model = buildModel(attention);
    const { quantizedModel, sites } = lowered(model, given);
    const ran = sites.filter((site) => site.kind === "attention" && site.runs === "int8");
    expect(ran).toHaveLength(products);
    const said = openvinoViolations(quantizedModel);
    // The mask is an input, so nothing proves that the guard never fires; in front of integers it stays.
    expect(said.filter((what) => !what.startsWith("IsNaN"))).toEqual([]);
    const [expected, got] = [
      await runModel(bytesOf(model), feeds),
      await runModel(bytesOf(quantizedModel), feeds),
    ];
    const [y, other] = [expected["y"], got["y"]];
    if (y === undefined || other === undefined) throw new Error("no output");
    expect(snr(y, other)).toBeGreaterThan(least);
  });

  test("has probabilities over [0, 1] without a zero point, values symmetric", () => {
    const { quantizedModel } = lowered(buildModel(attention), { attention: "values" });
    const product = quantizedModel.graph.value("context")?.producer;
    const constants = [0, 1].map((i) => {
      const [, scale, zero] = product?.input(i)?.producer?.inputs ?? [];
      const step = new Float32Array(
        scale?.tensor?.data.read().slice().buffer ?? new ArrayBuffer(4),
      )[0];
      return [zero?.dtype, zero?.tensor?.data.read()[0], step];
    });
    expect(constants).toEqual([
      ["uint8", 0, Math.fround(1 / 255)],
      ["int8", 0, Math.fround(3 / 127)],
    ]);
  });

  test("keeps what no input reaches in float", () => {
    const { sites } = lowered(buildModel(attention));
    expect(sites.filter(({ reason }) => reason?.startsWith("no input reaches it"))).toHaveLength(1);
  });
});

test("the checker finds a Convert at the end of a constant path, and products with a zero point", () => {
  const { quantizedModel } = lowered(buildModel(attention), { attention: "all" });
  const { graph } = quantizedModel;
  const codes = graph.addInitializer("codes", tensorOf("int8", [2], Int8Array.of(1, 2)));
  const cast = graph.addNode({ op: "Cast", inputs: [codes], attributes: { to: 1 } }).output();
  graph.addOutput(cast);
  const product = graph.value("scores")?.producer;
  const q = product?.input(0)?.producer;
  q?.setInput(2, graph.addInitializer("z", tensorOf("int8", [], Int8Array.of(5))));
  inferTypes(quantizedModel);
  const said = openvinoViolations(quantizedModel).join("\n");
  expect(said).toMatch(/ends a constant INT8 path/);
  expect(said).toMatch(/activations with a zero point/);
});

test("a plan that OpenVINO would run in float is an error that names the site and the target", () => {
  const model = buildModel(attention);
  inferTypes(model);
  const sites = findSites(model);
  const fate = (name: string, plan: object) => () => {
    const site = sites.find((one) => one.name === name);
    if (site === undefined) throw new Error(`no ${name} among ${sites.map((one) => one.name)}`);
    return openvino.fate(site, { kind: site.kind, quantize: true, ...plan });
  };
  const u8 = { dtype: "uint8", granularity: "per-tensor", range: { min: -1, max: 1 } } as const;
  const s8 = { ...u8, dtype: "int8", symmetric: true } as const;
  const weight = { dtype: "int8", granularity: "per-channel", limit: 127 } as const;
  expect(fate("scores", { activation: s8, second: u8 })).toThrow(
    /"scores" needs .* without a zero point on target openvino/,
  );
  expect(fate("scores", { activation: s8 })).toThrow(/"scores" needs/);
  expect(fate("query", { weight, activation: s8 })).toThrow(/"uint8" .* on target openvino/);
  const block = {
    dtype: "int8",
    granularity: "block-wise",
    block: 32,
    scheme: "symmetric",
    range: "min-max",
  } as const;
  expect(fate("query", { weight: block })).toThrow(/"per-channel" on target openvino/);
  expect(fate("places", { weight })).toThrow(/no input that reaches it/);
  expect(fate("query", { weight, activation: u8 })()).toEqual({ runs: "int8" });
  expect(fate("scores", { activation: s8, second: s8 })()).toEqual({ runs: "int8" });
});

import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { runModel, snr } from "../../test/run.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { lowerPlan, planModel } from "../plan/plan-model.js";
import type { Mode, WeightForm } from "../quant/plan.js";
import { ortWeb } from "../runtime/ort-web.js";
import { fromRuntime, toRuntime } from "../runtime/tensors.js";
import { web } from "./web.js";

const runtime = await ortWeb();

/** Rows of a table into a block of two layers with GELU, a residual and a last layer. */
const block = buildModel((b) => {
  const weight = (name: string, rows: number, cols: number, seed: number) =>
    b.float(name, [...noise(rows * cols, seed)], [rows, cols]);
  const ids = b.input("ids", ["batch", "length"], "int64");
  const rows = b.op("rows", "Gather", [weight("words.weight", 300, 32, 1), ids]);
  const wide = linear(b, "up", rows, weight("up.weight", 32, 64, 2), 64);
  const erf = b.op("erf", "Erf", [b.op("div", "Div", [wide, b.float("root", Math.SQRT2)])]);
  const inner = b.op("inner", "Add", [erf, b.float("one", 1)]);
  const gelu = b.op("gelu", "Mul", [b.op("outer", "Mul", [wide, inner]), b.float("half", 0.5)]);
  const down = linear(b, "down", gelu, weight("down.weight", 64, 32, 3), 32);
  b.output(b.op("y", "Add", [down, rows]));
});

function linear(
  b: Builder,
  name: string,
  x: ReturnType<Builder["op"]>,
  w: ReturnType<Builder["op"]>,
  n: number,
) {
  const product = b.op(`${name}.product`, "MatMul", [x, w]);
  return b.op(`${name}.y`, "Add", [product, b.float(`${name}.bias`, [...noise(n, 5)])]);
}

function quantizedModel(model: Model, mode: Mode, weights: WeightForm = "int8"): Uint8Array {
  const copy = importModel(decodeModel(bytesOf(model)));
  const { sites, plan } = planModel(copy, web, {
    mode,
    weights,
    reduceRange: false,
    embeddings: true,
    outliers: false,
    exclude: [],
    rangeOf: () => ({ min: -6, max: 6 }),
  });
  lowerPlan(copy, sites, plan, web);
  return bytesOf(copy);
}

async function inWeb(
  model: Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const session = await runtime.load(model, { threads: 1 });
  try {
    const inputs = Object.entries(feeds).map(([name, tensor]) => [name, toRuntime(tensor)]);
    const outputs = await session.run(Object.fromEntries(inputs) as never);
    return Object.fromEntries(Object.entries(outputs).map(([k, v]) => [k, fromRuntime(v)]));
  } finally {
    await session.release();
  }
}

function ids(batch: number, length: number): Tensor {
  const values = Array.from({ length: batch * length }, (_, i) => BigInt((i * 37) % 300));
  return tensorOf("int64", [batch, length], BigInt64Array.from(values));
}

describe.each<Mode>(["dynamic", "static"])("the %s quantized model in onnxruntime-web", (mode) => {
  test.each([
    [1, 5],
    [3, 17],
  ])(
    "is near the float model, and equal to onnxruntime-node but for rounding, at %i × %i",
    async (batch, length) => {
      const feeds = { ids: ids(batch, length) };
      const model = quantizedModel(block, mode);
      const got = (await inWeb(model, feeds))["y"]!;
      expect(snr((await runModel(bytesOf(block), feeds))["y"]!, got)).toBeGreaterThan(28);
      expect(snr((await runModel(model, feeds))["y"]!, got)).toBeGreaterThan(45);
    },
  );
});

test.each([
  ["int4", 12],
  ["int8-only", 28],
] as const)("%s weights run there as in onnxruntime-node", async (weights, decibels) => {
  const feeds = { ids: ids(3, 17) };
  const model = quantizedModel(block, "dynamic", weights);
  const got = (await inWeb(model, feeds))["y"]!;
  expect(snr((await runModel(bytesOf(block), feeds))["y"]!, got)).toBeGreaterThan(decibels);
  expect(snr((await runModel(model, feeds))["y"]!, got)).toBeGreaterThan(35);
});

test("products of codes as large as they get do not saturate", async () => {
  const k = 256;
  const model = buildModel((b) => {
    const codes = b.graph.addInitializer(
      "w",
      tensorOf("int8", [k, 16], new Int8Array(k * 16).fill(127)),
    );
    b.output(b.op("y", "MatMulInteger", [b.input("x", [1, k], "uint8"), codes]));
  });
  const feeds = { x: tensorOf("uint8", [1, k], new Uint8Array(k).fill(255)) };
  const y = (await inWeb(bytesOf(model), feeds))["y"]!;
  expect(toRuntime(y).data).toEqual(new Int32Array(16).fill(255 * 127 * k));
});

test("its plans name it, and take what target cpu takes", () => {
  const copy = importModel(decodeModel(bytesOf(block)));
  const options = {
    mode: "dynamic",
    reduceRange: false,
    embeddings: true,
    outliers: false,
  } as const;
  const { plan, reports } = planModel(copy, web, { ...options, exclude: [] });
  expect(plan.target).toBe("web");
  expect(reports.map(({ runs }) => runs)).toEqual(["stored", "int8", "int8"]);
});

import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { runModel, snr } from "../../test/run.js";
import { violations, type Expected } from "../../test/tensorrt-rules.js";
import { print } from "../graph/print.js";
import { inferTypes } from "../ops/infer.js";
import { lowerPlan, makePlan, planModel } from "../plan/plan-model.js";
import { prepare } from "../plan/prepare.js";
import { findSites } from "../quant/sites.js";
import { choose, type GivenChoices } from "./choices.js";
import { tensorrt } from "./tensorrt.js";
import { feeds, layer, lowered, matrix, RANGE } from "../../test/tensorrt-layer.js";

describe("a layer for TensorRT", () => {
  test("is float operators between Q/DQ: symmetric, one pair per tensor, no bias, what goes around blocks", () => {
    const block = buildModel((b) => {
      const x = b.input("x", ["batch", "length", 16]);
      const product = b.op("product", "MatMul", [x, matrix(b, "dense.weight", 16, 16)]);
      const result = b.op("result", "Add", [product, b.float("dense.bias", [...noise(16)])]);
      const sum = b.op("sum", "Add", [result, x]);
      b.output(b.op("y", "LayerNormalization", [sum, b.float("gamma", [...noise(16)])]));
    });
    expect(print(lowered(block))).toMatchInlineSnapshot(`
      "opset 18, com.microsoft 1
      graph(x: float32[batch, length, 16])
        %QuantizeLinear_out: int8[batch, length, 16] = QuantizeLinear(x, 0.023622047, int8 0)
        %DequantizeLinear_out: float32[batch, length, 16] = DequantizeLinear(%QuantizeLinear_out, 0.023622047, int8 0)
        %DequantizeLinear_out_1: float32[16, 16] = DequantizeLinear(dense.weight_int8: int8[16, 16], dense.weight_scale: float32[16], zero_points_16: int8[16]) axis=1
        %dense.int8_out: float32[batch, length, 16] = MatMul(%DequantizeLinear_out, %DequantizeLinear_out_1)
        %dense.bias_out: float32[batch, length, 16] = Add(%dense.int8_out, dense.bias: float32[16])
        %sum: float32[batch, length, 16] = Add(%dense.bias_out, %DequantizeLinear_out)
        %y: float32[batch, length, 16] = LayerNormalization(%sum, dense.bias: float32[16])
        return %y"
    `);
  });

  const forms: { given: GivenChoices; expected: Expected; pairs: number; least: number }[] = [
    { given: {}, expected: { residual: "skip" }, pairs: 4, least: 18 },
    { given: { residual: "none" }, expected: { residual: "none" }, pairs: 4, least: 18 },
    { given: { residual: "both" }, expected: { residual: "both" }, pairs: 6, least: 15 },
    { given: { attention: "all" }, expected: { residual: "skip" }, pairs: 8, least: 15 },
    { given: { fp16: true }, expected: { residual: "skip", fp16: true }, pairs: 4, least: 18 },
  ];
  test.each(forms)("keeps all rules and runs with $given", async ({ given, expected, ...form }) => {
    const model = buildModel(layer);
    const quantizedModel = lowered(model, given);
    expect(violations(quantizedModel, expected)).toEqual([]);
    const ops = [...quantizedModel.graph.nodes()].map(({ op }) => op);
    expect(ops.filter((op) => op === "QuantizeLinear")).toHaveLength(form.pairs);
    for (const length of [1, 7]) {
      const [float, got] = [
        await runModel(bytesOf(model), feeds(length)),
        await runModel(bytesOf(quantizedModel), feeds(length)),
      ];
      for (const [name, tensor] of Object.entries(float))
        expect(snr(tensor, got[name] ?? tensor)).toBeGreaterThan(form.least);
    }
  });

  test("has its scale before the product", () => {
    const text = print(lowered(buildModel(layer), { attention: "all" }));
    expect(text).toMatch(/Mul\(%query_heads, 0\.25\)/);
    expect(text).not.toMatch(/Mul\(%scores/);
  });

  test("has one scale, the largest, where a plan gives readers of one tensor several", () => {
    const copy = buildModel(layer);
    prepare(copy, tensorrt);
    const sites = findSites(copy);
    const widths: Record<string, number> = { query: 1, key: 4, value: 2 };
    const plan = makePlan(sites, tensorrt, {
      mode: "static",
      reduceRange: false,
      embeddings: true,
      outliers: false,
      exclude: [],
      residual: "none",
      rangeOf: ({ name }) => ({ min: -(widths[name] ?? 1), max: 0 }),
    });
    lowerPlan(copy, sites, plan, tensorrt);
    inferTypes(copy);
    expect(violations(copy, { residual: "none" })).toEqual([]);
    const scale = copy.graph.value("x_scale")?.tensor?.data.read();
    expect(new Float32Array(scale?.slice().buffer ?? new ArrayBuffer(0))).toEqual(
      Float32Array.of(4 / 127),
    );
  });
});

describe("what is left out", () => {
  const fateOf = (build: (b: Builder) => void, given: GivenChoices = {}) => {
    const model = buildModel(build);
    const { reports } = planModel(model, tensorrt, {
      ...choose(tensorrt, "static", given),
      mode: "static",
      reduceRange: false,
      embeddings: true,
      outliers: false,
      exclude: [],
      rangeOf: () => RANGE,
    });
    return reports.map(
      ({ kind, runs, reason }) => `${kind}: ${runs}${reason ? `, ${reason}` : ""}`,
    );
  };

  test.each([
    [15, 16],
    [16, 15],
    [16, 1],
  ])("a product of %d × %d", (k, n) =>
    expect(
      fateOf((b) =>
        b.output(b.op("y", "MatMul", [b.input("x", ["rows", k]), matrix(b, "w", k, n)])),
      ),
    ).toEqual([`linear: float, too small to gain (${k} × ${n})`]),
  );

  test("a single row", () =>
    expect(
      fateOf((b) => b.output(b.op("y", "MatMul", [b.input("x", [1, 16]), matrix(b, "w", 16, 16)]))),
    ).toEqual(["linear: float, a single row: INT8 gains nothing"]));

  test("lookups, and products with a vector", () =>
    expect(
      fateOf(
        (b) => {
          const rows = b.op("rows", "Gather", [
            matrix(b, "table", 64, 16),
            b.input("ids", ["batch", 1], "int64"),
          ]);
          const turned = b.op("turned", "Transpose", [rows], { perm: [0, 2, 1] });
          b.output(b.op("y", "MatMul", [rows, turned]));
        },
        { attention: "all" },
      ),
    ).toEqual([
      "embedding: float, a lookup copies rows: INT8 gains nothing on a GPU",
      "attention: float, a product with a vector: INT8 gains nothing",
    ]));
});

describe("a plan that TensorRT cannot run is an error that names the site", () => {
  const s8 = { dtype: "int8", granularity: "per-tensor", symmetric: true, range: RANGE } as const;
  const u8 = { dtype: "uint8", granularity: "per-tensor", range: RANGE } as const;
  const weight = { dtype: "int8", granularity: "per-channel", limit: 127 } as const;
  const sites = (() => {
    const model = buildModel(layer);
    inferTypes(model);
    return findSites(model);
  })();
  const fate = (kind: "linear" | "attention" | "residual", plan: object) => () => {
    const site = sites.find((one) => one.kind === kind);
    if (site === undefined) throw new Error(`no ${kind}`);
    return tensorrt.fate(site, { kind, quantize: true, ...plan });
  };

  test("asymmetric activations", () =>
    expect(fate("linear", { weight, activation: u8 })).toThrow(
      /site "query" needs ranges .* "dtype": "int8" and "symmetric": true/,
    ));
  test("a layer without its weight, without its activation", () => {
    expect(fate("linear", { activation: s8 })).toThrow(/"query" needs a "weight"/);
    expect(fate("linear", { weight })).toThrow(/"query" needs an "activation"/);
  });
  test("a weight in blocks", () => {
    const block = { ...weight, granularity: "block-wise", block: 32 };
    expect(fate("linear", { weight: block, activation: s8 })).toThrow(/"query" .* "per-channel"/);
  });
  test("half a product of attention", () =>
    expect(fate("attention", { activation: s8 })).toThrow(/both operands are quantized or none/));
  test("what it can run, it says so", () => {
    expect(fate("residual", { activation: s8 })()).toEqual({ runs: "int8" });
    expect(fate("attention", { activation: s8, second: s8 })()).toEqual({ runs: "int8" });
  });
});

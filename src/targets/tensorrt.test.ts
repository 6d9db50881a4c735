import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, noise, type Builder } from "../../test/build.js";
import { runModel, snr } from "../../test/run.js";
import { violations, type Expected } from "../../test/tensorrt-rules.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { inferTypes } from "../ops/infer.js";
import { lowerPlan, makePlan, planModel } from "../pipeline/edition.js";
import { prepare } from "../pipeline/prepare.js";
import { findSites } from "../quant/sites.js";
import { choose, type GivenChoices } from "./choices.js";
import { tensorrt } from "./tensorrt.js";

const RANGE = { min: -3, max: 2 };

/** Lowered with the same range everywhere, and checked against its legal form; the model itself stays as it was. */
function lowered(model: Model, given: GivenChoices = {}): Model {
  const copy = importModel(decodeModel(bytesOf(model)));
  const choices = choose(tensorrt, "static", given);
  const { sites, plan } = planModel(copy, tensorrt, {
    ...choices,
    mode: "static",
    reduceRange: false,
    embeddings: true,
    outliers: false,
    exclude: [],
    rangeOf: () => RANGE,
  });
  lowerPlan(copy, sites, plan, tensorrt, choices);
  inferTypes(copy);
  verify(copy);
  return copy;
}

function matrix(b: Builder, name: string, rows: number, cols: number, seed = 1) {
  return b.float(
    name,
    [...noise(rows * cols, seed)].map((v) => v / 4),
    [rows, cols],
  );
}

/** A layer of a Transformer of width 32, two heads, with its scale behind the product and a mask, normalized after each block. */
const layer = (b: Builder) => {
  const x = b.input("x", ["batch", "length", 32]);
  const mask = b.input("mask", ["batch", 1, 1, "length"]);
  const linear = (name: string, input: typeof x, rows: number, cols: number, seed: number) =>
    b.op(`${name}_sum`, "Add", [
      b.op(`${name}_product`, "MatMul", [input, matrix(b, `${name}.weight`, rows, cols, seed)]),
      b.float(`${name}.bias`, [...noise(cols, seed + 50)]),
    ]);
  const split = b.int("split", [0, 0, 2, 16]);
  const heads = (name: string, seed: number, perm: readonly number[]) =>
    b.op(
      `${name}_heads`,
      "Transpose",
      [b.op(`${name}_split`, "Reshape", [linear(name, x, 32, 32, seed), split])],
      { perm },
    );
  const norm = (name: string, input: typeof x) =>
    b.op(name, "LayerNormalization", [
      input,
      b.float(
        `${name}.weight`,
        Array.from({ length: 32 }, () => 1),
      ),
      b.float(`${name}.bias`, [...noise(32, 9)]),
    ]);
  const scores = b.op("scores", "MatMul", [
    heads("query", 2, [0, 2, 1, 3]),
    heads("key", 3, [0, 2, 3, 1]),
  ]);
  const masked = b.op("masked", "Add", [b.op("scaled", "Mul", [scores, b.float("s", 0.25)]), mask]);
  const context = b.op("context", "MatMul", [
    b.op("probabilities", "Softmax", [masked], { axis: -1 }),
    heads("value", 4, [0, 2, 1, 3]),
  ]);
  const joined = b.op("joined", "Reshape", [
    b.op("turned", "Transpose", [context], { perm: [0, 2, 1, 3] }),
    b.int("join", [0, 0, 32]),
  ]);
  const first = norm("norm1", b.op("add1", "Add", [linear("out", joined, 32, 32, 5), x]));
  const inner = b.op("inner", "Relu", [linear("up", first, 32, 64, 6)]);
  b.output(norm("norm2", b.op("add2", "Add", [first, linear("down", inner, 64, 32, 7)])));
};

const feeds = (length = 5) => ({
  x: floats([2, length, 32], 11),
  mask: tensorOf("float32", [2, 1, 1, length], new Float32Array(2 * length)),
});

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
    const edition = lowered(model, given);
    expect(violations(edition, expected)).toEqual([]);
    const ops = [...edition.graph.nodes()].map(({ op }) => op);
    expect(ops.filter((op) => op === "QuantizeLinear")).toHaveLength(form.pairs);
    for (const length of [1, 7]) {
      const [float, got] = [
        await runModel(bytesOf(model), feeds(length)),
        await runModel(bytesOf(edition), feeds(length)),
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

describe("the rule checker finds", () => {
  const broken = (change: (model: Model) => void, given: GivenChoices = {}): string[] => {
    const model = lowered(buildModel(layer), given);
    change(model);
    return violations(model, { residual: given.residual ?? "skip", fp16: given.fp16 ?? false });
  };
  const node = (model: Model, op: string, index = 0) => {
    const found = [...model.graph.nodes()].filter((one) => one.op === op)[index];
    if (found === undefined) throw new Error(`no ${op}`);
    return found;
  };
  const q = (model: Model, of: string) => {
    const value = model.graph.value(of);
    if (value === undefined) throw new Error(`no ${of}`);
    const made = model.graph.addNode({
      op: "QuantizeLinear",
      inputs: [value, model.graph.value("x_scale"), model.graph.value("x_zero_point")],
    });
    const dq = model.graph.addNode({
      op: "DequantizeLinear",
      inputs: [made.output(), model.graph.value("x_scale"), model.graph.value("x_zero_point")],
    });
    made.output().dtype = "int8";
    dq.output().dtype = "float32";
    return { value, dq: dq.output() };
  };

  const planted: Record<
    string,
    [change: (model: Model) => void, said: RegExp, given?: GivenChoices]
  > = {
    "a zero point": [
      (m) => {
        const zero = m.graph.addInitializer("z", tensorOf("int8", [], Int8Array.of(3)));
        node(m, "QuantizeLinear").setInput(2, zero);
      },
      /zero point that is not 0/,
    ],
    "UINT8 codes": [
      (m) => {
        const zero = m.graph.addInitializer("z", tensorOf("uint8", [], Uint8Array.of(0)));
        node(m, "QuantizeLinear").setInput(2, zero);
        inferTypes(m);
      },
      /UINT8 tensor/,
    ],
    "a scale per channel of an activation": [
      (m) => {
        const scale = m.graph.addInitializer("p", floats([32]));
        node(m, "QuantizeLinear").setInput(1, scale);
      },
      /scales per channel of an activation/,
    ],
    "a weight with a scale per row": [
      (m) => void node(m, "DequantizeLinear", 1).attributes.set("axis", { type: "int", value: 0 }),
      /no scale per output channel/,
    ],
    "one operand in float": [
      (m) => node(m, "MatMul").setInput(0, m.graph.value("x")),
      /one operand quantized/,
    ],
    "a quantized input of an operator that is none": [
      (m) => node(m, "Softmax").setInput(0, q(m, "masked").dq),
      /read by Softmax/,
    ],
    "a quantized mask": [
      (m) => {
        const { dq } = q(m, "mask");
        const masked = m.graph.value("masked")?.producer;
        masked?.setInput(
          masked.inputs.findIndex((input) => input?.name === "mask"),
          dq,
        );
      },
      /no residual/,
      { residual: "skip" },
    ],
    "a quantized bias": [
      (m) => {
        const add = m.graph.value("query.bias_out")?.producer;
        add?.setInput(0, q(m, "query.int8_out").dq);
      },
      /is a bias, and quantized/,
    ],
    "a residual that was not asked for": [
      (m) => m.graph.value("add1")?.producer?.setInput(1, q(m, "x").dq),
      /no residual was asked for/,
      { residual: "none" },
    ],
    "the branch quantized where the skip alone should be": [
      (m) => {
        const add = m.graph.value("add1")?.producer;
        add?.setInput(0, q(m, "out.bias_out").dq);
      },
      /2 operands quantized/,
    ],
    "a tensor quantized twice": [
      (m) => node(m, "MatMul").setInput(0, q(m, "x").dq),
      /quantized 2 times/,
    ],
    "a scale behind the product": [
      (m) => {
        const masked = m.graph.value("masked")?.producer;
        const scores = m.graph.value("scores");
        const factor = m.graph.addInitializer("f", floats([]));
        const made = m.graph.addNode({ op: "Mul", inputs: [scores, factor] });
        masked?.setInput(0, made.output());
      },
      /scale behind it/,
    ],
    "probabilities over another range": [
      (m) => {
        const scale = m.graph.addInitializer("p", floats([]));
        m.graph.value("probabilities")?.onlyUse?.node.setInput(1, scale);
      },
      /not \[0, 1\]/,
      { attention: "all" },
    ],
    "ranges found at run time": [
      (m) => {
        const made = m.graph.addNode({
          op: "DynamicQuantizeLinear",
          inputs: [m.graph.value("x")],
          outputs: 3,
        });
        m.graph.addOutput(made.output());
      },
      /no operator of explicit quantization/,
    ],
    "an old operator set": [(m) => void m.opsets.set("", 12), /operator set 12/],
    "an old operator set for FP16 scales": [
      (m) => void m.opsets.set("", 18),
      /no FP16 scales/,
      { fp16: true },
    ],
    "statistics of a normalization in FP16": [
      (m) =>
        void node(m, "LayerNormalization").attributes.set("stash_type", {
          type: "int",
          value: 10,
        }),
      /statistics in FP16/,
      { fp16: true },
    ],
    "a narrow product": [
      (m) => {
        const product = node(m, "MatMul");
        const value = product.input(0);
        if (value?.shape !== undefined) value.shape = [...value.shape.slice(0, -1), 8];
      },
      /narrow product/,
    ],
  };
  test.each(Object.entries(planted))("%s", (_what, [change, said, given]) => {
    expect(broken(() => undefined, given)).toEqual([]);
    expect(broken(change, given).join("\n")).toMatch(said);
  });
});

import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, noise, type Builder } from "../../test/build.js";
import { integerKernels } from "../../test/kernels.js";
import { numbers, runModel, snr } from "../../test/run.js";
import type { Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { importModel } from "../graph/import.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { inferTypes } from "../ops/infer.js";
import { lowerPlan, makePlan, type PlanOptions } from "../plan/plan-model.js";
import { quantizedForm } from "../quant/already.js";
import type { Plan } from "../quant/plan.js";
import { findSites } from "../quant/sites.js";
import { cpu } from "./cpu.js";
import { lintCpu } from "./lint-cpu.js";

/** The model lowered, checked against its legal form; the float one stays as it was. */
function lowered(model: Model, options: Partial<PlanOptions> = {}): Model {
  const copy = importModel(decodeModel(bytesOf(model)));
  inferTypes(copy);
  const sites = findSites(copy);
  const plan = makePlan(sites, cpu, {
    mode: "dynamic",
    reduceRange: false,
    embeddings: true,
    outliers: false,
    exclude: [],
    ...options,
  });
  lowerPlan(copy, sites, plan, cpu);
  inferTypes(copy);
  verify(copy);
  return copy;
}

function weight(b: Builder, name: string, rows: number, cols: number, seed = 1) {
  return b.float(name, [...noise(rows * cols, seed)], [rows, cols]);
}

const layer = (b: Builder) => {
  const x = b.input("x", ["batch", "length", 16]);
  const product = b.op("product", "MatMul", [x, weight(b, "layer.weight", 16, 32)]);
  b.output(b.op("y", "Add", [b.float("layer.bias", [...noise(32, 2)]), product]));
};

/** Ways to write a layer, by its name, and how close 8 bits come to it, dB. */
const forms: Record<string, { build: (b: Builder) => void; least: number }> = {
  "MatMul with its bias behind": { build: layer, least: 35 },
  "MatMul with its bias before the product in the Add": {
    build: (b) => {
      const x = b.input("x", ["batch", "length", 16]);
      const product = b.op("product", "MatMul", [x, weight(b, "w", 16, 32)]);
      b.output(b.op("y", "Add", [product, b.float("c", [...noise(32, 2)], [1, 1, 32])]));
    },
    least: 35,
  },
  "Gemm with transB and a bias": {
    build: (b) => {
      const x = b.input("x", ["batch", 16]);
      const bias = b.float("c", [...noise(32, 2)]);
      b.output(b.op("y", "Gemm", [x, weight(b, "w", 32, 16), bias], { transB: 1 }));
    },
    least: 35,
  },
  "a square weight behind Transpose": {
    build: (b) => {
      const x = b.input("x", ["batch", 24]);
      const w = b.op("t", "Transpose", [weight(b, "w", 24, 24)], { perm: [1, 0] });
      b.output(b.op("y", "MatMul", [x, w]));
    },
    least: 35,
  },
  "a weight behind Reshape and Identity": {
    build: (b) => {
      const x = b.input("x", ["batch", 16]);
      const flat = b.float("w", [...noise(512)]);
      const shaped = b.op("r", "Reshape", [flat, b.int("shape", [16, 32])]);
      b.output(b.op("y", "MatMul", [x, b.op("i", "Identity", [shaped])]));
    },
    least: 35,
  },
  "one weight in two layers": {
    build: (b) => {
      const x = b.input("x", ["batch", 16]);
      const w = weight(b, "w", 16, 16);
      const first = b.op("first", "Relu", [b.op("p", "MatMul", [x, w])]);
      b.output(b.op("y", "MatMul", [first, w]));
    },
    least: 30,
  },
};

/** Signal-to-noise ratio of y, dB. */
async function ratioTo(model: Model, quantizedModel: Model): Promise<number> {
  const dims = model.graph.inputs[0]?.shape?.map((d) => (typeof d === "number" ? d : 3)) ?? [];
  const feeds = { x: floats(dims, 7) };
  const [want, got] = [
    await runModel(bytesOf(model), feeds),
    await runModel(bytesOf(quantizedModel), feeds),
  ];
  const [y, z] = [want["y"], got["y"]];
  if (y === undefined || z === undefined) throw new Error("no output");
  return snr(y, z);
}

describe("the dynamic form", () => {
  test("of a layer is the chain that onnxruntime makes one DynamicQuantizeMatMul of", () => {
    expect(print(lowered(buildModel(layer)))).toMatchInlineSnapshot(`
      "opset 18, com.microsoft 1
      graph(x: float32[batch, length, 16])
        %DynamicQuantizeLinear_out: uint8[batch, length, 16], %DynamicQuantizeLinear_out_1: float32[], %DynamicQuantizeLinear_out_2: uint8[] = DynamicQuantizeLinear(x)
        %layer.int8_out: int32[batch, length, 32] = MatMulInteger(%DynamicQuantizeLinear_out, layer.weight_int8: int8[16, 32], %DynamicQuantizeLinear_out_2)
        %Cast_out: float32[batch, length, 32] = Cast(%layer.int8_out) to=1
        %Mul_out: float32[32] = Mul(%DynamicQuantizeLinear_out_1, layer.weight_scale: float32[32])
        %Mul_out_1: float32[batch, length, 32] = Mul(%Cast_out, %Mul_out)
        %y: float32[batch, length, 32] = Add(%Mul_out_1, layer.bias: float32[32])
        return %y"
    `);
  });

  test("has one quantized activation for all layers that read it", () => {
    const model = lowered(
      buildModel((b) => {
        const x = b.input("x", ["batch", 16]);
        for (const [i, name] of ["query", "key", "value"].entries())
          b.output(b.op(name, "MatMul", [x, weight(b, `${name}.weight`, 16, 16, i)]));
      }),
    );
    const ops = [...model.graph.nodes()].map((node) => node.op);
    expect(ops.filter((op) => op === "DynamicQuantizeLinear")).toHaveLength(1);
    expect(ops.filter((op) => op === "MatMulInteger")).toHaveLength(3);
  });

  test("keeps a table that is also an output layer's weight as one INT8 initializer", () => {
    const model = lowered(
      buildModel((b) => {
        const table = weight(b, "words.weight", 512, 16);
        const ids = b.input("ids", ["batch", "length"], "int64");
        const rows = b.op("rows", "Gather", [table, ids]);
        const turned = b.op("turned", "Transpose", [table], { perm: [1, 0] });
        b.output(b.op("logits", "MatMul", [rows, turned]));
      }),
    );
    expect(print(model)).toMatchInlineSnapshot(`
      "opset 18, com.microsoft 1
      graph(ids: int64[batch, length])
        %words.int8_out: int8[batch, length, 16] = Gather(words.weight_int8: int8[512, 16], ids)
        %Cast_out: float32[batch, length, 16] = Cast(%words.int8_out) to=1
        %Gather_out: float32[batch, length, 1] = Gather(words.weight_scale: float32[512, 1], ids)
        %Mul_out: float32[batch, length, 16] = Mul(%Cast_out, %Gather_out)
        %DynamicQuantizeLinear_out: uint8[batch, length, 16], %DynamicQuantizeLinear_out_1: float32[], %DynamicQuantizeLinear_out_2: uint8[] = DynamicQuantizeLinear(%Mul_out)
        %Transpose_out: int8[16, 512] = Transpose(words.weight_int8: int8[512, 16]) perm=[1, 0]
        %"words#2.int8_out": int32[batch, length, 512] = MatMulInteger(%DynamicQuantizeLinear_out, %Transpose_out, %DynamicQuantizeLinear_out_2)
        %Cast_out_1: float32[batch, length, 512] = Cast(%"words#2.int8_out") to=1
        %Mul_out_1: float32[512] = Mul(%DynamicQuantizeLinear_out_1, words.weight_scale_1: float32[512])
        %logits: float32[batch, length, 512] = Mul(%Cast_out_1, %Mul_out_1)
        return %logits"
    `);
  });

  test("dequantizes a product that no input reaches, once, on loading", () => {
    const model = buildModel((b) => {
      const fixed = b.op("fixed", "MatMul", [
        weight(b, "positions", 20, 16),
        weight(b, "project.weight", 16, 16),
      ]);
      const x = b.input("x", ["batch", 16]);
      const y = b.op("y", "MatMul", [x, weight(b, "y.weight", 16, 16)]);
      b.output(b.op("scores", "MatMul", [y, b.op("t", "Transpose", [fixed], { perm: [1, 0] })]));
    });
    const ops = [...lowered(model).graph.nodes()].map((node) => node.op);
    expect(ops.filter((op) => op === "MatMulInteger")).toHaveLength(1);
    expect(ops.filter((op) => op === "MatMul")).toHaveLength(2);
  });

  test.each(Object.entries(forms))("of %s computes what the float layer does", async (_, form) => {
    const model = buildModel(form.build);
    expect(await ratioTo(model, lowered(model))).toBeGreaterThan(form.least);
  });
  test("looks rows up in INT8, each with its own scale, also by negative indices", async () => {
    const model = buildModel((b) => {
      const values = noise(300 * 16);
      // Rows of very different size: one scale for the table would lose the small ones.
      for (let i = 0; i < values.length; i++) values[i]! *= 10 ** -(Math.floor(i / 16) % 4);
      const table = b.float("words.weight", [...values], [300, 16]);
      b.output(b.op("y", "Gather", [table, b.input("ids", ["batch", "length"], "int64")]));
    });
    const feeds = { ids: tensorOf("int64", [1, 5], BigInt64Array.from([0n, 3n, 299n, -1n, 7n])) };
    const want = numbers((await runModel(bytesOf(model), feeds))["y"]!);
    const got = numbers((await runModel(bytesOf(lowered(model)), feeds))["y"]!);
    for (let row = 0; row < 5; row++) {
      const part = want.slice(row * 16, row * 16 + 16);
      const step = Math.max(...part.map(Math.abs)) / 120;
      part.forEach((v, i) => expect(Math.abs(v - (got[row * 16 + i] ?? NaN))).toBeLessThan(step));
    }
  });

  test("stays within ±64 where the range is reduced, and leaves tables alone where asked", () => {
    const model = buildModel((b) => {
      const ids = b.input("ids", ["batch", "length"], "int64");
      const rows = b.op("rows", "Gather", [weight(b, "words.weight", 400, 16), ids]);
      b.output(b.op("y", "MatMul", [rows, weight(b, "y.weight", 16, 16)]));
    });
    const { graph } = lowered(model, { reduceRange: true, embeddings: false });
    const types = [...graph.initializers()].map((value) => [value.name, value.dtype]);
    expect(types).toContainEqual(["words.weight", "float32"]);
    const codes = [...graph.initializers()].find((value) => value.dtype === "int8");
    const largest = Math.max(...numbers(codes!.tensor!).map(Math.abs));
    expect(largest).toBeLessThanOrEqual(64);
    expect(largest).toBeGreaterThan(58);
  });

  test("computes in float16 models, between casts", async () => {
    const model = buildModel((b) => {
      const x = b.input("x", ["batch", 16]);
      const half = b.op("half", "Cast", [x], { to: 10 });
      const w = b.op("w16", "Cast", [weight(b, "w", 16, 32)], { to: 10 });
      b.output(b.op("y", "Cast", [b.op("p", "MatMul", [half, w])], { to: 1 }));
    });
    const feeds = { x: floats([4, 16], 3) };
    const low = lowered(model);
    expect([...low.graph.nodes()].some((node) => node.op === "MatMulInteger")).toBe(true);
    const [want, got] = [
      await runModel(bytesOf(model), feeds),
      await runModel(bytesOf(low), feeds),
    ];
    expect(snr(want["y"]!, got["y"]!)).toBeGreaterThan(35);
  });
});

/** Ranges found beforehand, of the inputs of the tests (standard normal), with room for what a layer makes of them. */
const beforehand: Partial<PlanOptions> = {
  mode: "static",
  rangeOf: () => ({ min: -4, max: 4 }),
};

test.each(["dynamic", "static"] as const)(
  "in float16 models the %s form is between casts",
  async (mode) => {
    const model = buildModel((b) => {
      const half = (x: Value) => b.op(`${x.name}_half`, "Cast", [x], { to: 10 });
      const product = b.op("p", "MatMul", [
        half(b.input("x", ["batch", 16])),
        half(weight(b, "w", 16, 32)),
      ]);
      const sum = b.op("sum", "Add", [product, half(b.float("c", [...noise(32, 2)]))]);
      b.output(b.op("y", "Cast", [sum], { to: 1 }));
    });
    const quantizedModel = lowered(model, { ...beforehand, mode });
    expect(await integerKernels(bytesOf(quantizedModel))).toHaveLength(1);
    expect(await ratioTo(model, quantizedModel)).toBeGreaterThan(33);
  },
);

describe("the static form", () => {
  test("of a layer is onnxruntime's operator with the bias inside, and is told so", () => {
    const model = lowered(buildModel(layer), beforehand);
    expect(print(model)).toMatchInlineSnapshot(`
      "opset 18, com.microsoft 1
      graph(x: float32[batch, length, 16])
        %QuantizeLinear_out: uint8[batch, length, 16] = QuantizeLinear(x, 0.03137255, uint8 127)
        %y: float32[batch, length, 32] = com.microsoft.MatMulIntegerToFloat(%QuantizeLinear_out, layer.weight_int8: int8[16, 32], 0.03137255, layer.weight_scale: float32[32], uint8 127, _, layer.bias: float32[32])
        return %y"
    `);
    expect(quantizedForm(model)).toBe(
      "integer operators: QuantizeLinear × 1, com.microsoft.MatMulIntegerToFloat × 1",
    );
  });

  test.each(Object.entries(forms))("of %s computes what the float layer does", async (_, form) => {
    const model = buildModel(form.build);
    const quantizedModel = lowered(model, beforehand);
    expect(await ratioTo(model, quantizedModel)).toBeGreaterThan(form.least - 2);
    expect([...quantizedModel.graph.nodes()].map(({ op }) => op)).not.toContain("MatMul");
  });

  test.each(["dims that are all known", "Relu behind"])(
    "stays in integers with %s",
    async (what) => {
      const model = buildModel((b) => {
        const x = b.input("x", what === "Relu behind" ? ["batch", 16] : [2, 4, 16]);
        const product = b.op("product", "MatMul", [x, weight(b, "w", 16, 32)]);
        b.output(
          what === "Relu behind"
            ? b.op("y", "Relu", [product])
            : b.op("y", "Add", [product, b.float("c", [...noise(32, 2)])]),
        );
      });
      const quantizedModel = lowered(model, beforehand);
      expect(await integerKernels(bytesOf(quantizedModel))).toEqual(["MatMulIntegerToFloat"]);
      expect(await ratioTo(model, quantizedModel)).toBeGreaterThan(30);
    },
  );

  test("quantizes once for all layers that read a value, whose names stay those of the float model", () => {
    const model = buildModel((b) => {
      const x = b.input("x", ["batch", 16]);
      for (const [i, name] of ["query", "key", "value"].entries()) {
        const product = b.op(`val_1${i}`, "MatMul", [x, weight(b, `val_${i}`, 16, 16, i)]);
        b.output(b.op(name, "Add", [product, b.float(`${name}.bias`, [...noise(16, i)])]));
      }
    });
    const quantizedModel = lowered(model, beforehand);
    const ops = [...quantizedModel.graph.nodes()].map((node) => node.op);
    expect(ops.filter((op) => op === "QuantizeLinear")).toHaveLength(1);
    const named = (of: Model) => lintCpu(of).map(({ name }) => name);
    expect(named(quantizedModel)).toEqual(["query", "key", "value"]);
    expect(named(quantizedModel)).toEqual(named(model));
  });

  test("of a second term has the bias once, and is much closer", async () => {
    const model = buildModel(layer);
    const one = lowered(model, beforehand);
    const activation = {
      dtype: "uint8",
      granularity: "per-tensor",
      range: { min: -4, max: 4 },
      terms: 2,
    } as const;
    const int8 = { dtype: "int8", granularity: "per-channel", limit: 127 } as const;
    const planned = { kind: "linear", quantize: true, weight: int8, activation } as const;
    const plan: Plan = {
      format: "octavo-plan",
      version: 1,
      mode: "static",
      target: "cpu",
      sites: new Map([["layer", planned]]),
    };
    const two = lowered(model, { ...beforehand, plan });
    expect(await integerKernels(bytesOf(two))).toHaveLength(2);
    expect(await ratioTo(model, two)).toBeGreaterThan((await ratioTo(model, one)) + 3);
  });
});

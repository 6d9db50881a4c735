import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { graphSpec, quantizedGraph, type ProductSpec } from "../../test/quantized-graphs.js";
import { integerKernels, lintedKernels, loads } from "../../test/kernels.js";
import type { Value } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { lintModel } from "../plan/lint-model.js";
import type { SiteReport } from "../report/report.js";
import { lintCpu } from "./lint-cpu.js";

const lint = (bytes: Uint8Array): SiteReport[] =>
  lintModel(importModel(decodeModel(bytes)), lintCpu);

/** A product as it should be: u8 × s8, one scale each, free dims, nothing behind. */
const GOOD: ProductSpec = {
  op: "MatMul",
  activation: "uint8",
  weight: "int8",
  granularity: "tensor",
  turned: "no",
  transB: false,
  bias: "none",
  carrier: "none",
  behind: "none",
  quantized: "no",
  shared: false,
  sharedInput: false,
  isOutput: false,
};

interface Case {
  readonly spec?: Partial<ProductSpec>;
  readonly dims?: readonly (number | string)[];
  readonly runs: SiteReport["runs"];
  readonly kernel?: string;
  readonly reason?: RegExp;
}

const cases: Record<string, Case> = {
  "u8 × s8": { runs: "int8", kernel: "MatMulIntegerToFloat" },
  "u8 × s8 with a quantized output": {
    spec: { quantized: "uint8" },
    runs: "int8",
    kernel: "QLinearMatMul",
  },
  "a scale per output channel": {
    spec: { granularity: "axis1" },
    runs: "int8",
    kernel: "MatMulIntegerToFloat",
  },
  "scales along K, which fuse and are wrong": {
    spec: { granularity: "axis0" },
    runs: "int8",
    kernel: "MatMulIntegerToFloat",
    reason: /scales of its weight lie along K/,
  },
  "s8 that one node reads, as if it were u8": {
    spec: { activation: "int8", weight: "uint8" },
    runs: "int8",
    kernel: "MatMulIntegerToFloat",
  },
  "s8 that several nodes read": {
    spec: { activation: "int8", sharedInput: true },
    runs: "stored",
    reason: /activation s8 that several nodes read/,
  },
  "s8 with a u8 weight": {
    spec: { activation: "codes", weight: "uint8" },
    runs: "stored",
    reason: /activation s8 with u8 weight/,
  },
  "16 bits": { spec: { activation: "uint16" }, runs: "stored", reason: /^uint16 codes/ },
  "an activation in float": {
    spec: { activation: "float", granularity: "axis1" },
    runs: "stored",
    kernel: "MatMulNBits",
    reason: /only its weight is quantized/,
  },
  "a weight in float": {
    spec: { weight: "float" },
    runs: "float",
    reason: /one side only: its second input is float/,
  },
  "two activations": { spec: { weight: "activation" }, runs: "int8" },
  "Relu behind": { spec: { behind: "Relu" }, runs: "stored", reason: /Relu or Clip directly/ },
  "Relu behind, taken in by its QuantizeLinear": {
    spec: { behind: "Relu", quantized: "uint8-low" },
    runs: "int8",
    kernel: "QLinearMatMul",
  },
  "Max with 0 behind": { spec: { behind: "Max" }, runs: "int8" },
  "an output that is read in two ways": {
    spec: { quantized: "uint8", shared: true },
    runs: "stored",
    reason: /read quantized and in another way/,
  },
  "an output that the model has, too": {
    spec: { quantized: "uint8", isOutput: true },
    runs: "stored",
    reason: /product is a graph output/,
  },
  "another type behind than before": {
    spec: { quantized: "int8", isOutput: false, activation: "codes" },
    runs: "stored",
  },
  "a bias behind, dims free": { spec: { bias: "add" }, runs: "int8" },
  "a bias behind, dims fixed": {
    spec: { bias: "add" },
    dims: [2, 3],
    runs: "stored",
    reason: /one Gemm of MatMul and Add .* \[1, 1, N\]/,
  },
  "a bias of rank 3 behind, dims fixed": { spec: { bias: "add-wide" }, dims: [2, 3], runs: "int8" },
  "an int32 bias behind, dims fixed": {
    spec: { bias: "add-int32" },
    dims: [2, 3],
    runs: "int8",
    kernel: "QGemm",
  },
  "a Gemm with a float bias": {
    spec: { op: "Gemm", bias: "float" },
    dims: ["m"],
    runs: "stored",
    reason: /^bias of Gemm is float/,
  },
  "a Gemm with a float bias and a quantized output": {
    spec: { op: "Gemm", bias: "float", quantized: "uint8" },
    dims: ["m"],
    runs: "int8",
    kernel: "QGemm",
  },
  "a Gemm with an int32 bias": {
    spec: { op: "Gemm", bias: "int32" },
    dims: ["m"],
    runs: "int8",
    kernel: "QGemm",
  },
};

describe("a product with Q/DQ", () => {
  test.each(Object.entries(cases))("%s", async (_, { spec, dims = ["b", "l"], ...expected }) => {
    const graph = { opset: 21, dims, products: [{ ...GOOD, ...spec }] };
    const bytes = bytesOf(quantizedGraph(graph));
    const [site] = lint(bytes);
    expect(site).toMatchObject({
      runs: expected.runs,
      ...(expected.kernel === undefined ? {} : { kernel: expected.kernel }),
    });
    if (expected.reason !== undefined) expect(site?.reason).toMatch(expected.reason);
    else if (expected.runs === "int8") expect(site?.reason).toBeUndefined();
    expect(await integerKernels(bytes)).toEqual(site?.kernel === undefined ? [] : [site.kernel]);
  });
});

test("of any graph, the kernels that are told are those that onnxruntime makes", async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(graphSpec, async (spec) => {
      const bytes = bytesOf(quantizedGraph(spec));
      // onnxruntime refuses some itself: pairs that it moves in opset 21 are of a type it does not take.
      if (!(await loads(bytes))) return;
      compared++;
      expect(lintedKernels(bytes)).toEqual(await integerKernels(bytes));
    }),
    { numRuns: 400, seed: 20 },
  );
  expect(compared).toBeGreaterThan(200);
}, 120_000);

describe("other forms", () => {
  const codes = (b: Builder, name: string, dims: number[]): Value => {
    const values = Int8Array.from(noise(dims[0]! * dims[1]!), (v) => Math.round(v * 100));
    return b.graph.addInitializer(name, tensorOf("int8", dims, values));
  };

  test("a product of integers is INT8, whatever is made of what stands behind", async () => {
    const bytes = bytesOf(
      buildModel((b) => {
        const x = b.graph.addNode({
          op: "DynamicQuantizeLinear",
          inputs: [b.input("x", ["b", "l", 16])],
          outputs: ["q", "scale", "zero"],
        }).outputs;
        const product = b.op("p", "MatMulInteger", [
          x[0],
          codes(b, "layer.weight_quantized", [16, 8]),
          x[2],
        ]);
        b.output(b.op("y", "Mul", [b.op("c", "Cast", [product], { to: 1 }), x[1]]));
      }),
    );
    expect(lint(bytes)).toEqual([
      { name: "layer", kind: "linear", shape: [16, 8], runs: "int8", kernel: "MatMulInteger" },
    ]);
    expect(await integerKernels(bytes)).toHaveLength(1);
  });

  test.each([
    [0.5, "int32", "stored", /^beta is not 1/],
    [1, "int32", "int8", undefined],
    [0.5, "none", "int8", undefined],
  ] as const)("a Gemm with beta %d and bias %s is %s", async (beta, bias, runs, reason) => {
    const products = [{ ...GOOD, op: "Gemm", bias } as const];
    const model = quantizedGraph({ opset: 21, dims: ["m"], products });
    for (const node of model.graph.nodes())
      if (node.op === "Gemm") node.attributes.set("beta", { type: "float", value: beta });
    const bytes = bytesOf(model);
    const [site] = lint(bytes);
    expect(site?.runs).toBe(runs);
    if (reason !== undefined) expect(site?.reason).toMatch(reason);
    expect(await integerKernels(bytes)).toHaveLength(runs === "int8" ? 1 : 0);
  });

  test("a float table is told as one; positions, columns and scales of another table are none", () => {
    const kinds = (build: (b: Builder, ids: Value) => Value) =>
      lint(bytesOf(buildModel((b) => b.output(build(b, b.input("ids", ["n"], "int64")))))).map(
        ({ kind, runs }) => `${kind} ${runs}`,
      );
    const table = (b: Builder, dims: number[]) =>
      b.float("words.weight", [...noise(dims[0]! * dims[1]!)], dims);
    expect(kinds((b, ids) => b.op("y", "Gather", [table(b, [40, 8]), ids]))).toEqual([
      "embedding float",
    ]);
    expect(kinds((b, ids) => b.op("y", "Gather", [table(b, [40, 1]), ids]))).toEqual([]);
    expect(kinds((b, ids) => b.op("y", "Gather", [table(b, [4, 8]), ids], { axis: 1 }))).toEqual(
      [],
    );
    expect(
      kinds((b, ids) => b.op("y", "Gather", [b.int("places", [1, 2, 3, 4], [2, 2]), ids])),
    ).toEqual([]);
  });

  test("a table of codes is looked up in INT8; one behind DequantizeLinear is dequantized whole", () => {
    const table = (whole: boolean) =>
      lint(
        bytesOf(
          buildModel((b) => {
            const t = codes(b, "words.weight_quantized", [40, 8]);
            const ids = b.input("ids", ["n"], "int64");
            const scale = b.float("scale", 0.1);
            const y = whole
              ? b.op("y", "Gather", [b.op("d", "DequantizeLinear", [t, scale]), ids])
              : b.op("y", "DequantizeLinear", [b.op("g", "Gather", [t, ids]), scale]);
            b.output(y);
          }),
        ),
      );
    expect(table(false)).toMatchObject([
      {
        name: "words",
        kind: "embedding",
        shape: [40, 8],
        runs: "stored",
        reason: "rows are looked up in INT8 and scaled",
      },
    ]);
    expect(table(true)[0]?.reason).toMatch(/whole table is dequantized in each run/);
  });
});

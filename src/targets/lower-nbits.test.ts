import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, noise, type Builder } from "../../test/build.js";
import { elementsOf, runModel, snr } from "../../test/run.js";
import { PlanError, UnsupportedError } from "../errors.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { inferTypes } from "../ops/infer.js";
import { fates, lowerPlan, makePlan } from "../plan/plan-model.js";
import { quantizeBytes } from "../pipeline/bytes.js";
import { quantizedForm } from "../quant/already.js";
import { findSites } from "../quant/sites.js";
import { interpret } from "../../test/oracles/reference/interpret.js";
import { cpu } from "./cpu.js";
import type { LoweringOptions } from "./target.js";

const DEFAULTS = {
  mode: "dynamic",
  reduceRange: false,
  embeddings: true,
  outliers: false,
} as const;

function lowered(model: Model, options: Partial<LoweringOptions>): Model {
  const copy = importModel(decodeModel(bytesOf(model)));
  inferTypes(copy);
  const sites = findSites(copy);
  const plan = makePlan(sites, cpu, { ...DEFAULTS, exclude: [], ...options });
  lowerPlan(copy, sites, plan, cpu);
  inferTypes(copy);
  verify(copy);
  return copy;
}

function weight(b: Builder, name: string, dims: readonly number[], seed = 1) {
  return b.float(
    name,
    [
      ...noise(
        dims.reduce((x, y) => x * y, 1),
        seed,
      ),
    ],
    dims,
  );
}

const layer = (depth: number, columns: number) => (b: Builder) => {
  const x = b.input("x", ["batch", "length", depth]);
  const product = b.op("product", "MatMul", [x, weight(b, "layer.weight", [depth, columns])]);
  b.output(b.op("y", "Add", [weight(b, "layer.bias", [columns], 2), product]));
};

async function resultOf(model: Model, x: Tensor): Promise<Tensor> {
  const { y } = await runModel(bytesOf(model), { x });
  if (y === undefined) throw new Error("no output y");
  return y;
}

describe("a layer with packed weights", () => {
  test("is one MatMulNBits on the float activation, and its bias", () => {
    expect(print(lowered(buildModel(layer(40, 16)), { weights: "int4" }))).toMatchInlineSnapshot(`
      "opset 18, com.microsoft 1
      graph(x: float32[batch, length, 40])
        %layer.int4_out: float32[batch, length, 16] = com.microsoft.MatMulNBits(x, layer.weight_q4: uint8[16, 2, 16], layer.weight_scales: float32[32]) K=40 N=16 bits=4 block_size=32 accuracy_level=0
        %y: float32[batch, length, 16] = Add(%layer.int4_out, layer.bias: float32[16])
        return %y"
    `);
  });

  test("runs in onnxruntime as its codes say, whatever the shape", async () => {
    const shapes = fc.record({
      depth: fc.integer({ min: 16, max: 150 }),
      columns: fc.integer({ min: 16, max: 40 }),
      blockSize: fc.constantFrom(undefined, 16, 32, 64, 128),
      weightRange: fc.constantFrom("min-max", "mse"),
    });
    await fc.assert(
      fc.asyncProperty(shapes, async ({ depth, columns, ...options }) => {
        const float = buildModel(layer(depth, columns));
        const x = floats([1, 3, depth], 5);
        const expected = await resultOf(float, x);
        for (const [weights, decibels] of [
          ["int4", 12],
          ["int8-only", 30],
        ] as const) {
          const model = lowered(float, { weights, ...options });
          const got = await resultOf(model, x);
          expect(snr(expected, got)).toBeGreaterThan(decibels);
          // The specification's own arithmetic on the same codes; a kernel may round activations of 8-bit weights in between.
          const { y } = interpret(model, {
            x: { dtype: "float32", dims: x.dims, data: elementsOf(x) },
          });
          if (y === undefined) throw new Error("no output y");
          const exact = tensorOf("float32", y.dims, y.data);
          expect(snr(exact, got)).toBeGreaterThan(weights === "int4" ? 90 : 35);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("reads a transposed weight as it is stored, and the other way round: the same bytes", async () => {
    const [depth, columns] = [48, 20];
    const stored = noise(depth * columns, 1);
    const turned = stored.map(
      (_, i) => stored[(i % depth) * columns + Math.floor(i / depth)] ?? NaN,
    );
    const plain = buildModel((b) => {
      const x = b.input("x", ["rows", depth]);
      b.output(b.op("y", "MatMul", [x, b.float("w", [...stored], [depth, columns])]));
    });
    const gemm = buildModel((b) => {
      const x = b.input("x", ["rows", depth]);
      b.output(b.op("y", "Gemm", [x, b.float("w", [...turned], [columns, depth])], { transB: 1 }));
    });
    const options = { weights: "int4" } as const;
    expect(bytesOf(lowered(gemm, options))).toEqual(bytesOf(lowered(plain, options)));
  });

  test("shares one set of codes with every layer of the same weight; a table keeps INT8 rows of its own", () => {
    const model = lowered(
      buildModel((b) => {
        const table = weight(b, "words.weight", [512, 32]);
        const ids = b.input("ids", ["batch", "length"], "int64");
        const rows = b.op("rows", "Gather", [table, ids]);
        const w = weight(b, "shared.weight", [32, 32], 3);
        const again = b.op("again", "MatMul", [b.op("once", "MatMul", [rows, w]), w]);
        const turned = b.op("turned", "Transpose", [table], { perm: [1, 0] });
        b.output(b.op("logits", "MatMul", [again, turned]));
      }),
      { weights: "int4" },
    );
    const sizes = [...model.graph.initializers()].map((v) => `${v.name} ${v.dtype}`);
    expect(sizes.toSorted()).toEqual([
      "shared.weight_q4 uint8",
      "shared.weight_scales float32",
      "words.weight_int8 int8",
      "words.weight_q4 uint8",
      "words.weight_scale float32",
      "words.weight_scales float32",
    ]);
    expect(quantizedForm(model)).toBe("weight-only: com.microsoft.MatMulNBits × 3");
  });

  test("is told with its bits, its block and its kernel", () => {
    const model = buildModel(layer(40, 16));
    inferTypes(model);
    const sites = findSites(model);
    const plan = makePlan(sites, cpu, { ...DEFAULTS, exclude: [], weights: "int8-only" });
    expect([...fates(sites, plan, cpu).values()]).toEqual([
      {
        runs: "packed",
        reason: "8-bit weights in blocks of 32, float activations: kernel MatMulNBits",
      },
    ]);
  });
});

test("a plan that gives a table blocks, or blocks an activation, is refused", () => {
  const model = buildModel((b) => {
    const ids = b.input("ids", ["length"], "int64");
    const rows = b.op("rows", "Gather", [weight(b, "words.weight", [512, 16]), ids]);
    b.output(b.op("y", "MatMul", [rows, weight(b, "w", [16, 16])]));
  });
  inferTypes(model);
  const sites = findSites(model);
  const blocks = {
    dtype: "int4",
    granularity: "block-wise",
    block: 16,
    scheme: "asymmetric",
    range: "mse",
  } as const;
  const activation = { dtype: "uint8", granularity: "per-tensor", range: "dynamic" } as const;
  for (const site of sites) {
    const plan = { kind: site.kind, quantize: true, weight: blocks, activation } as const;
    expect(() => cpu.fate(site, plan)).toThrow(PlanError);
  }
});

test("ranges found beforehand do not go with float activations", () => {
  const bytes = bytesOf(buildModel(layer(32, 32)));
  expect(() => quantizeBytes(bytes, { mode: "static", weights: "int4" })).toThrow(UnsupportedError);
  expect(() => quantizeBytes(bytes, { mode: "static", weights: "int4" })).toThrow(
    /Leave --mode out, or use --weights int8/,
  );
});

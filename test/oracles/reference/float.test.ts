import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runBoth, type OneNode } from "../../against-ort.js";
import { noise } from "../../build.js";
import type { Tensor } from "../../../src/onnx/tensor.js";
import { store } from "./kernel.js";

let seed = 1;
function reals(dims: readonly number[], factor = 1): Tensor {
  const count = dims.reduce((a, b) => a * b, 1);
  return store(
    "float32",
    dims,
    Array.from(noise(count, seed++), (v) => v * factor),
  );
}

async function expectNear(spec: OneNode): Promise<void> {
  const { reference, ort } = await runBoth(spec);
  for (const [n, theirs] of ort.entries()) {
    const own = reference[n];
    expect(own?.dims).toEqual(theirs.dims);
    const a = Array.from(own?.data ?? [], Number);
    Array.from(theirs.data, Number).forEach((v, i) => {
      expect(Math.abs(v - (a[i] ?? Number.NaN))).toBeLessThanOrEqual(1e-5 * (1 + Math.abs(v)));
    });
  }
}

const float = (value: number) => ({ type: "float", value: Math.fround(value) }) as const;
const x = () => reals([2, 5, 8], 3);
const row = () => reals([8], 2);

const CASES: readonly (readonly [string, OneNode])[] = [
  ["Softmax", { op: "Softmax", inputs: [x()] }],
  ["Softmax along an axis", { op: "Softmax", inputs: [x()], attributes: { axis: 1 } }],
  [
    "Softmax before opset 13",
    { op: "Softmax", inputs: [x()], attributes: { axis: 1 }, opset: 11, irVersion: 7 },
  ],
  ["LogSoftmax", { op: "LogSoftmax", inputs: [x()], attributes: { axis: -2 } }],
  ["LayerNormalization", { op: "LayerNormalization", inputs: [x(), row(), row()], outputs: 3 }],
  [
    "LayerNormalization over two axes, without bias",
    {
      op: "LayerNormalization",
      inputs: [x(), reals([5, 8])],
      attributes: { axis: 1, epsilon: float(0.1) },
    },
  ],
  [
    "SimplifiedLayerNormalization",
    { op: "SimplifiedLayerNormalization", inputs: [x(), row()], attributes: { axis: -1 } },
  ],
  [
    "SkipLayerNormalization",
    {
      op: "com.microsoft.SkipLayerNormalization",
      inputs: [x(), x(), row(), row(), row()],
      attributes: { epsilon: float(1e-5) },
    },
  ],
  [
    "SkipSimplifiedLayerNormalization",
    {
      op: "com.microsoft.SkipSimplifiedLayerNormalization",
      inputs: [x(), x(), row()],
      attributes: { epsilon: float(1e-5) },
    },
  ],
  ["Gelu", { op: "Gelu", inputs: [x()] }],
  ["Gelu by tanh", { op: "Gelu", inputs: [x()], attributes: { approximate: "tanh" } }],
  ["com.microsoft.Gelu", { op: "com.microsoft.Gelu", inputs: [x()] }],
  ["BiasGelu", { op: "com.microsoft.BiasGelu", inputs: [x(), row()] }],
  ["FastGelu", { op: "com.microsoft.FastGelu", inputs: [x(), row()] }],
  ["QuickGelu", { op: "com.microsoft.QuickGelu", inputs: [x()] }],
  ["LeakyRelu", { op: "LeakyRelu", inputs: [x()], attributes: { alpha: float(0.2) } }],
  [
    "FusedMatMul",
    {
      op: "com.microsoft.FusedMatMul",
      inputs: [reals([2, 4, 3]), reals([2, 5, 4])],
      attributes: { transA: 1, transB: 1, alpha: float(0.5) },
    },
  ],
  [
    "Conv",
    {
      op: "Conv",
      inputs: [reals([2, 4, 7, 6]), reals([6, 2, 3, 2]), reals([6])],
      attributes: { group: 2, strides: [2, 1], pads: [1, 0, 2, 1], dilations: [1, 2] },
    },
  ],
  ["NonZero", { op: "NonZero", inputs: [store("float32", [2, 3], [0, 1, 0, -2, 0, 3])] }],
];

describe("near to onnxruntime", () => {
  test.each(CASES)("%s", async (_, spec) => {
    await expectNear(spec);
  });

  test("MatMul with vectors, batches and broadcast", async () => {
    const shapes = fc.oneof(
      fc.constantFrom(
        [[3], [3]],
        [[3], [2, 3, 4]],
        [[2, 5, 3], [3]],
        [
          [1, 2, 3],
          [4, 3, 2],
        ],
      ),
      fc.constantFrom(
        [
          [2, 1, 3, 4],
          [5, 4, 2],
        ],
        [
          [7, 4],
          [4, 1],
        ],
        [
          [1, 1],
          [1, 1],
        ],
      ),
    );
    await fc.assert(
      fc.asyncProperty(shapes, async ([a, b]) => {
        await expectNear({ op: "MatMul", inputs: [reals(a ?? []), reals(b ?? [])] });
      }),
      { numRuns: 30 },
    );
  });

  test("Gemm, turned, scaled, with every form of C", async () => {
    const cases = fc.record({
      transA: fc.boolean(),
      transB: fc.boolean(),
      c: fc.constantFrom(undefined, [], [1], [5], [3, 1], [1, 5], [3, 5]),
      alpha: fc.constantFrom(1, 0.5),
      beta: fc.constantFrom(1, 2),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ transA, transB, c, alpha, beta }) => {
        await expectNear({
          op: "Gemm",
          inputs: [
            reals(transA ? [4, 3] : [3, 4]),
            reals(transB ? [5, 4] : [4, 5]),
            ...(c === undefined ? [] : [reals(c)]),
          ],
          attributes: {
            transA: Number(transA),
            transB: Number(transB),
            alpha: float(alpha),
            beta: float(beta),
          },
        });
      }),
      { numRuns: 60 },
    );
  });
});

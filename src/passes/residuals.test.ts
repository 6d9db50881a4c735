import { expect, test } from "vitest";
import { bytesOf, buildModel, floats, type Builder } from "../../test/build.js";
import { optimizedByOrt, runModel } from "../../test/run.js";
import type { Value } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { unfuseResiduals } from "./residuals.js";

type Norm = (b: Builder, x: Value) => Value;

const layerNorm: Norm = (b, x) =>
  b.op("n", "LayerNormalization", [
    x,
    b.float("g", Array(8).fill(2)),
    b.float("s", Array(8).fill(1)),
  ]);

const spelledOut: Norm = (b, x) => {
  const centred = b.op("c", "Sub", [x, b.op("mean", "ReduceMean", [x, b.int("axes", [-1])])]);
  const square = b.op("sq", "Pow", [centred, b.float("two", 2)]);
  const variance = b.op("var", "ReduceMean", [square, b.int("axes2", [-1])]);
  const root = b.op("root", "Sqrt", [b.op("e", "Add", [variance, b.float("eps", 1e-5)])]);
  const scaled = b.op("m", "Mul", [
    b.op("d", "Div", [centred, root]),
    b.float("g", Array(8).fill(2)),
  ]);
  return b.op("n", "Add", [scaled, b.float("s", Array(8).fill(1))]);
};

const rootMeanSquare: Norm = (b, x) => {
  const square = b.op("sq", "Pow", [x, b.float("two", 2)]);
  const mean = b.op("mean", "ReduceMean", [square, b.int("axes", [-1])]);
  const root = b.op("root", "Sqrt", [b.op("e", "Add", [mean, b.float("eps", 1e-5)])]);
  const scaled = b.op("m", "Mul", [x, b.op("r", "Reciprocal", [root])]);
  return b.op("n", "Mul", [b.float("g", Array(8).fill(2)), scaled]);
};

/** norm(x + (x · w + bias)) */
function block(norm: Norm, biasDims = [8]): Model {
  return buildModel((b) => {
    const x = b.input("x", ["batch", 5, 8]);
    const w = b.graph.addInitializer("w", floats([8, 8]));
    const bias = b.graph.addInitializer("bias", floats(biasDims, 2));
    const linear = b.op("linear", "Add", [b.op("product", "MatMul", [x, w]), bias]);
    b.output(b.op("y", "Relu", [norm(b, b.op("sum", "Add", [linear, x]))]));
  });
}

async function fusedOps(model: Model): Promise<string[]> {
  const optimized = importModel(decodeModel(await optimizedByOrt(bytesOf(model))));
  return [...optimized.graph.allNodes()].map((node) => node.op);
}

test.each<[string, Norm]>([
  ["LayerNormalization", layerNorm],
  ["a spelled-out normalization", spelledOut],
  ["a root mean square normalization", rootMeanSquare],
])("the residual before %s is a Sum, bit-equal; the bias stays an Add", async (_, norm) => {
  const model = block(norm);
  const feeds = { x: floats([2, 5, 8], 3) };
  const before = await runModel(bytesOf(model), feeds, { level: "disabled" });
  expect(unfuseResiduals(model)).toBe(1);
  verify(model);
  expect([...model.graph.nodes()].slice(0, 3).map((node) => node.op)).toEqual([
    "MatMul",
    "Add",
    "Sum",
  ]);
  const after = await runModel(bytesOf(model), feeds, { level: "disabled" });
  expect(after["y"]?.data.read()).toEqual(before["y"]?.data.read());
  expect(unfuseResiduals(model)).toBe(0);
});

test("onnxruntime fuses SkipLayerNormalization before, and not after", async () => {
  const model = block(layerNorm);
  expect(await fusedOps(model)).toContain("com.microsoft.SkipLayerNormalization");
  unfuseResiduals(model);
  expect(await fusedOps(model)).toEqual(["MatMul", "Add", "Sum", "LayerNormalization", "Relu"]);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, 5, 8])
      %product: float32[batch, 5, 8] = MatMul(x, w: float32[8, 8])
      %linear: float32[batch, 5, 8] = Add(%product, [0.47368616, 0.9199489, 0.3779006, -0.5162007, -0.56598026, 0.23445845, 0.4116, 0.9446831])
      %sum: float32[batch, 5, 8] = Sum(%linear, x)
      %n: float32[batch, 5, 8] = LayerNormalization(%sum, [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
      %y: float32[batch, 5, 8] = Relu(%n)
      return %y"
  `);
});

test("a bias Add right before the normalization stays an Add, [8] or [1, 1, 8]", () => {
  for (const dims of [[8], [1, 1, 8]]) {
    const model = buildModel((b) => {
      const x = b.input("x", ["batch", 5, 8]);
      const w = b.graph.addInitializer("w", floats([8, 8]));
      const bias = b.graph.addInitializer("bias", floats(dims, 2));
      b.output(layerNorm(b, b.op("linear", "Add", [b.op("p", "MatMul", [x, w]), bias])));
    });
    expect(unfuseResiduals(model)).toBe(0);
  }
});

test("Adds that no normalization reads stay, and so do those of a model too old for Sum to broadcast", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 5, 8]);
    const sum = b.op("sum", "Add", [x, b.op("neg", "Neg", [x])]);
    const scale = b.op("scale", "Relu", [sum]);
    const shift = b.float("shift", Array(8).fill(0));
    b.output(b.op("y", "LayerNormalization", [x, b.float("g", Array(8).fill(2)), shift]), scale);
  });
  expect(unfuseResiduals(model)).toBe(0);
  const old = block(layerNorm);
  old.opsets.set("", 7);
  expect(unfuseResiduals(old)).toBe(0);
});

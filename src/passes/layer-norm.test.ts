// Spelled-out layer normalizations become one operator; what only looks like one stays.
import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, type Builder } from "../../test/build.js";
import { runModel, snr } from "../../test/run.js";
import { expectUntouched } from "../../test/untouched.js";
import type { Dim, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { verify } from "../graph/verify.js";
import { tensorOf } from "../onnx/tensor.js";
import { fuseLayerNorm } from "./layer-norm.js";

const WIDTH = 8;

interface Spelling {
  readonly opset?: number;
  /** Axes of the means. */
  readonly axis?: number;
  readonly square?: "Pow" | "Mul";
  readonly centered?: boolean;
}

function model({ opset = 18, axis = -1, square = "Pow", centered = true }: Spelling = {}): Model {
  const build = (b: Builder): void => {
    const x = b.input("x", ["batch", "length", WIDTH]);
    const axes = b.int("axes", [axis]);
    const mean = (name: string, v: Value) =>
      opset >= 18
        ? b.op(name, "ReduceMean", [v, axes])
        : b.op(name, "ReduceMean", [v], { axes: [axis] });
    const c = centered ? b.op("centered", "Sub", [x, mean("mean", x)]) : x;
    const squared =
      square === "Pow"
        ? b.op("square", "Pow", [c, b.float("two", 2)])
        : b.op("square", "Mul", [c, c]);
    const shifted = b.op("shifted", "Add", [mean("variance", squared), b.float("small", 1e-5)]);
    const normalized = b.op("normalized", "Div", [c, b.op("deviation", "Sqrt", [shifted])]);
    const scale = b.graph.addInput("scale", { dtype: "float32", shape: [WIDTH] });
    const scaled = b.op("scaled", "Mul", [normalized, scale]);
    const bias = b.graph.addInput("bias", { dtype: "float32", shape: [WIDTH] });
    b.output(centered ? b.op("y", "Add", [scaled, bias]) : scaled);
  };
  return buildModel(build, { opset });
}

const ops = ({ graph }: Model): string[] => [...graph.nodes()].map((node) => node.op);

describe("is one operator of the same function", () => {
  test.each<[Spelling, string]>([
    [{}, "LayerNormalization"],
    [{ opset: 17 }, "LayerNormalization"],
    [{ square: "Mul", axis: 2 }, "LayerNormalization"],
    [{ centered: false }, "SimplifiedLayerNormalization"],
  ])("%o", async (spelling, op) => {
    const [plain, fused] = [model(spelling), model(spelling)];
    expect(fuseLayerNorm(fused)).toBe(1);
    verify(fused.graph);
    expect(ops(fused)).toEqual([op]);
    expect(fuseLayerNorm(fused)).toBe(0);
    const feeds = {
      x: floats([2, 3, WIDTH], 5),
      scale: floats([WIDTH], 6),
      bias: floats([WIDTH], 7),
    };
    const name = plain.graph.outputs[0]?.name ?? "";
    const [want, got] = await Promise.all([plain, fused].map((m) => runModel(bytesOf(m), feeds)));
    expect(want?.[name] && got?.[name] && snr(want[name], got[name])).toBeGreaterThan(100);
  });
});

test.each<[string, Spelling]>([
  ["below operator set 17, which does not have it", { opset: 16 }],
  ["over another axis than the last", { axis: 1 }],
])("is left alone %s", (_, spelling) => {
  expect(fuseLayerNorm(model(spelling))).toBe(0);
});

interface Odd {
  readonly dims?: readonly Dim[];
  readonly dtype?: "float32" | "float64";
  /** Axes of the first mean, and of that of the squares. */
  readonly means?: readonly (readonly number[])[];
  readonly keepdims?: number;
  readonly scale?: readonly Dim[];
  readonly bias?: readonly Dim[];
  readonly epsilon?: readonly number[];
  readonly centered?: boolean;
}

/** What looks like a normalization of the last axis, but for one thing. */
function odd({
  dims = [2, 8, WIDTH],
  dtype = "float32",
  means = [[-1], [-1]],
  keepdims = 1,
  scale = [WIDTH],
  bias = [WIDTH],
  epsilon = [1e-5],
  centered = true,
}: Odd): Model {
  return buildModel((b) => {
    const { graph } = b;
    const sizes = epsilon.length === 1 ? [] : [epsilon.length];
    const mean = (name: string, v: Value, axes: readonly number[] = []) =>
      b.op(name, "ReduceMean", [v, b.int(`${name}_axes`, axes)], { keepdims });
    const x = graph.addInput("x", { dtype, shape: dims });
    const c = centered ? b.op("c", "Sub", [x, mean("mean", x, means[0])]) : x;
    const variance = mean("variance", b.op("square", "Mul", [c, c]), means[1]);
    const double = new Float64Array(epsilon);
    const small = graph.addInitializer(
      "epsilon",
      tensorOf(dtype, sizes, dtype === "float64" ? double : Float32Array.from(double)),
    );
    const shifted = b.op("shifted", "Add", [variance, small]);
    const normalized = b.op("normalized", "Div", [c, b.op("deviation", "Sqrt", [shifted])]);
    const scaled = b.op("scaled", "Mul", [
      normalized,
      graph.addInput("scale", { dtype, shape: scale }),
    ]);
    const shift = () => graph.addInput("bias", { dtype, shape: bias });
    b.output(centered ? b.op("y", "Add", [scaled, shift()]) : scaled);
  });
}

test("the model that the next tests spoil is one that is fused", () => {
  expect(fuseLayerNorm(odd({}))).toBe(1);
  expect(fuseLayerNorm(odd({ centered: false }))).toBe(1);
});

test.each<[string, Odd]>([
  ["with the variance over another axis than the mean", { means: [[-1], [1]] }],
  [
    "over two axes",
    {
      means: [
        [1, 2],
        [1, 2],
      ],
    },
  ],
  ["whose means lose their axis, and are those of columns", { dims: [8, 8], keepdims: 0 }],
  ["with a scale for each position", { scale: [8, WIDTH] }],
  ["with one scale for all", { scale: [1] }],
  ["with a vector of epsilons", { epsilon: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => i / 1e4) }],
  ["of a width that is not known", { dims: [2, 8, "width"], scale: ["width"], bias: ["width"] }],
  ["of float64, which the operator need not take", { dtype: "float64" }],
  ["as a root mean square over another axis", { centered: false, means: [[], [1]] }],
  ["as a root mean square with a scale for each position", { centered: false, scale: [8, WIDTH] }],
])("a normalization %s stays spelled out", (_, spoiled) => {
  expectUntouched(odd(spoiled), fuseLayerNorm);
});

test.each<[string, Odd]>([
  ["the mean is over another axis than the variance", { means: [[1], [-1]] }],
  ["there is a bias for each position", { bias: [8, WIDTH] }],
  ["there is one bias for all", { bias: [1] }],
])("only what is a root mean square of rows becomes one where %s", async (_, spoiled) => {
  const [plain, fused] = [odd(spoiled), odd(spoiled)];
  expect(fuseLayerNorm(fused)).toBe(1);
  verify(fused.graph);
  expect(ops(fused)).toEqual(["ReduceMean", "Sub", "SimplifiedLayerNormalization", "Add"]);
  const bias = (spoiled.bias ?? [WIDTH]).map(Number);
  const feeds = { x: floats([2, 8, WIDTH], 5), scale: floats([WIDTH], 6), bias: floats(bias, 7) };
  const [want, got] = await Promise.all([plain, fused].map((m) => runModel(bytesOf(m), feeds)));
  expect(want?.["y"] && got?.["y"] && snr(want["y"], got["y"])).toBeGreaterThan(100);
});

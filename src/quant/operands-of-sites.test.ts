// Which operands a plan gives ranges to, and which of them are probabilities.
import { describe, expect, test } from "vitest";
import { buildModel, floats, type Builder } from "../../test/build.js";
import type { Value } from "../graph/graph.js";
import { inferTypes } from "../ops/infer.js";
import { isProbability, operandOf } from "./operands.js";
import { findSites } from "./sites.js";

function isOne(build: (b: Builder, p: Value) => Value): boolean {
  let value: Value | undefined;
  buildModel((b) => {
    value = build(b, b.op("p", "Softmax", [b.input("scores", [2, 3])]));
    b.output(value);
  });
  return value !== undefined && isProbability(value);
}

describe("a value between 0 and 1, without data", () => {
  test.each<[string, (b: Builder, p: Value) => Value]>([
    ["what a Softmax makes", (_, p) => p],
    ["turned", (b, p) => b.op("t", "Transpose", [p], { perm: [1, 0] })],
    ["dropped out and cast", (b, p) => b.op("c", "Cast", [b.op("d", "Dropout", [p])], { to: 10 })],
    [
      "guarded against NaN",
      (b, p) => b.op("g", "Where", [b.op("n", "IsNaN", [p]), b.float("zero", 0), p]),
    ],
  ])("%s", (_, build) => expect(isOne(build)).toBe(true));

  test.each<[string, (b: Builder, p: Value) => Value]>([
    ["multiplied", (b, p) => b.op("m", "Mul", [p, b.float("two", 2)])],
    [
      "masked by something else",
      (b, p) => b.op("g", "Where", [b.input("mask", [3], "bool"), b.float("zero", 0), p]),
    ],
    [
      "replaced by a value of the caller where it is NaN",
      (b, p) => b.op("g", "Where", [b.op("n", "IsNaN", [p]), b.input("other", [3]), p]),
    ],
    ["an input", (b) => b.input("x", [3])],
    ["its logarithm", (b, p) => b.op("l", "Log", [p])],
  ])("not: %s", (_, build) => expect(isOne(build)).toBe(false));
});

test("the operands of each kind of site, as a plan calls them", () => {
  const model = buildModel((b) => {
    const ids = b.input("ids", ["batch", "length"], "int64");
    const rows = b.op("rows", "Gather", [b.graph.addInitializer("table", floats([9, 4])), ids]);
    const up = b.op("up", "MatMul", [rows, b.graph.addInitializer("w", floats([4, 4]))]);
    const sum = b.op("sum", "Add", [rows, up]);
    const scale = b.float("scale", [1, 2, 3, 4]);
    const norm = b.op("norm", "LayerNormalization", [sum, scale], { axis: -1 });
    const turned = b.op("turned", "Transpose", [norm], { perm: [0, 2, 1] });
    const kernel = b.graph.addInitializer("kernel", floats([2, 3, 2, 2]));
    const image = b.input("image", [1, 3, 8, 8]);
    b.output(b.op("y", "MatMul", [norm, turned]), b.op("patches", "Conv", [image, kernel]));
  });
  inferTypes(model);
  const named = findSites(model).map((site) => [
    site.kind,
    operandOf(site, "activation")?.name,
    operandOf(site, "second")?.name,
  ]);
  expect(named).toEqual([
    ["embedding", undefined, undefined],
    ["linear", "rows", undefined],
    ["residual", "rows", "up"],
    ["attention", "norm", "turned"],
    ["convolution", "image", undefined],
  ]);
});

// A layer of a Transformer as a float graph, lowered for TensorRT: what the tests of that target look at.
import { bytesOf, floats, noise, type Builder } from "./build.js";
import { importModel } from "../src/graph/import.js";
import type { Model } from "../src/graph/model.js";
import { verify } from "../src/graph/verify.js";
import { decodeModel } from "../src/onnx/reader.js";
import { tensorOf } from "../src/onnx/tensor.js";
import { inferTypes } from "../src/ops/infer.js";
import { lowerPlan, planModel } from "../src/plan/plan-model.js";
import { choose, type GivenChoices } from "../src/targets/choices.js";
import { tensorrt } from "../src/targets/tensorrt.js";

export const RANGE = { min: -3, max: 2 };

/** Lowered with the same range everywhere, and checked against its legal form; the model itself stays as it was. */
export function lowered(model: Model, given: GivenChoices = {}): Model {
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

export function matrix(b: Builder, name: string, rows: number, cols: number, seed = 1) {
  return b.float(
    name,
    [...noise(rows * cols, seed)].map((v) => v / 4),
    [rows, cols],
  );
}

/** A layer of a Transformer of width 32, two heads, with its scale behind the product and a mask, normalized after each block. */
export const layer = (b: Builder) => {
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

export const feeds = (length = 5) => ({
  x: floats([2, length, 32], 11),
  mask: tensorOf("float32", [2, 1, 1, length], new Float32Array(2 * length)),
});

import { expect, test } from "vitest";
import { buildModel, bytesOf, floats, type Builder } from "../../test/build.js";
import { numbers, runModel } from "../../test/run.js";
import { expectUntouched } from "../../test/untouched.js";
import type { Dim, Value } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { scaleBeforeProduct } from "./attention-scale.js";

const scores = (b: Builder, op: "Mul" | "Div", factor: number, turned = false) => {
  const [q, k] = [b.input("q", ["batch", "length", 4]), b.input("k", ["batch", 4, "length"])];
  const product = b.op("product", "MatMul", [q, k]);
  const s = b.float("s", factor);
  return b.op("scaled", op, turned ? [s, product] : [product, s]);
};
const feeds = { q: floats([2, 3, 4], 1), k: floats([2, 4, 3], 2), mask: floats([2, 1, 3], 3) };

test.each([
  ["Mul", 0.25, false],
  ["Mul", 0.25, true],
  ["Div", 8, false],
] as const)("%s by %d goes to the queries, to the bit", async (op, factor, turned) => {
  const model = buildModel((b) => {
    const mask = b.input("mask", ["batch", 1, "length"]);
    const masked = b.op("masked", "Add", [scores(b, op, factor, turned), mask]);
    b.output(b.op("p", "Softmax", [masked], { axis: -1 }));
  });
  const moved = importModel(decodeModel(bytesOf(model)));
  expect(scaleBeforeProduct(moved)).toBe(1);
  expect(scaleBeforeProduct(moved)).toBe(0);
  verify(moved);
  expect(print(moved)).toMatch(new RegExp(`${op}\\(q, `));
  const options = { level: "disabled" } as const;
  const [before, after] = [
    await runModel(bytesOf(model), feeds, options),
    await runModel(bytesOf(moved), feeds, options),
  ];
  const [p, other] = [before["p"], after["p"]];
  if (p === undefined || other === undefined) throw new Error("no output");
  expect(numbers(other)).toEqual(numbers(p));
});

test("stays where it is without a Softmax, divided by the product, or read elsewhere too", () => {
  const unchanged = (build: (b: Builder) => void) => {
    const model = buildModel(build);
    bytesOf(model);
    const before = print(model);
    expect(scaleBeforeProduct(model)).toBe(0);
    expect(print(model)).toBe(before);
  };
  unchanged((b) => b.output(scores(b, "Mul", 0.5)));
  unchanged((b) => b.output(b.op("p", "Softmax", [scores(b, "Div", 2, true)])));
  unchanged((b) => {
    const scaled = scores(b, "Mul", 0.5);
    b.output(b.op("p", "Softmax", [scaled]), scaled);
  });
});

/** Softmax((q · k) scaled): `scaling` makes the scaled scores of the product. */
const attention =
  (scaling: (b: Builder, product: Value) => Value, q: readonly Dim[] = ["batch", "length", 4]) =>
  (b: Builder): void => {
    const product = b.op("product", "MatMul", [
      b.input("q", q),
      b.input("k", ["batch", 4, "length"]),
    ]);
    b.output(b.op("p", "Softmax", [scaling(b, product)]));
  };
const times = (factor: (b: Builder) => Value) => (b: Builder, product: Value) =>
  b.op("scaled", "Mul", [product, factor(b)]);

test("the model that the next tests spoil is one whose scale moves", () => {
  const half = times((b) => b.float("s", 0.5));
  expect(scaleBeforeProduct(buildModel(attention(half)))).toBe(1);
});

test.each<[string, (b: Builder) => void]>([
  ["with a factor for each key", attention(times((b) => b.float("s", [1, 2, 3])))],
  ["that is not constant", attention(times((b) => b.input("s", [])))],
  [
    "that adds axes to the scores, more than the queries have",
    attention(times((b) => b.float("s", [0.5], [1, 1, 1, 1]))),
  ],
  [
    "that has more axes than the queries, which are broadcast against the keys",
    attention(
      times((b) => b.float("s", [0.5], [1, 1, 1])),
      ["length", 4],
    ),
  ],
  [
    "of scores that are read without it, too",
    attention((b, product) => {
      b.output(b.op("raw", "Neg", [product]));
      return b.op("scaled", "Mul", [product, b.float("s", 0.5)]);
    }),
  ],
  [
    "behind which scores are bent, and not masked alone",
    attention((b, product) => b.op("bent", "Tanh", [times(() => b.float("s", 0.5))(b, product)])),
  ],
  ["that is added", attention((b, product) => b.op("sum", "Add", [product, b.float("s", 0.5)]))],
  [
    "of a linear layer, which is no product of queries and keys",
    (b) => {
      const w = b.graph.addInitializer("w", floats([4, 4]));
      const product = b.op("product", "MatMul", [b.input("q", ["batch", 4]), w]);
      b.output(b.op("p", "Softmax", [times(() => b.float("s", 0.5))(b, product)]));
    },
  ],
  [
    "of a constant in front of keys",
    (b) => {
      const w = b.graph.addInitializer("w", floats([4, 4]));
      const product = b.op("product", "MatMul", [w, b.input("k", [4, "length"])]);
      b.output(b.op("p", "Softmax", [times(() => b.float("s", 0.5))(b, product)]));
    },
  ],
])("a scale %s stays", (_, build) => {
  expectUntouched(buildModel(build), scaleBeforeProduct);
});

test("a scale with as many axes as the queries moves, and the scores keep their shape", async () => {
  const build = attention(times((b) => b.float("s", [0.25], [1, 1, 1])));
  const [plain, moved] = [buildModel(build), buildModel(build)];
  bytesOf(moved);
  expect(scaleBeforeProduct(moved)).toBe(1);
  verify(moved);
  const [want, got] = await Promise.all([plain, moved].map((m) => runModel(bytesOf(m), feeds)));
  expect(got?.["p"]?.dims).toEqual([2, 3, 3]);
  expect(got?.["p"] && numbers(got["p"])).toEqual(want?.["p"] && numbers(want["p"]));
});

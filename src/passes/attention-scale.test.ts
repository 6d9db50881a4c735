import { expect, test } from "vitest";
import { buildModel, bytesOf, floats, type Builder } from "../../test/build.js";
import { numbers, runModel } from "../../test/run.js";
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

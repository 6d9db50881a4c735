// Gradients of small graphs: shared values, broadcasting, side paths, and what has no gradient.
import { expect, test } from "vitest";
import { NoGradientError } from "../errors.js";
import { exportModel } from "../graph/export.js";
import { Graph, type Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { encodeModel } from "../onnx/writer.js";
import { tensorOf } from "../onnx/tensor.js";
import { numbers, runModel, type Feeds } from "../../test/run.js";
import { differentiate } from "./differentiate.js";

function modelOf(graph: Graph): Model {
  return { graph, opsets: new Map([["", 18]]), irVersion: 8, functions: [], rest: {} };
}

function input(graph: Graph, name: string, shape: readonly (number | string)[]): Value {
  return graph.addInput(name, { dtype: "float32", shape });
}

const floats = (dims: readonly number[], ...values: number[]) =>
  tensorOf("float32", dims, Float32Array.from(values));

async function gradients(
  graph: Graph,
  loss: Value,
  wrt: readonly Value[],
  feeds: Feeds,
): Promise<number[][]> {
  const model = modelOf(graph);
  const found = differentiate(model, loss, wrt);
  for (const value of found) graph.addOutput(value);
  verify(graph);
  const results = await runModel(encodeModel(exportModel(model)), feeds);
  return graph.outputs.map(({ name }) => {
    const tensor = results[name];
    if (tensor === undefined) throw new Error(`no ${name}`);
    return numbers(tensor);
  });
}

test("gradients of a value that is read several times add up", async () => {
  const graph = new Graph();
  const x = input(graph, "x", [2]);
  const square = graph.addNode({ op: "Mul", inputs: [x, x] }).output();
  const loss = graph.addNode({ op: "Add", inputs: [square, x] }).output();
  expect(await gradients(graph, loss, [x], { x: floats([2], 3, -1) })).toEqual([[7, -1]]);
});

test("a product's weights get one Gemm over all tokens, activations a product with the weights transposed", () => {
  const graph = new Graph();
  const x = input(graph, "x", ["batch", "tokens", 2]);
  const w = input(graph, "w", [2, 3]);
  const bias = input(graph, "b", [3]);
  const product = graph.addNode({ op: "MatMul", inputs: [x, w] }).output();
  const y = graph.addNode({ op: "Add", inputs: [product, bias], outputs: ["y"] }).output();
  const model = modelOf(graph);
  const found = differentiate(model, y, [x, w, bias]);
  expect(found.map((v) => v.shape)).toEqual([["batch", "tokens", 2], [2, 3], [3]]);
  for (const value of found) graph.addOutput(value);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[batch, tokens, 2], w: float32[2, 3], b: float32[3])
      %MatMul_out: float32[batch, tokens, 3] = MatMul(x, w)
      %y: float32[batch, tokens, 3] = Add(%MatMul_out, b)
      %Shape_out: int64[3] = Shape(%y)
      %Expand_out: float32[batch, tokens, 3] = Expand(1.0, %Shape_out)
      %ReduceSum_out: float32[3] = ReduceSum(%Expand_out, [0, 1]) keepdims=0
      %FusedMatMul_out: float32[batch, tokens, 2] = com.microsoft.FusedMatMul(%Expand_out, w) transB=1
      %Flatten_out: float32[batch*tokens, 2] = Flatten(x) axis=-1
      %Flatten_out_1: float32[batch*tokens, 3] = Flatten(%Expand_out) axis=-1
      %Gemm_out: float32[2, 3] = Gemm(%Flatten_out, %Flatten_out_1) transA=1
      return %FusedMatMul_out, %Gemm_out, %ReduceSum_out"
  `);
});

test.each([
  { a: [2, 3], b: [3, 2] },
  { a: [3], b: [3, 2] },
  { a: [2, 3], b: [3] },
  { a: [3], b: [3] },
  { a: [2, 1, 2, 3], b: [2, 3, 1] },
  { a: [2, 2, 3], b: [3, 2] },
])("a product of $a and $b", async ({ a, b }) => {
  const graph = new Graph();
  const [left, right] = [input(graph, "a", a), input(graph, "b", b)];
  const y = graph.addNode({ op: "MatMul", inputs: [left, right] }).output();
  const size = (dims: readonly number[]) => dims.reduce((n, d) => n * d, 1);
  const feeds = {
    a: floats(a, ...Array.from({ length: size(a) }, (_, i) => i + 1)),
    b: floats(b, ...Array.from({ length: size(b) }, (_, i) => i - 2)),
  };
  const [da, db] = await gradients(graph, y, [left, right], feeds);
  // Linear in each: the sum of outputs is the sum of input times gradient.
  const total = async () => {
    const forward = new Graph();
    const inputs = [input(forward, "a", a), input(forward, "b", b)];
    forward.addOutput(forward.addNode({ op: "MatMul", inputs, outputs: ["y"] }).output());
    const { y: out } = await runModel(encodeModel(exportModel(modelOf(forward))), feeds);
    return out === undefined ? NaN : numbers(out).reduce((s, v) => s + v, 0);
  };
  const dot = (x: readonly number[], dx: readonly number[] = []) =>
    x.reduce((s, v, i) => s + v * (dx[i] ?? NaN), 0);
  expect([da?.length, db?.length]).toEqual([size(a), size(b)]);
  expect(dot(numbers(feeds.a), da)).toBeCloseTo(await total(), 3);
  expect(dot(numbers(feeds.b), db)).toBeCloseTo(await total(), 3);
});

test("axes that were broadcast are found at run time where shapes do not tell", async () => {
  const graph = new Graph();
  const x = input(graph, "x", ["a", "b"]);
  const y = input(graph, "y", ["c", "d"]);
  const z = graph.addNode({ op: "Add", inputs: [x, y] }).output();
  const feeds = { x: floats([1, 2], 1, 2), y: floats([3, 2], 1, 2, 3, 4, 5, 6) };
  expect(await gradients(graph, z, [x, y], feeds)).toEqual([
    [3, 3],
    [1, 1, 1, 1, 1, 1],
  ]);
});

test("what the loss does not depend on has a gradient of zeros", async () => {
  const graph = new Graph();
  const [x, y] = [input(graph, "x", [2]), input(graph, "y", ["n"])];
  const loss = graph.addNode({ op: "Add", inputs: [x, x] }).output();
  const feeds = { x: floats([2], 1, 2), y: floats([3], 1, 2, 3) };
  expect(await gradients(graph, loss, [x, y], feeds)).toEqual([
    [2, 2],
    [0, 0, 0],
  ]);
});

test("an operator without a gradient is named, and only where it stands on the way", () => {
  const graph = new Graph();
  const [x, y] = [input(graph, "x", [2]), input(graph, "y", [2])];
  const odd = graph.addNode({ op: "Det", name: "odd", inputs: [x] }).output();
  const loss = graph.addNode({ op: "Add", inputs: [odd, y] }).output();
  expect(differentiate(modelOf(graph), loss, [y])).toHaveLength(1);
  expect(() => differentiate(modelOf(graph), loss, [x])).toThrow(
    new NoGradientError("Det", "odd").message,
  );
});

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
import { buildModel, builder } from "../../test/build.js";
import { numbers, runModel, type Feeds } from "../../test/run.js";
import { inferGrowing } from "../ops/infer.js";
import { Backward } from "./backward.js";
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

test("a branch that reads what is trained is no way for a gradient; one that does not is none either, and no error", () => {
  const model = (inside: "x" | "y") =>
    buildModel((b) => {
      const [x, y] = [b.input("x", [2]), b.input("y", [2])];
      const branch = (name: string) => {
        const inner = builder(new Graph(b.graph));
        inner.output(inner.op(name, "Neg", [inside === "x" ? x : y]));
        return { type: "graph", value: inner.graph } as const;
      };
      const branches = { then_branch: branch("t"), else_branch: branch("e") };
      const chosen = b.op("chosen", "If", [b.input("condition", [], "bool")], branches);
      b.output(b.op("loss", "Mul", [x, chosen]));
    });
  const go = (inside: "x" | "y") => {
    const made = model(inside);
    const [loss] = made.graph.outputs;
    const [x] = made.graph.inputs;
    if (loss === undefined || x === undefined) throw new Error("no loss");
    return differentiate(made, loss, [x]);
  };
  expect(() => go("x")).toThrow("a gradient would have to pass through its body");
  expect(go("y")).toHaveLength(1);
});

test("a rule of the caller's own stands for that of the table, and is given the gradient of the result", async () => {
  const graph = new Graph();
  const x = input(graph, "x", [2]);
  const loss = graph.addNode({ op: "Neg", inputs: [x] }).output();
  const model = modelOf(graph);
  const rules = {
    Neg: {
      gradient: (_: unknown, [dy]: readonly (Value | undefined)[], b: Backward) => [
        dy && b.op("Mul", [dy, b.scalar(5, dy)]),
      ],
    },
  };
  for (const value of differentiate(model, loss, [x], { rules })) graph.addOutput(value);
  const results = await runModel(encodeModel(exportModel(model)), { x: floats([2], 1, 2) });
  expect(Object.values(results).map(numbers)).toEqual([[5, 5]]);
});

test("gradients go through floats alone: positions, masks and what is computed from them have none", async () => {
  const graph = new Graph();
  const x = input(graph, "x", [3]);
  const keep = graph.addNode({ op: "Less", inputs: [x, x] }).output();
  const mask = graph.addNode({ op: "Cast", inputs: [keep], attributes: { to: 1 } }).output();
  const loss = graph.addNode({ op: "Add", inputs: [mask, x] }).output();
  expect(await gradients(graph, loss, [x], { x: floats([3], 1, 2, 3) })).toEqual([[1, 1, 1]]);
});

test.each([
  { opset: 12, sum: "ReduceSum(%Expand_out) axes=[0, 1] keepdims=0" },
  { opset: 13, sum: "ReduceSum(%Expand_out, [0, 1]) keepdims=0" },
])("below operator set 13 the axes of a sum are an attribute: $opset", ({ opset, sum }) => {
  const model = buildModel(
    (b) => {
      const [x, bias] = [b.input("x", [2, 3, 4]), b.input("bias", [4])];
      b.output(b.op("loss", "Add", [x, bias]));
    },
    { opset },
  );
  const [loss] = model.graph.outputs;
  const bias = model.graph.inputs[1];
  if (loss === undefined || bias === undefined) throw new Error("no loss");
  for (const value of differentiate(model, loss, [bias])) model.graph.addOutput(value);
  expect(print(model)).toContain(sum);
  verify(model);
});

test.each([
  [12, "ReduceMean(%square) axes=[-1] keepdims=1"],
  [18, "ReduceMean(%square, [-1]) keepdims=1"],
])("a mean written by a rule in operator set %d", (opset, text) => {
  const model = buildModel(
    (b) => {
      const square = b.op("square", "Mul", [b.input("x", [2, 3]), b.input("z", [2, 3])]);
      b.output(square);
    },
    { opset },
  );
  const types = inferGrowing(model);
  const b = new Backward(model, types, {}, []);
  const [square] = model.graph.outputs;
  if (square === undefined) throw new Error("no output");
  model.graph.addOutput(b.reduce("ReduceMean", square, [-1]));
  model.graph.addOutput(b.unsqueeze(square, [0]));
  expect(print(model)).toContain(text);
  expect(print(model)).toContain(
    opset === 12 ? "Unsqueeze(%square) axes=[0]" : "Unsqueeze(%square, [0])",
  );
  verify(model);
});

test.each(["float16", "float64"] as const)("gradients of %s are of that type", (dtype) => {
  const model = buildModel((b) => {
    const x = b.graph.addInput("x", { dtype, shape: [2, 3] });
    b.output(b.op("loss", "ReduceMean", [b.op("tanh", "Tanh", [x])], { keepdims: 0 }));
  });
  const [loss] = model.graph.outputs;
  const [x] = model.graph.inputs;
  if (loss === undefined || x === undefined) throw new Error("no loss");
  const [gradient] = differentiate(model, loss, [x]);
  expect(gradient?.dtype).toBe(dtype);
  expect(gradient?.shape).toEqual([2, 3]);
  if (gradient !== undefined) model.graph.addOutput(gradient);
  verify(model);
});

test("the reason why an operator has no gradient is in the error; an unnamed node goes by its result", () => {
  const graph = new Graph();
  const x = input(graph, "x", [2]);
  const q = graph.addNode({ op: "Round", inputs: [x] }).output();
  const top = graph.addNode({ op: "TopK", inputs: [q, x], outputs: ["values", "places"] }).output();
  const model = modelOf(graph);
  expect(() => differentiate(model, top, [x])).toThrow(
    'No gradient for TopK "values": which elements it takes moves in steps',
  );
});

// Blocks that are computed again on the way back: the same gradients, and less memory once onnxruntime has optimized the graph.
import { expect, test } from "vitest";
import { exportModel } from "../graph/export.js";
import type { Node, Value } from "../graph/graph.js";
import { verify } from "../graph/verify.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { DTYPES, elementCount } from "../onnx/dtypes.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { encodeModel } from "../onnx/writer.js";
import { inferTypes } from "../ops/infer.js";
import { buildModel, floats, type Builder } from "../../test/build.js";
import { elementsOf, numbers, optimizedByOrt, runModel, type Feeds } from "../../test/run.js";
import { differentiate } from "./differentiate.js";

const LAYERS = 6;
const WIDTH = 8;
const INNER = 4 * WIDTH;

interface Deep {
  readonly model: Model;
  readonly feeds: Feeds;
  readonly gradients: readonly Value[];
}

/** Residual blocks of two products with a Tanh between, normalized before or after. */
function deep(tokens: number, recompute: boolean, norm: "before" | "after" = "after"): Deep {
  const feeds: Record<string, Feeds[string]> = { x: floats([tokens, WIDTH], 3) };
  const weights: Value[] = [];
  let loss: Value | undefined;
  const model = buildModel((b) => {
    const weight = (name: string, dims: readonly number[]) => {
      const value = b.input(name, dims);
      feeds[name] = floats(dims, weights.length + 11);
      weights.push(value);
      return value;
    };
    const normalized = (name: string, x: Value) =>
      b.op(name, "LayerNormalization", [x, weight(`${name}.scale`, [WIDTH])]);
    let h = b.op("start", "Mul", [b.input("x", [tokens, WIDTH]), weight("first", [WIDTH])]);
    for (let i = 0; i < LAYERS; i++) {
      const into = norm === "before" ? normalized(`norm${i}`, h) : h;
      const wide = b.op(`wide${i}`, "MatMul", [into, weight(`w${i}`, [WIDTH, INNER])]);
      const tanh = b.op(`tanh${i}`, "Tanh", [wide]);
      const narrow = b.op(`narrow${i}`, "MatMul", [tanh, weight(`v${i}`, [INNER, WIDTH])]);
      const sum = b.op(`sum${i}`, "Add", [narrow, h]);
      h = norm === "after" ? normalized(`norm${i}`, sum) : sum;
    }
    loss = b.op("loss", "ReduceSum", [b.op("square", "Mul", [h, h])], { keepdims: 0 });
  });
  if (loss === undefined) throw new Error("no loss");
  const gradients = differentiate(model, loss, weights, { recompute });
  for (const gradient of gradients) model.graph.addOutput(gradient);
  return { model, feeds, gradients };
}

const bytesOf = ({ model }: Deep) => encodeModel(exportModel(model));

test.each(["before", "after"] as const)(
  "gradients are the same, to the bit, where blocks normalize %s the products",
  async (norm) => {
    const [kept, again] = [deep(5, false, norm), deep(5, true, norm)];
    const [expected, found] = [
      await runModel(bytesOf(kept), kept.feeds),
      await runModel(bytesOf(again), again.feeds),
    ];
    for (const [i, gradient] of again.gradients.entries()) {
      const [want, got] = [expected[kept.gradients[i]?.name ?? ""], found[gradient.name]];
      if (want === undefined || got === undefined) throw new Error(`no ${gradient.name}`);
      expect(numbers(want).some((v) => v !== 0)).toBe(true);
      expect(elementsOf(got)).toEqual(elementsOf(want));
    }
  },
);

test("onnxruntime does not merge what is computed again with the first time", async () => {
  const count = async (recompute: boolean) => {
    const optimized = importModel(decodeModel(await optimizedByOrt(bytesOf(deep(64, recompute)))));
    return [...optimized.graph.nodes()].filter(({ op }) => op === "Tanh").length;
  };
  expect(await count(false)).toBe(LAYERS);
  // The last block is still there when its gradient is computed.
  expect(await count(true)).toBe(2 * LAYERS - 1);
});

test("in the order in which onnxruntime runs the nodes, activations of one block are alive instead of those of all", async () => {
  const peak = async (recompute: boolean) => {
    const optimized = await optimizedByOrt(bytesOf(deep(512, recompute)), { level: "basic" });
    return peakBytes(importModel(decodeModel(optimized)));
  };
  const [kept, again] = [await peak(false), await peak(true)];
  const ofOneBlock = 512 * INNER * 4;
  expect(kept).toBeGreaterThan(LAYERS * ofOneBlock);
  expect(again).toBeLessThan(kept / 2);
});

/** The most bytes of values made by nodes that are alive at a time: from where they are made to where they are read last. */
function peakBytes(model: Model): number {
  inferTypes(model);
  const nodes = [...model.graph.nodes()];
  const last = new Map<Value, number>();
  nodes.forEach((node, i) => {
    for (const input of node.inputs) if (input !== undefined) last.set(input, i);
  });
  let alive = 0;
  let most = 0;
  nodes.forEach((node, i) => {
    for (const output of node.outputs) alive += output === undefined ? 0 : sizeOf(output, node);
    most = Math.max(most, alive);
    for (const value of new Set([...node.inputs, ...node.outputs])) {
      if (value?.producer === undefined || value.isOutput) continue;
      if ((last.get(value) ?? i) === i) alive -= sizeOf(value, value.producer);
    }
  });
  return most;
}

/** A Reshape is another view of its input. */
function sizeOf({ dtype, shape }: Value, { op }: Node): number {
  if (op === "Reshape" || dtype === undefined) return 0;
  const dims = shape?.map((dim) => (typeof dim === "number" ? dim : 0)) ?? [0];
  return (elementCount(dims) * DTYPES[dtype].bits) / 8;
}

/** Two residual blocks and a third one, of which `inside` computes the middle of the first. */
function blocks(inside: (b: Builder, x: Value) => Value, recompute: boolean): readonly string[] {
  const weights: Value[] = [];
  const model = buildModel((b) => {
    const weight = (name: string) => {
      const value = b.input(name, [WIDTH, WIDTH]);
      weights.push(value);
      return value;
    };
    let h = b.op("start", "MatMul", [b.input("x", ["tokens", WIDTH]), weight("first")]);
    for (let i = 0; i < 3; i++) {
      const product = b.op(`product${i}`, "MatMul", [h, weight(`w${i}`)]);
      const middle = i === 0 ? inside(b, product) : b.op(`tanh${i}`, "Tanh", [product]);
      h = b.op(`sum${i}`, "Add", [h, b.op(`out${i}`, "MatMul", [middle, weight(`v${i}`)])]);
    }
    b.output(b.op("loss", "Mul", [h, h]));
  });
  const [loss] = model.graph.outputs;
  if (loss === undefined) throw new Error("no loss");
  for (const value of differentiate(model, loss, weights, { recompute }))
    model.graph.addOutput(value);
  verify(model);
  return [...model.graph.nodes()].map(({ op }) => op);
}

test.each<[string, number, (b: Builder, x: Value) => Value]>([
  ["an activation is computed again", 2, (b, x) => b.op("inside", "Sigmoid", [x])],
  [
    "what was drawn at random is kept, since it would be drawn anew",
    1,
    (b, x) => {
      const train = b.graph.addInitializer("train", tensorOf("bool", [], Uint8Array.of(1)));
      const inputs = [x, b.float("half", 0.5), train];
      const outputs = ["inside", "mask"];
      return b.graph.addNode({ op: "Dropout", inputs, outputs }).output();
    },
  ],
])("inside a block, %s", (_, times, inside) => {
  const counted = (ops: readonly string[]) =>
    ops.filter((op) => op === "Sigmoid" || op === "Dropout").length;
  const plain = counted(blocks(inside, false));
  expect(counted(blocks(inside, true)) - plain).toBe(times - 1);
});

import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise } from "../../build.js";
import { needsExactSums } from "../../integer-sums.js";
import { foreignGraphs, hasShared, zooGraphs } from "../../shared.js";
import { InvalidGraphError, RuntimeFailedError, UnsupportedError } from "../../../src/errors.js";
import { importModel } from "../../../src/graph/import.js";
import { Graph } from "../../../src/graph/graph.js";
import type { Model } from "../../../src/graph/model.js";
import { openModelFile } from "../../../src/onnx/files.js";
import { decodeModel } from "../../../src/onnx/reader.js";
import { tensorOf } from "../../../src/onnx/tensor.js";
import { syntheticFeeds } from "../../../src/inputs/dummy-inputs.js";
import { ortNode } from "../../../src/runtime/ort-node.js";
import type { Feeds, ModelSource, RuntimeTensor } from "../../../src/runtime/runtime.js";
import { interpret } from "./interpret.js";

const floats = (dims: number[], values: ArrayLike<number>): RuntimeTensor => ({
  dtype: "float32",
  dims,
  data: Float32Array.from(values),
});

async function ortOutputs(model: ModelSource, feeds: Feeds) {
  const session = await ortNode.load(model, { threads: 1, optimize: "disabled" });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

function expectNear(own: Record<string, RuntimeTensor>, theirs: Record<string, RuntimeTensor>) {
  expect(Object.keys(own)).toEqual(Object.keys(theirs));
  for (const [name, { dims, data }] of Object.entries(theirs)) {
    expect(own[name]?.dims).toEqual(dims);
    const values = Array.from(own[name]?.data ?? [], Number);
    const wanted = Array.from(data, Number);
    const top = Math.max(1, ...wanted.map(Math.abs));
    const worst = Math.max(...wanted.map((v, i) => Math.abs(v - (values[i] ?? Number.NaN))));
    expect(worst / top).toBeLessThan(1e-4);
  }
}

/** A linear layer in the dynamic form, as it is lowered for CPUs. */
const dynamicLinear: Model = buildModel((b) => {
  const weight = b.graph.addInitializer(
    "W",
    tensorOf(
      "int8",
      [6, 5],
      // Small enough that no CPU's sums of two products saturate.
      Int8Array.from(noise(30), (v) => v * 64),
    ),
  );
  const zero = b.graph.addInitializer("W_zero", tensorOf("int8", [], Int8Array.of(0)));
  const x = b.input("x", ["n", 6]);
  const q = b.graph.addNode({
    op: "DynamicQuantizeLinear",
    inputs: [x],
    outputs: ["xq", "x_scale", "x_zero"],
  });
  const sum = b.op("sum", "MatMulInteger", [q.output(0), weight, q.output(2), zero]);
  const real = b.op("real", "Cast", [sum], { to: 1 });
  const scale = b.op("scale", "Mul", [
    q.output(1),
    b.float(
      "W_scale",
      [1, 2, 3, 4, 5].map((v) => v / 999),
    ),
  ]);
  const scaled = b.op("scaled", "Mul", [real, scale]);
  b.output(b.op("y", "Add", [scaled, b.float("bias", [1, 2, 3, 4, 5])]));
});

describe("a graph", () => {
  test("quantized dynamically: equal to onnxruntime to the bit, inner values too", async () => {
    const feeds = { x: floats([4, 6], noise(24)) };
    const own = interpret(dynamicLinear, feeds);
    expect(own).toEqual(await ortOutputs(bytesOf(dynamicLinear), feeds));
    const inner = interpret(dynamicLinear, feeds, { values: ["x_zero", "sum"] });
    expect(inner["x_zero"]?.dtype).toBe("uint8");
    expect(inner["sum"]?.dims).toEqual([4, 5]);
  });

  test("with branches: the one that is taken is run, and reads what is around it", () => {
    const model = buildModel((b) => {
      const [x, which] = [b.input("x", [2]), b.input("which", [], "bool")];
      const branch = (op: string) => {
        const body = new Graph(b.graph);
        body.addOutput(body.addNode({ op, inputs: [x] }).output());
        return { type: "graph", value: body } as const;
      };
      const branches = { then_branch: branch("Neg"), else_branch: branch("Abs") };
      b.output(b.op("y", "If", [which], branches));
    });
    const run = (which: number) =>
      interpret(model, {
        x: floats([2], [-1, 2]),
        which: { dtype: "bool", dims: [], data: Uint8Array.of(which) },
      })["y"]?.data;
    expect(run(1)).toEqual(Float32Array.of(1, -2));
    expect(run(0)).toEqual(Float32Array.of(1, 2));
  });

  test("an operator that it does not have is an error that names it", () => {
    const model = buildModel((b) => b.output(b.op("y", "NoSuchOp", [b.input("x", [1])])));
    const run = () => interpret(model, { x: floats([1], [1]) });
    expect(run).toThrow(UnsupportedError);
    expect(run).toThrow(/NoSuchOp "y"/);
  });

  test("a missing feed and an unknown value are errors that name them", () => {
    expect(() => interpret(dynamicLinear, {})).toThrow(InvalidGraphError);
    expect(() => interpret(dynamicLinear, {})).toThrow(/"x" is not fed/);
    const feeds = { x: floats([1, 6], noise(6)) };
    expect(() => interpret(dynamicLinear, feeds, { values: ["q"] })).toThrow(/"q"/);
  });
});

describe.skipIf(!hasShared)("whole Transformers, near to onnxruntime", () => {
  test.for([...zooGraphs(), ...foreignGraphs()])("$name", async ({ name, path }, context) => {
    if (name.endsWith(".u8s8.onnx")) needsExactSums(context);
    const session = await ortNode
      .load(path, { threads: 1, optimize: "disabled" })
      .catch((error) => {
        // Some foreign graphs are damaged: not even onnxruntime loads them.
        expect(error).toBeInstanceOf(RuntimeFailedError);
        return undefined;
      });
    if (session === undefined) return;
    const file = openModelFile(path);
    try {
      const model = importModel(decodeModel(file.source), file.external);
      const feeds = syntheticFeeds(model, { batch: 2, length: 6 });
      expectNear(interpret(model, feeds), await session.run(feeds));
    } catch (error) {
      // onnxruntime takes two nodes with one output name; the format does not.
      if (!(error instanceof InvalidGraphError)) throw error;
      expect(error.detail).toContain("used twice");
    } finally {
      file.close();
      await session.release();
    }
  });
});

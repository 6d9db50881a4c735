import { describe, expect, test } from "vitest";
import { buildModel, bytesOf } from "../../test/build.js";
import { foreignGraphs, hasShared, sharedModels, zooGraphs } from "../../test/shared.js";
import { InvalidGraphError, RuntimeFailedError, UnsupportedError } from "../errors.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { openModelFile } from "../onnx/files.js";
import { decodeModel } from "../onnx/reader.js";
import { inferTypes } from "../ops/infer.js";
import { inputProfile } from "./input-use.js";
import { syntheticDims, syntheticFeeds, type FeedOptions } from "./dummy-inputs.js";
import { ortNode } from "../runtime/ort-node.js";
import type { RuntimeTensor, Session } from "../runtime/runtime.js";

const zeros = (count: number) => Array.from({ length: count }, () => 0);
const uses = (model: Model) =>
  inputProfile(model).inputs.map(({ name, use }) => ({ name, ...use }));
const numbers = (tensor: RuntimeTensor | undefined) => Array.from(tensor?.data ?? [], Number);

async function runs(model: Model, options: FeedOptions = {}): Promise<void> {
  const session = await ortNode.load(bytesOf(model), { threads: 1 });
  await session.run(syntheticFeeds(model, options));
  await session.release();
}

/** Ids into a table of 50 words, segments into one of 2, positions counted in the graph into one of `rows`. */
const embedder = (rows: number, added = 0) =>
  buildModel((b) => {
    const ids = b.input("a", ["n", "s"], "int64");
    const kinds = b.input("b", ["n", "s"], "int64");
    const keep = b.input("c", ["n", "s"], "int64");
    const words = b.op("words", "Gather", [b.float("W", zeros(100), [50, 2]), ids]);
    const wide = b.op("wide", "Cast", [kinds], { to: 7 });
    const segments = b.op("segments", "Gather", [b.float("S", zeros(4), [2, 2]), wide]);
    const size = b.op("size", "Gather", [b.op("shape", "Shape", [ids]), b.int("one", 1)]);
    const range = b.op("range", "Range", [b.int("zero", 0), size, b.int("step", 1)]);
    const places = b.op("places", "Add", [range, b.int("added", added)]);
    const table = b.float("P", zeros(2 * rows), [rows, 2]);
    const positions = b.op("positions", "Gather", [table, places]);
    const sum = b.op("sum", "Sum", [words, segments, positions]);
    const real = b.op("real", "Cast", [keep], { to: 1 });
    const mask = b.op("mask", "Unsqueeze", [real, b.int("last", [2])]);
    b.output(b.op("y", "Mul", [sum, mask]));
  });

describe("how inputs are used is read off the graph", () => {
  test("ids, segments, a mask; the table of positions bounds the length", () => {
    expect(uses(embedder(40))).toEqual([
      { name: "a", kind: "tokens", rows: 50 },
      { name: "b", kind: "segments", rows: 2 },
      { name: "c", kind: "mask" },
    ]);
    expect(inputProfile(embedder(40)).maxLength).toBe(40);
    expect(inputProfile(embedder(40, 2)).maxLength).toBe(38);
  });

  test("ids that are added to, or read from a quantized table, stay within it", () => {
    const model = buildModel((b) => {
      const ids = b.input("ids", [1, "s"], "int64");
      const table = b.float("T", zeros(20), [10, 2]);
      const scale = b.float("scale", 0.1);
      const q = b.op("q", "QuantizeLinear", [table, scale]);
      const real = b.op("dq", "DequantizeLinear", [q, scale]);
      b.output(b.op("y", "Gather", [real, b.op("i", "Add", [ids, b.int("two", 2)])]));
    });
    // The quantized table is computed here, so that its size is known by inference alone.
    inferTypes(model);
    expect(uses(model)[0]).toEqual({ name: "ids", kind: "indices", limit: 10 });
  });

  test("positions that become angles", async () => {
    const model = buildModel((b) => {
      const at = b.input("where", [1, "s"], "int64");
      const real = b.op("real", "Cast", [at], { to: 1 });
      const column = b.op("column", "Unsqueeze", [real, b.int("axis", [2])]);
      const angles = b.op("angles", "MatMul", [column, b.float("f", [1, 0.1], [1, 2])]);
      b.output(b.op("y", "Cos", [b.op("both", "Concat", [angles, angles], { axis: 2 })]));
    });
    expect(uses(model)).toEqual([{ name: "where", kind: "positions", rows: undefined }]);
    expect(numbers(syntheticFeeds(model, { length: 4 })["where"])).toEqual([0, 1, 2, 3]);
    await runs(model);
  });

  test("places in something computed stay within its size", async () => {
    const model = buildModel((b) => {
      const x = b.input("x", ["n", "s", 4]);
      const at = b.input("at", ["k"], "int64");
      b.output(b.op("y", "Gather", [b.op("z", "Neg", [x]), at], { axis: 1 }));
    });
    inferTypes(model);
    expect(uses(model)[1]).toEqual({ name: "at", kind: "indices", limit: "s" });
    await runs(model, { batch: 40, length: 3 });
  });

  test("an image takes its channels from the convolution and its size from the stride", async () => {
    const model = buildModel((b) => {
      const image = b.input("image", ["n", "channels", "height", "width"]);
      const kernel = b.float("K", zeros(2 * 3 * 4 * 4), [2, 3, 4, 4]);
      b.output(b.op("y", "Conv", [image, kernel], { strides: [4, 4] }));
    });
    expect(syntheticDims(model, { batch: 2 })).toEqual({ image: [2, 3, 56, 56] });
    await runs(model);
  });

  test.each([
    ["without a class token", 9, [2, 3, 12, 12]],
    ["with one", 10, [2, 3, 12, 12]],
    ["of no square", 7, [2, 3, 56, 56]],
  ])("an image is as large as its table of positions, %s", async (_, rows, dims) => {
    const model = buildModel((b) => {
      const image = b.input("image", ["n", "channels", "height", "width"]);
      const kernel = b.float("K", zeros(2 * 3 * 4 * 4), [2, 3, 4, 4]);
      const patches = b.op("patches", "Conv", [image, kernel], { strides: [4, 4] });
      const flat = b.op("flat", "Reshape", [patches, b.int("to", [0, 2, -1])]);
      const tokens = b.op("tokens", "Transpose", [flat], { perm: [0, 2, 1] });
      const shape = b.op(
        "shape",
        "Concat",
        [
          b.op("batch", "Shape", [image], { start: 0, end: 1 }),
          b.int("extra", [rows === 10 ? 1 : 0, 2]),
        ],
        { axis: 0 },
      );
      const extra = b.op("class", "ConstantOfShape", [shape]);
      const all = b.op("all", "Concat", [extra, tokens], { axis: 1 });
      b.output(b.op("y", "Add", [all, b.float("P", zeros(rows * 2), [1, rows, 2])]));
    });
    expect(syntheticDims(model, { batch: 2 })).toEqual({ image: dims });
    if (rows !== 7) await runs(model);
  });

  test("a sound is as long as its table of positions", async () => {
    const model = buildModel((b) => {
      const sound = b.input("sound", ["n", "features", "frames"]);
      const one = b.op("one", "Conv", [sound, b.float("K", zeros(2 * 4 * 3), [2, 4, 3])], {
        pads: [1, 1],
      });
      const two = b.op(
        "two",
        "Conv",
        [b.op("g", "Relu", [one]), b.float("L", zeros(12), [2, 2, 3])],
        { pads: [1, 1], strides: [2] },
      );
      const tokens = b.op("tokens", "Transpose", [two], { perm: [0, 2, 1] });
      b.output(b.op("y", "Add", [tokens, b.float("P", zeros(20), [10, 2])]));
    });
    expect(syntheticDims(model)).toEqual({ sound: [1, 4, 20] });
    await runs(model);
  });

  test("a token that the graph looks for ends each row, and stands nowhere else", () => {
    const model = buildModel((b) => {
      const ids = b.input("ids", ["n", "s"], "int64");
      const end = b.op("end", "Equal", [ids, b.int("eos", 3)]);
      const words = b.op("words", "Gather", [b.float("W", zeros(20), [10, 2]), ids]);
      b.output(b.op("at", "NonZero", [end]), words);
    });
    expect(uses(model)[0]).toEqual({ name: "ids", kind: "tokens", rows: 10, sought: 3 });
    const ids = numbers(syntheticFeeds(model, { batch: 3, length: 40 })["ids"]);
    expect(ids.flatMap((id, i) => (id === 3 ? [i] : []))).toEqual([39, 79, 119]);
    // One that is compared for a mask alone is no such token.
    const masked = buildModel((b) => {
      const ids = b.input("ids", ["n", "s"], "int64");
      b.output(
        b.op("pad", "Equal", [ids, b.int("p", 1)]),
        b.op("words", "Gather", [b.float("W", zeros(20), [10, 2]), ids]),
      );
    });
    expect(uses(masked)[0]).toEqual({ name: "ids", kind: "tokens", rows: 10 });
  });

  test("8-bit numbers that stand for reals cover their range", async () => {
    const model = buildModel((b) => {
      const x = b.input("x", ["n", 64], "int8");
      const w = b.input("w", [64, 2], "uint8");
      b.output(b.op("y", "MatMulInteger", [x, w]));
    });
    const { x } = syntheticFeeds(model, { batch: 8 });
    expect(Math.min(...numbers(x))).toBeLessThan(-100);
    expect(Math.max(...numbers(x))).toBeGreaterThan(100);
    await runs(model);
  });
});

describe("sizes", () => {
  test("a symbol has one size, first dims are the batch, a binding wins", () => {
    const model = buildModel((b) => {
      const x = b.input("x", ["n", "s", "d"]);
      const y = b.input("y", [2, "n", "s"]);
      b.output(b.op("a", "Neg", [x]), b.op("b", "Neg", [y]));
    });
    expect(syntheticDims(model, { batch: 3, length: 5, binding: { d: 8 } })).toEqual({
      x: [3, 5, 8],
      y: [2, 3, 5],
    });
  });

  test("fixed and nameless dims, and inputs without a shape", () => {
    const model = buildModel((b) => {
      const x = b.input("x", [1, 7]);
      const y = b.input("y", [null, null, 3]);
      const z = b.graph.addInput("z", { dtype: "float32" });
      b.output(b.op("a", "Neg", [x]), b.op("b", "Neg", [y]), b.op("c", "Neg", [z]));
    });
    expect(syntheticDims(model, { batch: 3, length: 5 })).toEqual({
      x: [1, 7],
      y: [3, 5, 3],
      z: [3, 5],
    });
  });

  test("expressions follow their names; odd names are names", () => {
    const model = buildModel((b) => {
      const outputs = [
        b.input("x", ["batch-size", "seq len"]),
        b.input("y", ["batch-size", "past"]),
        b.input("z", ["batch-size", "past + 1"]),
        b.input("w", ["batch-size", "(2*past)//3"]),
      ].map((value) => b.op(`${value.name}_out`, "Neg", [value]));
      b.output(...outputs);
    });
    expect(syntheticDims(model, { batch: 2, length: 6 })).toEqual({
      x: [2, 6],
      y: [2, 6],
      z: [2, 7],
      w: [2, 4],
    });
  });

  test("a length beyond the table of positions is cut", async () => {
    expect(syntheticDims(embedder(10), { length: 64 })["a"]).toEqual([1, 10]);
    await runs(embedder(10), { batch: 2, length: 64 });
    await runs(embedder(10, 3), { batch: 2, length: 64 });
  });

  test.each([["total"], ["past + s"]])(
    "a graph that continues earlier tokens: the mask of %s covers them too",
    async (total) => {
      const model = buildModel((b) => {
        const ids = b.input("ids", ["n", "s"], "int64");
        const past = b.input("past_keys", ["n", 2, "past", 4]);
        const keep = b.input("keep", ["n", total], "int64");
        const words = b.op("words", "Gather", [b.float("W", zeros(80), [10, 8]), ids]);
        const heads = b.op("heads", "Reshape", [words, b.int("to", [0, -1, 2, 4])]);
        const now = b.op("now", "Transpose", [heads], { perm: [0, 2, 1, 3] });
        const keys = b.op("keys", "Concat", [past, now], { axis: 2 });
        const real = b.op("real", "Cast", [keep], { to: 1 });
        const mask = b.op("mask", "Unsqueeze", [real, b.int("axes", [1, 3])]);
        b.output(b.op("y", "Mul", [keys, mask]));
      });
      expect(uses(model).map((use) => use.kind)).toEqual(["tokens", "state", "mask"]);
      expect(syntheticDims(model, { batch: 2, length: 3, past: 5 })).toEqual({
        ids: [2, 3],
        past_keys: [2, 2, 5, 4],
        keep: [2, 8],
      });
      await runs(model, { batch: 2, length: 3 });
      await runs(model, { batch: 2, length: 1, past: 9 });
    },
  );
});

describe("feeds", () => {
  test("are the same for the same seed, and others for another one", () => {
    const model = embedder(40);
    expect(syntheticFeeds(model, { seed: 7 })).toEqual(syntheticFeeds(model, { seed: 7 }));
    expect(syntheticFeeds(model, { seed: 7 })).not.toEqual(syntheticFeeds(model, { seed: 8 }));
  });

  test("ids reach the whole table and never leave it", () => {
    const ids = numbers(syntheticFeeds(embedder(1000), { batch: 40, length: 50 })["a"]);
    expect(Math.min(...ids)).toBe(0);
    expect(Math.max(...ids)).toBe(49);
  });

  test("reals are near mean 0 and deviation 1, in float16 too", () => {
    for (const dtype of ["float32", "float16", "float64"] as const) {
      const model = buildModel((b) =>
        b.output(b.op("y", "Neg", [b.input("x", [100, 100], dtype)])),
      );
      const x = syntheticFeeds(model)["x"];
      expect(x?.dtype).toBe(dtype);
      if (dtype === "float16") continue;
      const values = numbers(x);
      const mean = values.reduce((s, v) => s + v, 0) / values.length;
      const variance = values.reduce((s, v) => s + v * v, 0) / values.length;
      expect(Math.abs(mean)).toBeLessThan(0.05);
      expect(variance).toBeCloseTo(1, 1);
    }
  });

  test("inputs with a default are left out; what cannot be made up is an error that names it", () => {
    const model = buildModel((b) => {
      const words = b.graph.addInput("words", { dtype: "string", shape: ["n"] });
      b.output(b.op("y", "Identity", [words]));
    });
    expect(() => syntheticFeeds(model)).toThrow(UnsupportedError);
    expect(() => syntheticFeeds(model)).toThrow(/input "words" of type string/);
  });
});

describe.skipIf(!hasShared)("dummy inputs run in onnxruntime", () => {
  const SHAPES = [
    { batch: 2, length: 16 },
    { batch: 3, length: 24 },
  ];

  test.each([...zooGraphs(), ...sharedModels(), ...foreignGraphs()])("$name", async ({ path }) => {
    let session: Session;
    try {
      session = await ortNode.load(path, { threads: 1 });
    } catch (error) {
      // Some foreign graphs are damaged: not even onnxruntime loads them.
      expect(error).toBeInstanceOf(RuntimeFailedError);
      return;
    }
    const file = openModelFile(path);
    try {
      const model = importModel(decodeModel(file.source), file.external);
      const raw = SHAPES.map((shape) => syntheticDims(model, shape));
      inferTypes(model);
      for (const [i, shape] of SHAPES.entries()) {
        const feeds = syntheticFeeds(model, shape);
        expect(Object.keys(feeds)).toEqual(session.inputs.map((input) => input.name));
        const results = await session.run(feeds);
        expect(Object.keys(results)).toEqual(session.outputs.map((output) => output.name));
        for (const { name } of session.inputs) expect(feeds[name]?.dims).toEqual(raw[i]?.[name]);
      }
    } catch (error) {
      if (!(error instanceof InvalidGraphError)) throw error;
      // onnxruntime takes two nodes with one output name; the format does not.
      expect(error.detail).toContain("used twice");
    } finally {
      file.close();
      await session.release();
    }
  });
});

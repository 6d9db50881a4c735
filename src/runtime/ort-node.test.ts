import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { RuntimeFailedError, RuntimeMissingError } from "../errors.js";
import { exportModel } from "../graph/export.js";
import type { Model } from "../graph/model.js";
import { float32ToFloat16 } from "../onnx/float.js";
import type { ModelProto } from "../onnx/proto.js";
import { encodeModel } from "../onnx/writer.js";
import { ortNode, ortNodeOf } from "./ort-node.js";
import type { RuntimeTensor } from "./runtime.js";

const bytes = (model: Model): Uint8Array => encodeModel(exportModel(model));
const folder = mkdtempSync(join(tmpdir(), "octavo-runtime-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const twice = buildModel((b) => {
  const x = b.input("x", ["n", 2]);
  b.output(b.op("y", "Mul", [x, b.float("two", 2)]), b.op("z", "Neg", [x]));
});

const floats = (dims: number[], ...values: number[]): RuntimeTensor => ({
  dtype: "float32",
  dims,
  data: Float32Array.from(values),
});

async function failureOf(work: Promise<unknown>): Promise<RuntimeFailedError> {
  const error: unknown = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof RuntimeFailedError))
    throw new Error(`no RuntimeFailedError: ${String(error)}`);
  return error;
}

describe("without the library", () => {
  const failing = (message: string, code?: string) =>
    ortNodeOf(() => Promise.reject(Object.assign(new Error(message), code && { code })));

  test("loading a model says how to get it, and why it is not there", async () => {
    const error: unknown = await failing("Cannot find package", "ERR_MODULE_NOT_FOUND")
      .load(bytes(twice))
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RuntimeMissingError);
    expect(error).toMatchObject({ code: "runtime-missing", runtime: "onnxruntime-node" });
    expect(String(error)).toContain(
      "the package is not installed. Install it beside Octavo: npm install onnxruntime-node",
    );
  });

  test("loading a model hands on what a damaged or foreign installation says", async () => {
    const damaged = failing("libonnxruntime.so.1: cannot open shared object file\nRequire stack:");
    await expect(damaged.load(bytes(twice))).rejects.toThrow(
      "cannot be loaded: libonnxruntime.so.1: cannot open shared object file. Install it",
    );
  });
});

describe("a session", () => {
  test("tells its inputs and outputs with types and named dims", async () => {
    const session = await ortNode.load(bytes(twice), { threads: 1 });
    expect(session.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["n", 2] }]);
    expect(session.outputs.map((o) => o.name)).toEqual(["y", "z"]);
    await session.release();
  });

  test("computes all outputs, or those that are asked for", async () => {
    const session = await ortNode.load(bytes(twice), { threads: 1 });
    const feeds = { x: floats([1, 2], 1, -2), unknown: floats([1], 0) };
    const all = await session.run(feeds);
    expect(Object.keys(all)).toEqual(["y", "z"]);
    expect(all["y"]).toEqual(floats([1, 2], 2, -4));
    expect(Object.keys(await session.run(feeds, { outputs: ["z"] }))).toEqual(["z"]);
    expect(await session.run(feeds, { outputs: [] })).toEqual({});
    await session.release();
  });

  test("writes an output into the tensor that is given for it, even into the input's own", async () => {
    const session = await ortNode.load(bytes(twice), { threads: 1 });
    const x = floats([2, 2], 1, 2, 3, 4);
    const results = await session.run({ x }, { outputs: ["y"], into: { y: x } });
    expect(results["y"]).toBe(x);
    expect(Array.from(x.data as Float32Array)).toEqual([2, 4, 6, 8]);
    await session.release();
  });

  test("takes and gives every element type that Identity has", async () => {
    const tensors: RuntimeTensor[] = [
      floats([2], 1, -2),
      { dtype: "float64", dims: [1], data: Float64Array.of(0.1) },
      { dtype: "float16", dims: [2], data: float32ToFloat16(Float32Array.of(1.5, -2)) },
      { dtype: "int8", dims: [2], data: Int8Array.of(-128, 127) },
      { dtype: "uint8", dims: [2], data: Uint8Array.of(0, 255) },
      { dtype: "int16", dims: [1], data: Int16Array.of(-5) },
      { dtype: "uint16", dims: [1], data: Uint16Array.of(65535) },
      { dtype: "int32", dims: [1], data: Int32Array.of(-5) },
      { dtype: "uint32", dims: [1], data: Uint32Array.of(5) },
      { dtype: "int64", dims: [], data: BigInt64Array.of(-(2n ** 63n)) },
      { dtype: "uint64", dims: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
      { dtype: "bool", dims: [2], data: Uint8Array.of(0, 1) },
      { dtype: "float32", dims: [0, 3], data: new Float32Array(0) },
    ];
    for (const tensor of tensors) {
      const model = buildModel((b) => {
        b.output(b.op("y", "Identity", [b.input("x", tensor.dims, tensor.dtype)]));
      });
      const session = await ortNode.load(bytes(model), { threads: 1 });
      expect(session.inputs[0]?.dtype).toBe(tensor.dtype);
      expect((await session.run({ x: tensor }))["y"]).toEqual(tensor);
      await session.release();
    }
  });

  test("can be released twice, but not run after", async () => {
    const session = await ortNode.load(bytes(twice));
    await session.release();
    await session.release();
    await expect(session.run({ x: floats([1, 2], 1, 2) })).rejects.toThrow("internal: a session");
  });

  test("takes threads, spinning, optimization and further configuration", async () => {
    for (const spinning of ["always", "running", "never"] as const) {
      const session = await ortNode.load(bytes(twice), {
        threads: 2,
        spinning,
        optimize: "disabled",
        configuration: { "session.set_denormal_as_zero": "1" },
      });
      const { z } = await session.run({ x: floats([1, 2], 1, 2) });
      expect(z).toEqual(floats([1, 2], -1, -2));
      await session.release();
    }
  });

  test("writes the optimized model and a profile where it is told", async () => {
    const session = await ortNode.load(bytes(twice), {
      optimizedModelPath: join(folder, "optimized.onnx"),
      profilePrefix: join(folder, "profile"),
    });
    await session.run({ x: floats([1, 2], 1, 2) });
    await session.release();
    expect(existsSync(join(folder, "optimized.onnx"))).toBe(true);
    expect(readdirSync(folder).some((f) => /^profile.*\.json$/.test(f))).toBe(true);
  });
});

test("the version is that of the installed library", () => {
  expect(ortNode.version).toMatch(/^1\.\d+\.\d+/);
});

test("bytes with external data are loaded from memory", async () => {
  const proto: ModelProto = exportModel(twice);
  const weights = new Uint8Array(Float32Array.of(0, 3).buffer);
  const graph = proto.graph;
  if (graph === undefined) throw new Error("no graph");
  const external: ModelProto = {
    ...proto,
    graph: {
      ...graph,
      initializer: [
        {
          name: "two",
          dataType: 1,
          dims: [],
          dataLocation: 1,
          externalData: [
            { key: "location", value: "weights.bin" },
            { key: "offset", value: "4" },
            { key: "length", value: "4" },
          ],
        },
      ],
    },
  };
  const model = encodeModel(external);
  const session = await ortNode.load({ bytes: model, externalData: { "weights.bin": weights } });
  expect((await session.run({ x: floats([1, 2], 1, 2) }))["y"]).toEqual(floats([1, 2], 3, 6));
  await session.release();
  const failure = await failureOf(ortNode.load(model));
  expect(failure.detail).toContain("two");
});

describe("failures", () => {
  test("a missing file names its path", async () => {
    const failure = await failureOf(ortNode.load("/no/such/model.onnx"));
    expect(failure).toMatchObject({ stage: "load", path: "/no/such/model.onnx", node: undefined });
    expect(failure.message).toContain("File doesn't exist");
  });

  test("bytes that are no model", async () => {
    const failure = await failureOf(ortNode.load(Uint8Array.of(1, 2, 3)));
    expect(failure.detail).toBe("Failed to load model because protobuf parsing failed.");
  });

  test("an unknown operator and a wrong type name the node", async () => {
    const unknown = buildModel((b) => b.output(b.op("y", "NoSuchOp", [b.input("x", [1])])));
    const failure = await failureOf(ortNode.load(bytes(unknown)));
    expect(failure.detail).toContain("NoSuchOp");
    const wrong = buildModel((b) => {
      const inputs = [b.input("x", [1]), b.int("one", [1])];
      b.output(b.graph.addNode({ op: "Add", name: "the_sum", inputs, outputs: ["y"] }).output());
    });
    expect((await failureOf(ortNode.load(bytes(wrong)))).node).toBe("the_sum");
  });

  test("a failing run names the node", async () => {
    const model = buildModel((b) => {
      const inputs = [b.float("t", [1, 2, 3]), b.input("i", ["n"], "int64")];
      b.output(
        b.graph.addNode({ op: "Gather", name: "the pick", inputs, outputs: ["y"] }).output(),
      );
    });
    const session = await ortNode.load(bytes(model));
    const i: RuntimeTensor = { dtype: "int64", dims: [1], data: BigInt64Array.of(7n) };
    const failure = await failureOf(session.run({ i }));
    expect(failure).toMatchObject({ stage: "run", node: "the pick" });
    expect(failure.message).toContain("idx=7");
    await session.release();
  });

  test.each([
    ["a missing feed", {}, "'x' is missing"],
    ["a wrong rank", { x: floats([2], 1, 2) }, "Invalid rank"],
    [
      "a wrong type",
      { x: { dtype: "int32", dims: [1, 2], data: Int32Array.of(1, 2) } },
      "data type",
    ],
    ["too few elements", { x: floats([2, 2], 1, 2) }, "size"],
  ] as const)("%s", async (_, feeds, words) => {
    const session = await ortNode.load(bytes(twice));
    const failure = await failureOf(session.run(feeds));
    expect(failure.stage).toBe("run");
    expect(failure.detail).toContain(words);
    await session.release();
  });

  test("an output that the model does not have", async () => {
    const session = await ortNode.load(bytes(twice));
    const failure = await failureOf(session.run({ x: floats([1, 2], 1, 2) }, { outputs: ["q"] }));
    expect(failure.detail).toBe('the model has no output "q"');
    await session.release();
  });
});

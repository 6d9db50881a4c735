import { describe, expect, test } from "vitest";
import { buildModel, bytesOf } from "../../test/build.js";
import { RuntimeFailedError, UnsupportedError } from "../errors.js";
import { exportModel } from "../graph/export.js";
import { importModel } from "../graph/import.js";
import { float32ToFloat16 } from "../onnx/float.js";
import { decodeModel } from "../onnx/reader.js";
import { encodeModel } from "../onnx/writer.js";
import { ortWeb } from "./ort-web.js";
import type { RuntimeTensor } from "./runtime.js";

const web = await ortWeb();

const twice = bytesOf(
  buildModel((b) => {
    const x = b.input("x", ["n", 2]);
    b.output(b.op("y", "Mul", [x, b.float("two", 2)]), b.op("z", "Neg", [x]));
  }),
);

const floats = (dims: number[], ...values: number[]): RuntimeTensor => ({
  dtype: "float32",
  dims,
  data: Float32Array.from(values),
});

test("is onnxruntime-web, of the version that is installed", () => {
  expect(web.name).toBe("onnxruntime-web");
  expect(web.version).toMatch(/^\d+\.\d+\.\d+/);
});

describe("a session", () => {
  test("tells its inputs and outputs with types and named dims", async () => {
    const session = await web.load(twice, { threads: 1 });
    expect(session.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["n", 2] }]);
    expect(session.outputs.map((o) => o.name)).toEqual(["y", "z"]);
    await session.release();
    await session.release();
    await expect(session.run({})).rejects.toThrow("after its release");
  });

  test("computes all outputs, or those that are asked for, and leaves feeds alone that it lacks", async () => {
    const session = await web.load(twice, { threads: 1 });
    const feeds = { x: floats([1, 2], 1, -2), unknown: floats([1], 0) };
    expect(await session.run(feeds)).toEqual({
      y: floats([1, 2], 2, -4),
      z: floats([1, 2], -1, 2),
    });
    expect(Object.keys(await session.run(feeds, { outputs: ["z"] }))).toEqual(["z"]);
    expect(await session.run(feeds, { outputs: [] })).toEqual({});
    await session.release();
  });

  test("writes an output into the tensor that is given for it, even into the input's own", async () => {
    const session = await web.load(twice, { threads: 1 });
    const x = floats([2, 2], 1, 2, 3, 4);
    const results = await session.run({ x }, { outputs: ["y"], into: { y: x } });
    expect(results["y"]).toBe(x);
    expect(Array.from(x.data as Float32Array)).toEqual([2, 4, 6, 8]);
    const wrong = session.run({ x }, { outputs: ["y"], into: { y: floats([1], 0) } });
    await expect(wrong).rejects.toThrow(/"y" is float32 \[2, 2\], .* float32 \[1\]/);
    await session.release();
  });

  test.each<RuntimeTensor>([
    { dtype: "float16", dims: [2], data: float32ToFloat16(Float32Array.of(1.5, -2)) },
    { dtype: "int8", dims: [2], data: Int8Array.of(-128, 127) },
    { dtype: "uint8", dims: [2], data: Uint8Array.of(0, 255) },
    { dtype: "int32", dims: [1], data: Int32Array.of(-5) },
    { dtype: "int64", dims: [], data: BigInt64Array.of(-(2n ** 63n)) },
    { dtype: "bool", dims: [2], data: Uint8Array.of(1, 0) },
  ])("takes and gives $dtype", async (x) => {
    const model = buildModel((b) =>
      b.output(b.op("y", "Identity", [b.input("x", x.dims, x.dtype)])),
    );
    const session = await web.load(bytesOf(model), { threads: 1 });
    expect((await session.run({ x }))["y"]).toEqual(x);
    await session.release();
  });

  test("reads tensors that lie in other files from memory", async () => {
    const proto = exportModel(importModel(decodeModel(twice)));
    const two = {
      name: "two",
      dataType: 1,
      dims: [],
      dataLocation: 1,
      externalData: [{ key: "location", value: "two.bin" }],
    };
    const bytes = encodeModel({ ...proto, graph: { ...proto.graph, initializer: [two] } });
    const data = new Uint8Array(Float32Array.of(3).buffer);
    const session = await web.load({ bytes, externalData: { "two.bin": data } }, { threads: 1 });
    const feeds = { x: floats([1, 2], 1, -2) };
    expect((await session.run(feeds))["y"]).toEqual(floats([1, 2], 3, -6));
    await session.release();
  });
});

describe("is refused with what to do", () => {
  test("where the package is not installed", async () => {
    const name = "onnxruntime-web-that-is-not-there";
    await expect(ortWeb(() => import(name) as never)).rejects.toThrow(
      /not installed.*npm install onnxruntime-web/,
    );
  });

  test("a model that is none, and one that fails", async () => {
    await expect(web.load(Uint8Array.of(1, 2, 3), { threads: 1 })).rejects.toThrow(
      RuntimeFailedError,
    );
    const session = await web.load(twice, { threads: 1 });
    await expect(session.run({ x: floats([1, 3], 1, 2, 3) })).rejects.toThrow(RuntimeFailedError);
    await expect(session.run({ x: floats([1, 2], 1, 2) }, { outputs: ["q"] })).rejects.toThrow(
      RuntimeFailedError,
    );
    await session.release();
  });

  test("another number of threads than the first model has, and files to write", async () => {
    await expect(web.load(twice, { threads: 2 })).rejects.toThrow(UnsupportedError);
    await expect(web.load(twice, { optimizedModelPath: "x" })).rejects.toThrow(/onnxruntime-node/);
  });
});

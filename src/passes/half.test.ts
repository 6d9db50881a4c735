import { describe, expect, test } from "vitest";
import { builder, buildModel, bytesOf, floats, noise, type Builder } from "../../test/build.js";
import { numbers, runModel, snr, type Feeds } from "../../test/run.js";
import { Graph } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { inferTypes } from "../ops/infer.js";
import { removeDead } from "./dead.js";
import { toHalf } from "./half.js";

function halved(build: (b: Builder) => void): { float: Model; half: Model } {
  const float = buildModel(build, { opset: 19, irVersion: 9 });
  const half = importModel(decodeModel(bytesOf(float)));
  inferTypes(half);
  toHalf(half);
  removeDead(half);
  verify(half);
  return { float, half };
}

async function ratio(
  { float, half }: { float: Model; half: Model },
  feeds: Feeds,
): Promise<number> {
  const [expected, got] = [
    await runModel(bytesOf(float), feeds),
    await runModel(bytesOf(half), feeds),
  ];
  return Math.min(
    ...Object.entries(expected).map(([name, tensor]) => snr(tensor, got[name] ?? floats([0]))),
  );
}

const typesOf = (model: Model, op: string) =>
  [...model.graph.allNodes()].filter((node) => node.op === op).map((node) => node.output().dtype);

test("a layer computes in FP16, its inputs and outputs stay what they are", async () => {
  const models = halved((b) => {
    const x = b.input("x", ["rows", 8]);
    const w = b.float("w", [...noise(64)], [8, 8]);
    b.output(b.op("y", "Add", [b.op("xw", "MatMul", [x, w]), b.float("bias", [...noise(8, 3)])]));
  });
  expect(print(models.half)).toMatchInlineSnapshot(`
    "opset 19, com.microsoft 1
    graph(x: float32[rows, 8])
      %Cast_out: float16[rows, 8] = Cast(x) to=10
      %xw: float16[rows, 8] = MatMul(%Cast_out, w_fp16: float16[8, 8])
      %y_before: float16[rows, 8] = Add(%xw, float16 [0.47436523, -0.8984375, -0.25268555, -0.44213867, 0.76708984, -0.27001953, -0.7265625, 0.77685547])
      %y: float32[rows, 8] = Cast(%y_before) to=1
      return %y"
  `);
  expect(await ratio(models, { x: floats([3, 8]) })).toBeGreaterThan(55);
});

test("powers, means and roots of a normalization stay in FP32, what is normalized is FP16 again", async () => {
  const models = halved((b) => {
    const x = b.op("x2", "Mul", [b.input("x", ["rows", 8]), b.float("k", 300)]);
    const axes = b.int("axes", [-1]);
    const centred = b.op("centred", "Sub", [x, b.op("mean", "ReduceMean", [x, axes])]);
    const square = b.op("square", "Pow", [centred, b.float("two", 2)]);
    const variance = b.op("variance", "ReduceMean", [square, axes]);
    const safe = b.op("safe", "Add", [variance, b.float("eps", 1e-12)]);
    const normal = b.op("normal", "Div", [centred, b.op("root", "Sqrt", [safe])]);
    b.output(b.op("y", "Mul", [normal, b.float("gamma", [...noise(8)])]));
  });
  for (const op of ["Pow", "ReduceMean", "Sqrt", "Sub", "Div"])
    expect(new Set(typesOf(models.half, op))).toEqual(new Set(["float32"]));
  expect(typesOf(models.half, "Mul")).toEqual(["float16", "float16"]);
  expect(await ratio(models, { x: floats([3, 8]) })).toBeGreaterThan(50);
});

describe("constants", () => {
  const kept = (value: number) => {
    const { half } = halved((b) =>
      b.output(b.op("y", "Mul", [b.input("x", ["n"]), b.float("c", value)])),
    );
    const tensor = half.graph.value("c_fp16")?.tensor;
    return tensor && numbers(tensor)[0];
  };
  test("beyond the range of FP16 stay finite, with room for a sum of two", () => {
    expect(kept(-3.4028234663852886e38)).toBe(kept(-32752));
    expect(kept(32000)).not.toBe(kept(31000));
  });
  test("infinities mean what they mean", () => expect(kept(-Infinity)).toBe(0xfc00));
  test("do not become 0 where they divide", () => expect(kept(1e-12)).toBe(1));
});

test("rows that are masked, even as a whole, stay finite", async () => {
  const models = halved((b) => {
    const keep = b.op("keep", "Cast", [b.input("mask", ["rows", 4], "int64")], { to: 1 });
    const gone = b.op("gone", "Sub", [b.float("one", 1), keep]);
    const fill = b.op("fill", "Mul", [gone, b.float("lowest", -3.4028234663852886e38)]);
    const scores = b.op("scores", "Add", [b.input("x", ["rows", 4]), fill]);
    b.output(b.op("p", "Softmax", [scores], { axis: -1 }));
  });
  const mask = tensorOf("int64", [2, 4], BigInt64Array.of(1n, 1n, 0n, 0n, 0n, 0n, 0n, 0n));
  const { p } = await runModel(bytesOf(models.half), { x: floats([2, 4]), mask });
  const values = p === undefined ? [] : numbers(p);
  expect(values).toHaveLength(8);
  expect(values.every(Number.isFinite)).toBe(true);
  expect(values.slice(2, 4)).toEqual([0, 0]);
});

test("angles and what is computed for them stay in FP32: positions have many digits", async () => {
  const models = halved((b) => {
    const places = b.op("places", "Cast", [b.input("at", ["n", 1], "int64")], { to: 1 });
    const angles = b.op("angles", "MatMul", [places, b.float("speed", [1, 0.1], [1, 2])]);
    b.output(b.op("y", "Mul", [b.op("cos", "Cos", [angles]), b.input("x", ["n", 2])]));
  });
  expect(typesOf(models.half, "MatMul")).toEqual(["float32"]);
  const at = tensorOf("int64", [3, 1], BigInt64Array.of(3n, 1000n, 4001n));
  expect(await ratio(models, { at, x: floats([3, 2]) })).toBeGreaterThan(50);
});

test("bodies of If hand on FP32, and read what is FP16 around them", async () => {
  const models = halved((b) => {
    const x = b.op("x3", "Mul", [b.input("x", ["n"]), b.float("three", 3)]);
    const branch = (name: string, op: string) => {
      const inner = builder(new Graph(b.graph));
      inner.graph.name = name;
      inner.output(inner.op(name, op, [x]));
      return { type: "graph", value: inner.graph } as const;
    };
    const condition = b.input("condition", [], "bool");
    const branches = { then_branch: branch("t", "Neg"), else_branch: branch("e", "Ceil") };
    b.output(b.op("y", "Relu", [b.op("either", "If", [condition], branches)]));
  });
  expect(typesOf(models.half, "Neg")).toEqual(["float16"]);
  expect(typesOf(models.half, "If")).toEqual(["float32"]);
  expect(typesOf(models.half, "Relu")).toEqual(["float16"]);
  const condition = tensorOf("bool", [], Uint8Array.of(1));
  expect(await ratio(models, { condition, x: floats([5]) })).toBeGreaterThan(55);
});

test("what a place is computed from keeps FP32, where an operator leaves an input out, too", () => {
  const { half } = halved((b) => {
    const place = b.op("place", "Mul", [b.input("x", ["n"]), b.float("step", 3.3)]);
    const bounded = b.op("bounded", "Clip", [place, undefined, b.float("most", 100)]);
    b.output(b.op("y", "Floor", [bounded]));
  });
  expect(typesOf(half, "Clip")).toEqual(["float32"]);
  expect(typesOf(half, "Mul")).toEqual(["float32"]);
});

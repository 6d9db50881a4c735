import { expect, test } from "vitest";
import { bytesOf, buildModel, floats, noise } from "../../test/build.js";
import { runModel } from "../../test/run.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { floatsOf } from "../onnx/values.js";
import { tensorOf } from "../onnx/tensor.js";
import { removeDead } from "./dead.js";
import { foldConstants } from "./fold.js";

test("what depends on constants alone is computed, through as many steps as it takes", async () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 4]);
    const two = b.float("two", 2);
    const root = b.op("root", "Sqrt", [two]);
    const bias = b.op("bias", "Add", [b.float("b0", [1, 2, 3, 4]), root]);
    b.output(b.op("y", "Add", [b.op("d", "Div", [x, root]), bias]));
  });
  const feeds = { x: floats([3, 4]) };
  const before = await runModel(bytesOf(model), feeds);
  expect(foldConstants(model)).toBe(2);
  removeDead(model);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, 4])
      %d: float32[batch, 4] = Div(x, 1.4142135)
      %y: float32[batch, 4] = Add(%d, [2.4142137, 3.4142137, 4.4142137, 5.4142137])
      return %y"
  `);
  const after = await runModel(bytesOf(model), feeds);
  expect(after["y"]?.data.read()).toEqual(before["y"]?.data.read());
  expect(foldConstants(model)).toBe(0);
});

test("Shape of a value is constant where the asked dims are known", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 3, 4]);
    b.output(
      b.op("y", "Add", [
        b.op("known", "Shape", [x], { start: 1 }),
        b.op("unknown", "Shape", [x], { end: 2 }),
      ]),
    );
  });
  expect(foldConstants(model)).toBe(1);
  expect(model.graph.value("known")?.tensor?.dims).toEqual([2]);
});

test("a small description of a large tensor stays one", () => {
  const model = buildModel((b) => {
    const big = b.op("big", "Expand", [b.float("one", 1), b.int("shape", [1000, 1000])]);
    const range = b.op("range", "Range", [b.int("from", 0), b.int("to", 1e6), b.int("step", 1)]);
    const full = b.op("full", "ConstantOfShape", [b.int("shape2", [1000, 1000])]);
    for (const value of [big, range, full]) b.output(b.op(`${value.name}_read`, "Neg", [value]));
  });
  expect(foldConstants(model)).toBe(0);
});

test("a large weight is transposed where that frees it, and not where others read it", () => {
  const values = [...noise(200 * 300)];
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 300]);
    const alone = b.float("alone", values, [200, 300]);
    const tied = b.float("tied", values, [200, 300]);
    const a = b.op("a", "MatMul", [x, b.op("at", "Transpose", [alone])]);
    const c = b.op("c", "MatMul", [x, b.op("ct", "Transpose", [tied])]);
    const rows = b.op("rows", "Gather", [tied, b.input("ids", ["n"], "int64")]);
    b.output(a, c, rows);
  });
  expect(foldConstants(model)).toBe(1);
  removeDead(model);
  verify(model);
  expect([...model.graph.initializers()].map((v) => v.name)).toEqual(["tied", "at"]);
  const folded = model.graph.value("at")?.tensor;
  expect(folded?.dims).toEqual([300, 200]);
  expect(folded && floatsOf(folded)[1]).toBe(Math.fround(values[300] ?? 0));
});

test("integer weights stay integers", () => {
  const model = buildModel((b) => {
    const q = b.graph.addInitializer("q", tensorOf("int8", [2], Int8Array.of(1, 2)));
    const w = b.op("w", "DequantizeLinear", [q, b.float("scale", 0.5)]);
    b.output(b.op("y", "Add", [b.input("x", [2]), w]));
  });
  expect(foldConstants(model)).toBe(0);
});

test("random numbers, and outputs of the graph, stay", () => {
  const model = buildModel((b) => {
    b.output(b.op("y", "Neg", [b.float("c", [1, 2])]));
    b.output(b.op("z", "Relu", [b.op("r", "RandomNormalLike", [b.float("d", [1, 2])])]));
  });
  expect(foldConstants(model)).toBe(0);
});

test("many small folds cannot make the model large", () => {
  const model = buildModel((b) => {
    const x = b.input("x", [16384]);
    const shape = b.int("shape", [16384]);
    let y = x;
    for (let i = 0; i < 500; i++) {
      const c = b.op(`c${i}`, "Expand", [b.float(`s${i}`, i), shape]);
      y = b.op(`y${i}`, "Add", [y, c]);
    }
    b.output(y);
  });
  foldConstants(model);
  let bytes = 0;
  for (const { tensor } of model.graph.initializers()) bytes += tensor?.data.byteLength ?? 0;
  expect(bytes).toBeLessThan(9e6);
});

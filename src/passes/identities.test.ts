import { expect, test } from "vitest";
import { bytesOf, buildModel, floats, type Builder } from "../../test/build.js";
import { runModel } from "../../test/run.js";
import type { Value } from "../graph/graph.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { tensorOf } from "../onnx/tensor.js";
import { removeIdentities } from "./identities.js";

/** x → what `make` builds → Relu → y. */
function around(make: (b: Builder, x: Value) => Value, opset = 18) {
  return buildModel(
    (b) => {
      const x = b.input("x", ["batch", 3, 4]);
      b.output(b.op("y", "Relu", [make(b, x)]));
    },
    { opset },
  );
}

const minusZero = (b: Builder) =>
  b.graph.addInitializer("mz", tensorOf("float32", [], Float32Array.of(-0)));

test.each<[string, (b: Builder, x: Value) => Value, number?]>([
  ["Identity", (b, x) => b.op("v", "Identity", [x])],
  ["Dropout", (b, x) => b.op("v", "Dropout", [x, b.float("p", 0.1)])],
  ["an old Dropout", (b, x) => b.op("v", "Dropout", [x]), 10],
  ["Cast to its own type", (b, x) => b.op("v", "Cast", [x], { to: 1 })],
  ["CastLike of its own type", (b, x) => b.op("v", "CastLike", [x, b.float("like", [1])])],
  ["Reshape to its own shape", (b, x) => b.op("v", "Reshape", [x, b.int("s", [0, 3, 4])])],
  [
    "Reshape to its own computed shape",
    (b, x) => b.op("v", "Reshape", [x, b.op("s", "Shape", [x])]),
  ],
  ["Expand to its own shape", (b, x) => b.op("v", "Expand", [x, b.int("s", [1, 3, 1])])],
  ["Transpose that keeps order", (b, x) => b.op("v", "Transpose", [x], { perm: [0, 1, 2] })],
  [
    "Slice of all",
    (b, x) => b.op("v", "Slice", [x, b.int("from", [0]), b.int("to", [1000]), b.int("axes", [1])]),
  ],
  [
    "Slice of all, forward step by step",
    (b, x) =>
      b.op("v", "Slice", [
        x,
        b.int("from", [0]),
        b.int("to", [1000]),
        b.int("axes", [1]),
        b.int("steps", [1]),
      ]),
  ],
  [
    "an old Slice of all",
    (b, x) => b.op("v", "Slice", [x], { starts: [0], ends: [9], axes: [1] }),
    9,
  ],
  ["an old Pad by nothing", (b, x) => b.op("v", "Pad", [x], { pads: [0, 0, 0, 0, 0, 0] }), 10],
  [
    "Dropout whose training is switched off",
    (b, x) =>
      b.op("v", "Dropout", [
        x,
        b.float("p", 0.1),
        b.graph.addInitializer("training", tensorOf("bool", [], Uint8Array.of(0))),
      ]),
  ],
  ["Max of one", (b, x) => b.op("v", "Max", [x])],
  ["Min of one", (b, x) => b.op("v", "Min", [x])],
  ["Mean of one", (b, x) => b.op("v", "Mean", [x])],
  ["Tile once", (b, x) => b.op("v", "Tile", [x, b.int("n", [1, 1, 1])])],
  ["Pad by nothing", (b, x) => b.op("v", "Pad", [x, b.int("n", [0, 0, 0, 0, 0, 0])])],
  ["Concat of one", (b, x) => b.op("v", "Concat", [x], { axis: 0 })],
  ["Sum of one", (b, x) => b.op("v", "Sum", [x])],
  ["Mul by 1", (b, x) => b.op("v", "Mul", [b.float("one", [1]), x])],
  ["Div by 1", (b, x) => b.op("v", "Div", [x, b.float("one", 1)])],
  ["Pow of 1", (b, x) => b.op("v", "Pow", [x, b.float("one", 1)])],
  ["Sub of 0", (b, x) => b.op("v", "Sub", [x, b.float("zero", 0)])],
  ["Add of -0", (b, x) => b.op("v", "Add", [x, minusZero(b)])],
])("%s goes", async (_, make, opset) => {
  const model = around(make, opset);
  const feeds = { x: floats([2, 3, 4]) };
  const before = await runModel(bytesOf(model), feeds);
  expect(removeIdentities(model)).toBe(1);
  verify(model);
  expect(model.graph.last?.input(0)?.name).toBe("x");
  expect(removeIdentities(model)).toBe(0);
  const after = await runModel(bytesOf(model), feeds);
  expect(after["y"]?.data.read()).toEqual(before["y"]?.data.read());
});

test.each<[string, (b: Builder, x: Value) => Value]>([
  ["Cast to another type", (b, x) => b.op("v", "Cast", [x], { to: 11 })],
  ["Reshape to an unknown shape", (b, x) => b.op("v", "Reshape", [x, b.input("s", [3], "int64")])],
  ["Reshape to another shape", (b, x) => b.op("v", "Reshape", [x, b.int("s", [0, 4, 3])])],
  ["Expand that may broadcast", (b, x) => b.op("v", "Expand", [x, b.int("s", [2, 1, 1])])],
  ["Transpose of equal dims", (b, x) => b.op("v", "Transpose", [x], { perm: [1, 0, 2] })],
  [
    "Slice backwards",
    (b, x) =>
      b.op("v", "Slice", [
        x,
        b.int("from", [-1]),
        b.int("to", [-1000]),
        b.int("axes", [1]),
        b.int("steps", [-1]),
      ]),
  ],
  ["Mul that adds a dim", (b, x) => b.op("v", "Mul", [x, b.float("one", [1], [1, 1, 1, 1])])],
  ["Mul by a vector of ones", (b, x) => b.op("v", "Mul", [x, b.float("one", [1, 1, 1, 1])])],
  ["Add of a vector of zeros", (b, x) => b.op("v", "Add", [x, b.float("zero", [0, 0, 0, 0])])],
  ["Add of 0, which would keep -0", (b, x) => b.op("v", "Add", [x, b.float("zero", 0)])],
  ["Sub of -0, which makes 0 of -0", (b, x) => b.op("v", "Sub", [x, minusZero(b)])],
  ["Sub from 0", (b, x) => b.op("v", "Sub", [b.float("zero", 0), x])],
  ["Pow of 2", (b, x) => b.op("v", "Pow", [x, b.float("two", 2)])],
  ["Pow of 1 to x", (b, x) => b.op("v", "Pow", [b.float("one", 1), x])],
  ["Pad by something", (b, x) => b.op("v", "Pad", [x, b.int("n", [0, 0, 0, 0, 0, 1])])],
  ["Concat with itself", (b, x) => b.op("v", "Concat", [x, x], { axis: 0 })],
  ["Max of two", (b, x) => b.op("v", "Max", [x, b.float("one", 1)])],
  ["CastLike of another type", (b, x) => b.op("v", "CastLike", [x, b.int("like", 1)])],
  ["Transpose that turns all axes", (b, x) => b.op("v", "Transpose", [x])],
  [
    "Slice of a part",
    (b, x) => b.op("v", "Slice", [x, b.int("from", [1]), b.int("to", [1000]), b.int("axes", [1])]),
  ],
  [
    "Slice of which nobody knows the steps",
    (b, x) =>
      b.op("v", "Slice", [
        x,
        b.int("from", [0]),
        b.int("to", [1]),
        b.int("axes", [0]),
        b.input("steps", [1], "int64"),
      ]),
  ],
  [
    "Mul by a default that the caller may replace",
    (b, x) => {
      const one = b.input("one", []);
      one.tensor = tensorOf("float32", [], Float32Array.of(1));
      return b.op("v", "Mul", [x, one]);
    },
  ],
  ["Div of 1", (b, x) => b.op("v", "Div", [b.float("one", 1), x])],
  [
    "Dropout in training",
    (b, x) => b.op("v", "Dropout", [x, b.float("p", 0.1), b.input("training", [], "bool")]),
  ],
])("%s stays", (_, make) => {
  const model = around(make);
  expect(removeIdentities(model)).toBe(0);
});

test("names of outputs stay, and an input becomes an output through an Identity only", () => {
  const model = buildModel((b) => {
    const x = b.input("x", [4]);
    const same = b.op("same", "Identity", [x]);
    const neg = b.op("neg", "Neg", [same]);
    b.output(same, b.op("y", "Identity", [neg]), b.op("z", "Identity", [neg]));
  });
  expect(removeIdentities(model)).toBe(2);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[4])
      %same: float32[4] = Identity(x)
      %y: float32[4] = Neg(x)
      %z: float32[4] = Identity(%y)
      return %same, %y, %z"
  `);
  expect(removeIdentities(model)).toBe(0);
});

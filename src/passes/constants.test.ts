import { expect, test } from "vitest";
import { builder, buildModel } from "../../test/build.js";
import { Graph } from "../graph/graph.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { float32Tensor } from "../onnx/tensor.js";
import { hoistConstants } from "./constants.js";

const utf8 = new TextEncoder();

test("every kind of Constant becomes an initializer of the same name", () => {
  const model = buildModel((b) => {
    const kinds = {
      value: { type: "tensor", value: float32Tensor([1, 2]) },
      value_float: { type: "float", value: 0.5 },
      value_floats: { type: "floats", value: [0.5, 1] },
      value_int: { type: "int", value: 7n },
      value_ints: { type: "ints", value: [-1, 2n ** 60n] },
      value_string: { type: "string", value: utf8.encode("a") },
      value_strings: { type: "strings", value: [utf8.encode("a"), utf8.encode("b")] },
    } as const;
    for (const [name, attribute] of Object.entries(kinds))
      b.output(
        b.op(`${name}_read`, "Identity", [b.op(name, "Constant", [], { [name]: attribute })]),
      );
  });
  expect(hoistConstants(model)).toBe(7);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph()
      %value_read = Identity([1.0, 2.0])
      %value_float_read = Identity(0.5)
      %value_floats_read = Identity([0.5, 1.0])
      %value_int_read = Identity(7)
      %value_ints_read = Identity([-1, 1152921504606846976])
      %value_string_read = Identity("a")
      %value_strings_read = Identity(["a", "b"])
      return %value_read, %value_float_read, %value_floats_read, %value_int_read, %value_ints_read, %value_string_read, %value_strings_read"
  `);
  expect(hoistConstants(model)).toBe(0);
});

test("constants inside subgraphs become initializers of the subgraph", () => {
  const model = buildModel((b) => {
    const branch = (name: string) => {
      const inner = builder(new Graph(b.graph));
      const one = inner.op(`${name}_one`, "Constant", [], { value_int: 1 });
      inner.output(inner.op(name, "Neg", [one]));
      return { type: "graph", value: inner.graph } as const;
    };
    const condition = b.input("condition", [], "bool");
    b.output(b.op("y", "If", [condition], { then_branch: branch("t"), else_branch: branch("e") }));
  });
  expect(hoistConstants(model)).toBe(2);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(condition: bool[])
      %y = If(condition)
        then_branch = graph()
          %t = Neg(1)
          return %t
        else_branch = graph()
          %e = Neg(1)
          return %e
      return %y"
  `);
});

test("a Constant that is an output of the graph stays a node", () => {
  const model = buildModel((b) => b.output(b.op("y", "Constant", [], { value_int: 1 })));
  expect(hoistConstants(model)).toBe(0);
});

/** A model whose initializers c, d, … are inputs too where `overridable` says so. */
function withDefaults(irVersion: number, overridable: readonly boolean[]) {
  return buildModel(
    (b) => {
      let x = b.input("x", [2]);
      overridable.forEach((isInput, i) => {
        const name = "cdef"[i] ?? "";
        const value = isInput ? b.input(name, [2]) : b.float(name, [1, 2]);
        if (isInput) value.tensor = float32Tensor([3, 4]);
        x = b.op(`y${i}`, "Add", [x, value]);
      });
      b.output(x);
    },
    { irVersion },
  );
}

test("before IR version 4 all inputs with a default are weights, and the model is lifted", () => {
  const model = withDefaults(3, [true, true]);
  expect(hoistConstants(model)).toBe(3);
  expect(model.irVersion).toBe(4);
  expect(model.graph.inputs.map((v) => v.name)).toEqual(["x"]);
  expect(model.graph.value("c")?.isConstant).toBe(true);
});

test("later they are weights where the export lists every initializer as an input", () => {
  const model = withDefaults(8, [true, true]);
  expect(hoistConstants(model)).toBe(2);
  expect(model.graph.inputs.map((v) => v.name)).toEqual(["x"]);
});

test("an optional input beside plain initializers stays an input", () => {
  const model = withDefaults(8, [true, false]);
  expect(hoistConstants(model)).toBe(0);
  expect(model.graph.inputs.map((v) => v.name)).toEqual(["x", "c"]);
});

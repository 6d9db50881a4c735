import { expect, test } from "vitest";
import { buildModel, builder, noise } from "../../test/build.js";
import { Graph } from "../graph/graph.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { lazyTensor, tensorOf } from "../onnx/tensor.js";
import { dedupe } from "./dedupe.js";

test("equal initializers become one, the first", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 2]);
    const w = [1, 2, 3, 4];
    const a = b.op("a", "MatMul", [x, b.float("w1", w, [2, 2])]);
    const c = b.op("c", "MatMul", [a, b.float("w2", w, [2, 2])]);
    const d = b.op("d", "Reshape", [c, b.int("s1", [-1, 2])]);
    b.output(b.op("y", "Reshape", [d, b.int("s2", [-1, 2])]));
  });
  expect(dedupe(model)).toBe(2);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, 2])
      %a = MatMul(x, [[1.0, 2.0], [3.0, 4.0]])
      %c = MatMul(%a, [[1.0, 2.0], [3.0, 4.0]])
      %d = Reshape(%c, [-1, 2])
      %y = Reshape(%d, [-1, 2])
      return %y"
  `);
  expect(dedupe(model)).toBe(0);
});

test("type, dims and every byte must be equal", () => {
  const model = buildModel((b) => {
    const big = [...noise(4000)];
    b.float("a", big);
    b.float("last", big.with(3999, 5));
    b.float("first", big.with(0, 5));
    b.float("dims", big, [40, 100]);
    b.int("int", 0);
    b.float("float", 0, [1]);
    b.graph.addInitializer("int32", tensorOf("int32", [1], Int32Array.of(0)));
    b.output(...[...b.graph.initializers()].map((v) => b.op(`${v.name}_read`, "Neg", [v])));
  });
  expect(dedupe(model)).toBe(0);
});

test("fresh biases and norms, equal by chance, stay apart; equal scalars do not", () => {
  const model = buildModel((b) => {
    for (const name of ["zero1", "zero2"]) b.float(name, [0, 0, 0]);
    for (const name of ["one1", "one2"]) b.float(name, [1, 1, 1]);
    for (const name of ["half1", "half2", "half3"]) b.float(name, 0.5);
    b.output(...[...b.graph.initializers()].map((v) => b.op(`${v.name}_read`, "Neg", [v])));
  });
  expect(dedupe(model)).toBe(2);
  expect([...model.graph.initializers()].map((v) => v.name)).toEqual([
    "zero1",
    "zero2",
    "one1",
    "one2",
    "half1",
  ]);
});

test("a subgraph's constant gives way to an equal one outside; siblings keep theirs", () => {
  const model = buildModel((b) => {
    const branch = (name: string, values: number[]) => {
      const inner = builder(new Graph(b.graph));
      inner.output(inner.op(name, "Neg", [inner.int(`${name}_c`, values)]));
      return { type: "graph", value: inner.graph } as const;
    };
    const condition = b.input("condition", [], "bool");
    const outer = b.op("outer", "Neg", [b.int("c", [1, 2])]);
    const y = b.op("y", "If", [condition], {
      then_branch: branch("t", [1, 2]),
      else_branch: branch("e", [3, 4]),
    });
    const z = b.op("z", "If", [condition], {
      then_branch: branch("t2", [3, 4]),
      else_branch: branch("e2", [5, 6]),
    });
    b.output(outer, y, z);
  });
  expect(dedupe(model)).toBe(1);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(condition: bool[])
      %outer = Neg([1, 2])
      %y = If(condition)
        then_branch = graph()
          %t = Neg([1, 2])
          return %t
        else_branch = graph()
          %e = Neg([3, 4])
          return %e
      %z = If(condition)
        then_branch = graph()
          %t2 = Neg([3, 4])
          return %t2
        else_branch = graph()
          %e2 = Neg([5, 6])
          return %e2
      return %outer, %y, %z"
  `);
});

test("outputs and inputs with defaults keep their own content", () => {
  const model = buildModel((b) => {
    const c = b.int("c", [1, 2]);
    const d = b.int("d", [1, 2]);
    b.input("default", [2], "int64").tensor = c.tensor;
    b.output(b.op("y", "Neg", [c]), d);
  });
  expect(dedupe(model)).toBe(0);
});

test("tensors are read one or two at a time, and only where another one looks the same", () => {
  let reads = 0;
  const model = buildModel((b) => {
    const x = b.input("x", [4]);
    const values = noise(4);
    const read = () => {
      reads++;
      return new Uint8Array(values.buffer);
    };
    const alone = b.graph.addInitializer("alone", lazyTensor("float32", [4, 1], read));
    b.output(b.op("y", "Add", [x, alone]));
  });
  expect(dedupe(model)).toBe(0);
  expect(reads).toBe(0);
});

test("thousands of tensors that differ in the middle are told apart in linear time", () => {
  const model = buildModel((b) => {
    for (let i = 0; i < 3000; i++) {
      const values = new Float32Array(1024);
      values[100] = i;
      values[1023] = 1;
      b.graph.addInitializer(`c${i}`, tensorOf("float32", [1024], values));
    }
    b.output(...[...b.graph.initializers()].map((v) => b.op(`${v.name}_read`, "Neg", [v])));
  });
  const start = performance.now();
  expect(dedupe(model)).toBe(0);
  expect(performance.now() - start).toBeLessThan(5000);
});

import { expect, test } from "vitest";
import { builder, buildModel } from "../../test/build.js";
import { Graph } from "../graph/graph.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { removeDead } from "./dead.js";

test("chains that lead nowhere go, with their initializers", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 4]);
    const unread = b.op("a", "Mul", [x, b.float("scale", 2)]);
    b.op("b", "Neg", [unread]);
    b.float("nobody", [1, 2]);
    b.output(b.op("y", "Relu", [x]));
  });
  expect(removeDead(model)).toBe(4);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, 4])
      %y = Relu(x)
      return %y"
  `);
  expect(removeDead(model)).toBe(0);
});

test("what only a subgraph reads stays; what only a removed node's subgraph read goes", () => {
  const model = buildModel((b) => {
    const x = b.input("x", [4]);
    const condition = b.input("condition", [], "bool");
    const branch = (name: string, value = x) => {
      const inner = builder(new Graph(b.graph));
      inner.output(inner.op(name, "Neg", [value]));
      return { type: "graph", value: inner.graph } as const;
    };
    const kept = b.op("kept", "Relu", [x]);
    const lost = b.op("lost", "Relu", [x]);
    const y = b.op("y", "If", [condition], {
      then_branch: branch("t1", kept),
      else_branch: branch("e1"),
    });
    b.op("unread", "If", [condition], {
      then_branch: branch("t2", lost),
      else_branch: branch("e2"),
    });
    b.output(y);
  });
  expect(removeDead(model)).toBe(2);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[4], condition: bool[])
      %kept = Relu(x)
      %y = If(condition)
        then_branch = graph()
          %t1 = Neg(%kept)
          return %t1
        else_branch = graph()
          %e1 = Neg(x)
          return %e1
      return %y"
  `);
});

test("inputs stay, with their defaults, and single outputs that nobody reads", () => {
  const model = buildModel((b) => {
    const x = b.input("x", [4]);
    b.input("unread", [2]);
    b.input("optional", [2]).tensor = b.float("c", [1, 2]).tensor;
    const split = b.graph.addNode({
      op: "Split",
      inputs: [x],
      outputs: ["left", "right"],
      attributes: { num_outputs: 2 },
    });
    b.output(split.output());
  });
  expect(removeDead(model)).toBe(1);
  expect(model.graph.inputs.map((v) => v.name)).toEqual(["x", "unread", "optional"]);
  expect(model.graph.value("right")).toBeDefined();
});

test("a graph that is not sorted is cleaned as well", () => {
  const model = buildModel((b) => {
    const x = b.input("x", [4]);
    const first = b.op("first", "Neg", [x]);
    const second = b.op("second", "Neg", [first]);
    b.output(b.op("y", "Relu", [x]));
    if (second.producer !== undefined) b.graph.moveNode(second.producer, first.producer);
  });
  expect(removeDead(model)).toBe(2);
  expect(model.graph.size).toBe(1);
});

// Branches that types decide are taken, others stay.
import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import type { Attribute } from "../graph/attribute.js";
import { Graph, type Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { float32Tensor } from "../onnx/tensor.js";
import { takeBranches } from "./branches.js";

/** Twice x where the lengths of x and of `other` are the same, else its negative. */
function model(other: string): Model {
  return buildModel((b) => {
    const x = b.input("x", ["n"]);
    const y = b.input("y", [other]);
    const same = b.op("same", "Equal", [b.op("nx", "Shape", [x]), b.op("ny", "Shape", [y])]);
    const branch = (fill: (inner: Graph) => Value) => {
      const inner = new Graph(b.graph);
      inner.addOutput(fill(inner));
      return { type: "graph", value: inner } as const;
    };
    const attributes = {
      then_branch: branch((inner) => {
        const two = inner.addInitializer("two", float32Tensor(2));
        return inner.addNode({ op: "Mul", inputs: [x, two], outputs: ["twice"] }).output();
      }),
      else_branch: branch((inner) =>
        inner.addNode({ op: "Neg", inputs: [x], outputs: ["negative"] }).output(),
      ),
    };
    b.output(b.op("z", "If", [same], attributes));
  });
}

/** -x where the lengths are the same, else eˣ; `nested`: each branch chooses once more. */
function choice(one: readonly number[], other: readonly number[], nested: boolean): Model {
  return buildModel((b) => {
    const [x, y] = [b.input("x", one), b.input("y", other)];
    const same = b.op("same", "Equal", [b.op("nx", "Shape", [x]), b.op("ny", "Shape", [y])]);
    const branch = (outer: Graph, op: string, deeper: boolean): Attribute => {
      const inner = new Graph(outer);
      const name = `${op}${deeper ? "" : "_in"}`;
      const attributes = deeper
        ? { then_branch: branch(inner, op, false), else_branch: branch(inner, op, false) }
        : {};
      const inputs = deeper ? [b.graph.inputs[2]] : [x];
      const node = { op: deeper ? "If" : op, inputs, attributes, outputs: [name] };
      inner.addOutput(inner.addNode(node).output());
      return { type: "graph", value: inner };
    };
    b.input("open", [], "bool");
    const attributes = {
      then_branch: branch(b.graph, "Neg", nested),
      else_branch: branch(b.graph, "Exp", nested),
    };
    b.output(b.op("z", "If", [same], attributes));
  });
}

test("the branch for lengths that are the same by their names takes the place of the choice", () => {
  const taken = model("n");
  expect(takeBranches(taken)).toBe(1);
  verify(taken.graph);
  expect(print(taken.graph)).toMatchInlineSnapshot(`
    "graph(x: float32[n], y: float32[n])
      %nx: int64[1] = Shape(x)
      %ny: int64[1] = Shape(y)
      %same: bool[1] = Equal(%nx, %ny)
      %z: float32[n] = Mul(x, 2.0)
      return %z"
  `);
});

test.each([
  [[2], [2], "Neg"],
  [[2], [3], "Exp"],
])("lengths %j and %j: the branch that is taken holds %s", (one, other, op) => {
  const taken = choice(one, other, false);
  expect(takeBranches(taken)).toBe(1);
  verify(taken.graph);
  expect([...taken.graph.nodes()].map((node) => node.op)).toEqual(["Shape", "Shape", "Equal", op]);
});

test("a branch that holds a choice of its own stays, and so does the choice around it", () => {
  const open = choice([2], [2], true);
  expect(takeBranches(open)).toBe(0);
  expect(open.graph.last?.op).toBe("If");
});

test("lengths that may differ leave the choice to the run", () => {
  const open = model("m");
  expect(takeBranches(open)).toBe(0);
  expect([...open.graph.nodes()].map((node) => node.op)).toEqual(["Shape", "Shape", "Equal", "If"]);
});

import { expect, test } from "vitest";
import { floats } from "../../test/build.js";
import { InvalidGraphError } from "../errors.js";
import { float32Tensor } from "../onnx/tensor.js";
import type { Attribute } from "./attribute.js";
import { Graph, Value, type Node } from "./graph.js";
import { verify } from "./verify.js";

interface Parts {
  readonly graph: Graph;
  readonly inner: Graph;
  readonly x: Value;
  readonly w: Value;
  readonly add: Node;
  readonly holder: Node;
  readonly last: Node;
}

/** x + w → If, whose branch reads the sum → Neg */
function parts(): Parts {
  const graph = new Graph();
  const x = graph.addInput("x");
  const w = graph.addInitializer("w", float32Tensor([1, 2]));
  const add = graph.addNode({ op: "Add", name: "add", inputs: [x, w], outputs: ["sum"] });
  const inner = new Graph(graph);
  const exp = inner.addNode({ op: "Exp", inputs: [add.output()], outputs: ["exp"] });
  inner.addOutput(exp.output());
  const attributes = { then_branch: { type: "graph", value: inner } as const };
  const holder = graph.addNode({ op: "If", name: "if", inputs: [x], attributes, outputs: ["i"] });
  const last = graph.addNode({ op: "Neg", name: "neg", inputs: [holder.output()], outputs: ["y"] });
  graph.addOutput(last.output());
  verify(graph);
  return { graph, inner, x, w, add, holder, last };
}

const damages: Record<string, (p: Parts) => void> = {
  "a node before what it reads": ({ graph, add, last }) => graph.moveNode(last, add),
  "a subgraph before what it reads": ({ graph, add, holder }) => graph.moveNode(holder, add),
  "a value of a subgraph read outside": ({ inner, last }) => last.setInput(0, inner.outputs[0]),
  "a value of another model": ({ last }) => last.setInput(0, parts().x),
  "an output of a removed node": ({ graph, last }) => {
    const spare = graph.addNode({ op: "Exp", inputs: [], outputs: ["spare"] });
    const value = spare.output();
    graph.removeNode(spare);
    last.setInput(0, value);
  },
  "a graph output of a removed node": ({ graph }) => {
    const spare = graph.addNode({ op: "Exp", inputs: [], outputs: ["spare"] });
    const value = spare.output();
    graph.removeNode(spare);
    graph.addOutput(value);
  },
  "a name changed behind the graph's back": ({ x }) => {
    x.name = "z";
  },
  "a name that hides one around it": ({ inner }) => {
    inner.addNode({ op: "Exp", inputs: [], outputs: ["x"] });
  },
  "an initializer without its tensor": ({ w }) => {
    w.tensor = undefined;
  },
  "a made value that is constant too": ({ add }) => {
    add.output().tensor = float32Tensor(1);
  },
  "a reader that does not read": ({ x, last }) => x.attach({ kind: "node", node: last, index: 0 }),
  "the same reader twice": ({ x, add }) => x.attach({ kind: "node", node: add, index: 0 }),
  "a reader that was removed": ({ x }) => {
    const other = parts();
    x.attach({ kind: "node", node: other.last, index: 0 });
  },
  "an unlisted reader": ({ w }) => {
    for (const use of w.uses) w.detach(use);
  },
  "an unlisted output": ({ last }) => {
    for (const use of last.output().uses) last.output().detach(use);
  },
  "a broken list of nodes": ({ add }) => {
    add.next = undefined;
  },
  "a list that does not lead back": ({ holder, add }) => {
    add.next = holder.next;
  },
  "a circular list": ({ last, add }) => {
    last.next = add;
  },
  "an output that is another node's": ({ add, last }) => last.setOutputs([add.output()]),
  "a subgraph in two places": ({ graph, inner }) => {
    const attributes = { body: { type: "graph", value: inner } as const };
    graph.addNode({ op: "Loop", inputs: [], attributes, before: graph.last });
  },
  "a subgraph of another graph": ({ last }) => {
    last.attributes.set("body", { type: "graph", value: new Graph() });
  },
  "another element type than the tensor's": ({ w }) => {
    w.dtype = "int64";
  },
  "other dims than the tensor's": ({ w }) => {
    w.shape = [3];
  },
  "a default that does not fit its input": ({ graph }) => {
    graph.addInput("d", { dtype: "float32", shape: ["n", 2] }).tensor = float32Tensor([1, 2]);
  },
  "too few bytes": ({ w }) => {
    const data = { byteLength: 4, read: () => new Uint8Array(4) };
    w.tensor = { dtype: "float32", dims: [2], data };
  },
  "dims that are none": ({ w }) => {
    w.tensor = { ...floats([2]), dims: [-1] };
  },
  "an int that is none": ({ last }) => attribute(last, { type: "int", value: 0.5 }),
  "an int beyond 64 bits": ({ last }) => attribute(last, { type: "ints", value: [1, 2n ** 63n] }),
  "an unsafe int": ({ last }) => attribute(last, { type: "int", value: 2 ** 60 }),
  "a tensor of an attribute": ({ last }) =>
    attribute(last, { type: "tensor", value: { ...floats([2]), dims: [3] } }),
  "tensors of an attribute": ({ last }) =>
    attribute(last, { type: "tensors", value: [floats([2]), { ...floats([2]), dims: [3] }] }),
  "an attribute without a name": ({ last }) => {
    last.attributes.set("", { type: "int", value: 1 });
  },
  "a value without a name": ({ graph }) => {
    graph.addInput("");
  },
  "a node without an operator": ({ graph }) => {
    graph.addNode({ op: "", inputs: [] });
  },
};

function attribute(node: Node, value: Attribute): void {
  node.attributes.set("a", value);
}

test("every breach of the legal form is told", () => {
  const said = Object.entries(damages).map(([name, damage]) => {
    const p = parts();
    damage(p);
    try {
      verify(p.graph);
    } catch (error) {
      if (error instanceof InvalidGraphError)
        return `${name} | ${error.node ?? "-"}: ${error.detail}`;
      throw error;
    }
    return `${name} | not found`;
  });
  expect(said.join("\n")).toMatchInlineSnapshot(`
    "a node before what it reads | Neg "neg": input "i" is read before it is made
    a subgraph before what it reads | Exp "exp": input "sum" is read before it is made
    a value of a subgraph read outside | Neg "neg": input "exp" belongs to a graph that cannot be seen from here
    a value of another model | Neg "neg": input "x" belongs to a graph that cannot be seen from here
    an output of a removed node | Neg "neg": input "spare" is read before it is made
    a graph output of a removed node | -: output 1, "spare", does not exist
    a name changed behind the graph's back | -: value "z" stands in the table of another graph or under another name
    a name that hides one around it | Exp "x": the name "x" in a subgraph hides a value of the graph around it
    an initializer without its tensor | -: value "w" is no input, has no content, and no node makes it
    a made value that is constant too | Add "add": value "sum" is made by a node and also an input or a constant
    a reader that does not read | -: value "x" lists a reader that does not read it
    the same reader twice | -: value "x" lists a reader that does not read it
    a reader that was removed | -: value "x" lists a reader that does not read it
    an unlisted reader | -: value "w" is read 1 times but lists 0
    an unlisted output | Neg "neg": value "y" is read 1 times but lists 0
    a broken list of nodes | -: the list of nodes is broken: 1 nodes of 3 can be reached
    a list that does not lead back | Neg "neg": the list of nodes is broken
    a circular list | Add "add": the list of nodes is broken
    an output that is another node's | Neg "neg": value "y" is not output 0 of its node
    a subgraph in two places | -: the subgraph "" stands in two places
    a subgraph of another graph | Neg "neg": the subgraph "" has another parent
    another element type than the tensor's | -: constant "w" is int64 [2], its tensor float32 [2]
    other dims than the tensor's | -: constant "w" is float32 [3], its tensor float32 [2]
    a default that does not fit its input | -: constant "d" is float32 [n, 2], its tensor float32 [2]
    too few bytes | -: tensor "w", float32 [2], needs 8 bytes, has 4
    dims that are none | -: tensor "w" has the dims [-1]
    an int that is none | Neg "neg": attribute "a" is of type int but holds 0.5
    an int beyond 64 bits | Neg "neg": attribute "a" is of type ints but holds 9223372036854775808
    an unsafe int | Neg "neg": attribute "a" is of type int but holds 1152921504606847000
    a tensor of an attribute | Neg "neg": tensor of attribute "a", float32 [3], needs 12 bytes, has 8
    tensors of an attribute | Neg "neg": tensor of attribute "a", float32 [3], needs 12 bytes, has 8
    an attribute without a name | Neg "neg": an attribute has no name
    a value without a name | -: a value has no name
    a node without an operator |  "_out": the node has no operator"
  `);
});

test("what is legal though unusual passes", () => {
  const { graph, add, x } = parts();
  const sum = add.output();
  graph.addOutput(sum);
  graph.addOutput(sum);
  graph.addOutput(x);
  graph.addOutput(graph.addInitializer("constant", float32Tensor(1)));
  graph.addSparse("sparse", { dims: [2] });
  graph.addInput("d", { dtype: "float32", shape: ["n", null] }).tensor = floats([2, 3]);
  graph.addInput("untyped").tensor = floats([2, 3]);
  graph.addNode({ op: "Odd", inputs: [sum, undefined, sum, sum], outputs: ["", "o"] });
  attribute(add, { type: "ints", value: [2n ** 63n - 1n, -(2n ** 63n), 2 ** 53 - 1] });
  const add2 = graph.addNode({ op: "Add", name: "add", inputs: [sum, sum] });
  expect(add2.name).toBe("add_1");
  verify(graph);
  verify({ graph, opsets: new Map(), irVersion: 8, functions: [], rest: {} });
});

test("a subgraph alone cannot be verified", () => {
  expect(() => verify(parts().inner)).toThrow(/expected the outermost graph/);
});

test("a value in a slot of the table that is not its own is told", () => {
  const { graph, last } = parts();
  last.setInput(0, new Value(graph, "x"));
  expect(() => verify(graph)).toThrow(InvalidGraphError);
});

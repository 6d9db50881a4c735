import { expect, test } from "vitest";
import {
  bodyProto,
  choiceProto,
  floatProto,
  modelProto,
  names,
  nodeProto,
} from "../../test/protos.js";
import { InvalidGraphError } from "../errors.js";
import type { AttributeProto, GraphProto } from "../onnx/proto.js";
import { exportModel } from "./export.js";
import { importModel } from "./import.js";
import { print } from "./print.js";
import { verify } from "./verify.js";

const printed = (graph: GraphProto) => {
  const imported = importModel(modelProto(graph));
  verify(imported);
  return print(imported.graph);
};
const refusal = (graph: GraphProto) => {
  try {
    importModel(modelProto(graph));
  } catch (error) {
    if (error instanceof InvalidGraphError) return `${error.node ?? "-"}: ${error.detail}`;
    throw error;
  }
  return "imported";
};

test("edges, types, defaults of inputs, left-out inputs and outputs", () => {
  const dim = [{ dimParam: "batch" }, { dimValue: 2 }, {}, { dimValue: -1 }, { dimParam: "" }];
  const text = printed({
    name: "g",
    input: [
      { name: "x", type: { tensorType: { elemType: 1, shape: { dim } } } },
      { name: "w", type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "n" }] } } } },
      { name: "s", type: { sequenceType: { elemType: { tensorType: { elemType: 7 } } } } },
      { name: "c" },
    ],
    initializer: [floatProto("w"), floatProto("k", [0.5])],
    node: [
      { ...nodeProto("Clip", ["x", "", "k"], ["a"]), name: "clip" },
      { ...nodeProto("Dropout", ["a"], ["", "mask"]), domain: "ai.onnx" },
      { ...nodeProto("Fused", ["a", "w"], ["y"]), domain: "com.microsoft" },
    ],
    valueInfo: [
      { name: "a", type: { tensorType: { elemType: 1, shape: { dim: [] } } } },
      { name: "mask", type: { tensorType: { elemType: 9 } } },
      { name: "gone", type: { tensorType: { elemType: 9 } } },
    ],
  });
  expect(text).toMatchInlineSnapshot(`
    "graph g(x: float32[batch, 2, ?, ?, ?], w: float32[n] = [1.0, 2.0], s: sequence<int64>, c)
      %a: float32[] = Clip(x, _, [0.5])
      _, %mask: bool = Dropout(%a)
      %y = com.microsoft.Fused(%a, w)
      return %y"
  `);
});

test("nodes out of order are sorted, those already in order stay where they are", () => {
  expect(
    printed({
      node: [
        nodeProto("Abs", ["x"], ["a"]),
        choiceProto(
          {
            node: [nodeProto("Add", ["t", "late"], ["u"]), nodeProto("Neg", ["x"], ["t"])],
            output: names("u"),
          },
          "i",
        ),
        nodeProto("Add", ["i", "later"], ["y"]),
        nodeProto("Relu", ["x"], ["later"]),
        nodeProto("Exp", ["x"], ["late"]),
      ],
    }),
  ).toMatchInlineSnapshot(`
    "graph(x, c)
      %a = Abs(x)
      %late = Exp(x)
      %i = If(c)
        then_branch = graph()
          %t = Neg(x)
          %u = Add(%t, %late)
          return %u
        else_branch = graph()
          %e = Neg(x)
          return %e
      %later = Relu(x)
      %y = Add(%i, %later)
      return %y"
  `);
});

test("what cannot be a graph is refused, naming the node and the value", () => {
  const cases: Record<string, GraphProto> = {
    "a cycle": {
      node: [
        nodeProto("Add", ["x", "b"], ["a"]),
        nodeProto("Neg", ["a"], ["b"]),
        nodeProto("Abs", ["x"], ["y"]),
      ],
    },
    "a cycle through a subgraph": {
      node: [
        choiceProto({ node: [nodeProto("Neg", ["z"], ["t"])], output: names("t") }),
        nodeProto("Neg", ["y"], ["z"]),
      ],
    },
    "a value nobody makes": { node: [{ ...nodeProto("Add", ["x", "lost"], ["y"]), name: "sum" }] },
    "an output nobody makes": { node: [] },
    "two nodes for one name": {
      node: [nodeProto("Abs", ["x"], ["y"]), { ...nodeProto("Neg", ["x"], ["y"]), name: "second" }],
    },
    "one node twice the same": { node: [nodeProto("Split", ["x"], ["y", "y"])] },
    "a node and an input": {
      node: [nodeProto("Abs", ["c"], ["x"]), nodeProto("Abs", ["x"], ["y"])],
    },
    "a node and an initializer": {
      initializer: [floatProto("y")],
      node: [nodeProto("Abs", ["x"], ["y"])],
    },
    "two inputs": { input: names("x", "x"), node: [nodeProto("Abs", ["x"], ["y"])] },
    "two initializers": {
      initializer: [floatProto("w"), floatProto("w")],
      node: [nodeProto("Add", ["x", "w"], ["y"])],
    },
    "dense and sparse": {
      initializer: [floatProto("w")],
      sparseInitializer: [{ values: floatProto("w"), dims: [9] }],
      node: [nodeProto("Add", ["x", "w"], ["y"])],
    },
    "an input without a name": { input: [{}] },
    "an initializer without a name": { initializer: [floatProto("")] },
    "no operator": { node: [nodeProto("", ["x"], ["y"])] },
    "an attribute twice": {
      node: [
        nodeProto(
          "Neg",
          ["x"],
          ["y"],
          [
            { name: "a", type: 2, i: 1 },
            { name: "a", type: 2, i: 2 },
          ],
        ),
      ],
    },
    "an attribute without its tensor": {
      node: [nodeProto("Constant", [], ["y"], [{ name: "value", type: 4 }])],
    },
  };
  const said = Object.entries(cases).map(([name, graph]) => `${name} | ${refusal(graph)}`);
  expect(said.join("\n")).toMatchInlineSnapshot(`
    "a cycle | Add "a": the graph has a cycle through this node
    a cycle through a subgraph | If "y": the graph has a cycle through this node
    a value nobody makes | Add "sum": value "lost" is read but nothing makes it
    an output nobody makes | -: nothing makes the output "y" of the graph
    two nodes for one name | Neg "second": the name "y" is used twice
    one node twice the same | Split "?": the name "y" is used twice
    a node and an input | Abs "?": the name "x" is used twice
    a node and an initializer | Abs "?": the name "y" is used twice
    two inputs | -: the name "x" is used twice
    two initializers | -: the name "w" is used twice
    dense and sparse | -: the name "w" is used twice
    an input without a name | -: an input of the graph has no name
    an initializer without a name | -: an initializer has no name
    no operator |  "y": the node has no operator
    an attribute twice | Neg "y": attribute "a" stands twice
    an attribute without its tensor | Constant "y": attribute "value" should hold a tensor and holds none"
  `);
});

test("a model without a graph, and nesting without end, are errors for the user", () => {
  expect(() => importModel({})).toThrow(InvalidGraphError);
  let inner: GraphProto = { node: [nodeProto("Neg", ["x"], ["deep"])], output: names("deep") };
  for (let i = 0; i < 30_000; i++)
    inner = { node: [choiceProto(inner, `i${i}`)], output: names(`i${i}`) };
  expect(refusal({ node: [choiceProto(inner)] })).toMatch(/nested more than 64 deep/);
});

test("siblings may use equal names", () => {
  const both = { node: [nodeProto("Neg", ["x"], ["e"])], output: names("e") };
  const imported = importModel(modelProto({ node: [choiceProto(both)] }));
  verify(imported);
  expect(print(imported.graph)).toMatchInlineSnapshot(`
    "graph(x, c)
      %y = If(c)
        then_branch = graph()
          %e = Neg(x)
          return %e
        else_branch = graph()
          %e = Neg(x)
          return %e
      return %y"
  `);
});

test("a subgraph's name that hides one around it is changed where onnxruntime reads it the same way", () => {
  // Named as its own If, as a later node, as an initializer, and z_1 which is what z would have become.
  const then = {
    initializer: [floatProto("w", [5, 5])],
    node: [
      nodeProto("Abs", ["x"], ["z"]),
      nodeProto("Add", ["z", "w"], ["z_1"]),
      nodeProto("Neg", ["z_1"], ["y"]),
    ],
    output: names("y"),
  };
  expect(
    printed({
      initializer: [floatProto("w")],
      node: [
        choiceProto(then, "i"),
        nodeProto("Add", ["i", "w"], ["z"]),
        nodeProto("Neg", ["z"], ["y"]),
      ],
    }),
  ).toMatchInlineSnapshot(`
    "graph(x, c)
      %i = If(c)
        then_branch = graph()
          %z_1 = Abs(x)
          %z_1_1 = Add(%z_1, [5.0, 5.0])
          %y_1 = Neg(%z_1_1)
          return %y_1
        else_branch = graph()
          %e = Neg(x)
          return %e
      %z = Add(%i, [1.0, 2.0])
      %y = Neg(%z)
      return %y"
  `);
  const loop = nodeProto(
    "Loop",
    ["", "c", "x"],
    ["y"],
    [
      bodyProto("body", {
        input: names("i", "c", "x"),
        node: [nodeProto("Identity", ["c"], ["again"]), nodeProto("Neg", ["x"], ["next"])],
        output: names("again", "next"),
      }),
    ],
  );
  expect(printed({ node: [loop] })).toMatchInlineSnapshot(`
    "graph(x, c)
      %y = Loop(_, c, x)
        body = graph(i, c_1, x_1)
          %again = Identity(c_1)
          %next = Neg(x_1)
          return %again, %next
      return %y"
  `);
});

test("a subgraph's node that hides what was made before it is refused", () => {
  const then = { node: [nodeProto("Abs", ["x"], ["z"])], output: names("z") };
  expect(
    refusal({ node: [nodeProto("Neg", ["x"], ["z"]), choiceProto(then)] }),
  ).toMatchInlineSnapshot(
    `"Abs "z_1": the name "z" in a subgraph hides a value of the graph around it"`,
  );
  const twice = { node: [nodeProto("Abs", ["x"], ["z", "z"])], output: names("z") };
  expect(refusal({ node: [choiceProto(twice), nodeProto("Neg", ["x"], ["z"])] })).toMatch(
    /used twice/,
  );
});

test("two nodes of one name get two, as runtimes demand", () => {
  const twin = { ...nodeProto("Neg", ["x"], ["a"]), name: "twin" };
  const imported = importModel(
    modelProto({ node: [twin, { ...twin, input: ["a"], output: ["y"] }] }),
  );
  expect([...imported.graph.nodes()].map((n) => n.name)).toEqual(["twin", "twin_1"]);
});

test("the type of an attribute without one is told by its field", () => {
  const untyped: AttributeProto[] = [
    { name: "f", f: 1 },
    { name: "i", i: 1 },
    { name: "s", s: new Uint8Array() },
    { name: "t", t: floatProto("") },
    { name: "fs", floats: [1] },
    { name: "is", ints: [1] },
    { name: "ss", strings: [] },
    { name: "none" },
  ];
  const { graph } = importModel(modelProto({ node: [nodeProto("Odd", ["x"], ["y"], untyped)] }));
  expect([...(graph.first?.attributes.values() ?? [])].map((a) => a.type)).toEqual([
    "float",
    "int",
    "string",
    "tensor",
    "floats",
    "ints",
    "strings",
    "opaque",
  ]);
});

test("100,000 nodes in any order, each reading the one before, are no matter of depth", () => {
  const chain = Array.from({ length: 100_000 }, (_, i) =>
    nodeProto("Neg", [i === 0 ? "x" : `v${i - 1}`], [i === 99_999 ? "y" : `v${i}`]),
  );
  const imported = importModel(modelProto({ node: chain.toReversed() }));
  verify(imported);
  const order = exportModel(imported).graph?.node?.map((n) => n.output?.[0]);
  expect(order).toEqual(chain.map((n) => n.output?.[0]));
});

test("of Constants with one name the last holds for all uses, as in onnxruntime", () => {
  const constant = (value: number) => ({
    ...nodeProto("Constant", [], ["c"]),
    attribute: [{ name: "value", type: 4, t: { ...floatProto("c", [value]) } }],
  });
  expect(
    printed({
      name: "g",
      input: [{ name: "x" }],
      node: [constant(1), nodeProto("Add", ["x", "c"], ["y"]), constant(2)],
      output: names("y"),
    }),
  ).toMatchInlineSnapshot(`
    "graph g(x)
      %c = Constant() value=[2.0]
      %y = Add(x, %c)
      return %y"
  `);
});

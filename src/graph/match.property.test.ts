import fc from "fast-check";
import { expect, test } from "vitest";
import { scalarOf } from "../onnx/values.js";
import { float32Tensor } from "../onnx/tensor.js";
import { Graph, type Node, type Value } from "./graph.js";
import { any, constant, emit, op, rewrite, rule, scalar, type Match } from "./match.js";
import { verify } from "./verify.js";

const OPS: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Neg: (a) => -a,
  Identity: (a) => a,
};

/** Exact in the integers, as long as numbers stay small; the feeds wrap them. */
const WRAP = 997;

function evaluate(root: Graph, feeds: readonly number[]): number[] {
  const values = new Map<Value, number>();
  const valueOf = (value: Value | undefined): number => {
    if (value === undefined) return 0;
    const input = root.inputs.indexOf(value);
    if (input >= 0) return feeds[input] ?? 0;
    return value.tensor === undefined ? (values.get(value) ?? 0) : (scalarOf(value.tensor) ?? 0);
  };
  const run = (graph: Graph): number[] => {
    for (const node of graph.nodes()) values.set(node.output(), runNode(node));
    return graph.outputs.map(valueOf);
  };
  const runNode = (node: Node): number => {
    const [body] = node.subgraphs();
    if (body !== undefined) return run(body)[0] ?? 0;
    const compute = OPS[node.op];
    if (compute === undefined) throw new Error(`internal: ${node.op}`);
    const result = compute(valueOf(node.inputs[0]), valueOf(node.inputs[1])) % WRAP;
    return (result + WRAP) % WRAP;
  };
  return run(root);
}

const x = any("x");
const unary = (name: string) => (m: Match, at: Node) => emit(at, name, [m.get("x")]);
const rules = [
  rule("double negation", op("Neg", [op("Neg", [x])]), (m) => m.get("x")),
  rule("plus 0", op("Add", [x, scalar(0)]), (m) => m.get("x")),
  rule("times 1", op("Mul", [x, scalar(1)]), (m) => m.get("x")),
  rule("times -1", op("Mul", [x, scalar(-1)]), unary("Neg")),
  rule("minus", op("Add", [x, op("Neg", [any("y")], { once: true })]), (m, at) =>
    emit(at, "Sub", [m.get("x"), m.get("y")]),
  ),
  rule("nothing", op("Sub", [x, x]), (m, at) => emit(at, "Mul", [m.get("x"), zeroOf(at)])),
  rule("distribute", op("Mul", [op("Add", [any("a"), any("b")]), constant("c")]), (m, at) =>
    emit(at, "Add", [
      emit(at, "Mul", [m.get("a"), m.get("c")]),
      emit(at, "Mul", [m.get("b"), m.get("c")]),
    ]),
  ),
  rule("wrap", op("Sub", [any(), scalar(7)], { as: "s" }), (m, at) =>
    emit(at, "Neg", [emit(at, "Neg", [m.get("s")])]),
  ),
];

function zeroOf(at: Node): Value {
  if (at.graph === undefined) throw new Error("internal: no graph");
  return at.graph.addInitializer("zero", float32Tensor(0));
}

const nodes = fc.array(
  fc.record({
    op: fc.constantFrom("Add", "Add", "Sub", "Mul", "Mul", "Neg", "body"),
    a: fc.nat(),
    b: fc.nat(),
    output: fc.integer({ min: 0, max: 5 }),
  }),
  { minLength: 1, maxLength: 40, size: "max" },
);

function build(list: readonly { op: string; a: number; b: number; output: number }[]): Graph {
  const root = new Graph();
  const visible: Value[] = [root.addInput("x"), root.addInput("y")];
  for (const c of [0, 1, -1, 7]) visible.push(root.addInitializer("c", float32Tensor(c)));
  const near = (values: readonly Value[], i: number) =>
    values[values.length - 1 - (i % values.length)];
  for (const { op: name, a, b, output } of list) {
    let graph = root;
    let attributes = {};
    if (name === "body") {
      graph = new Graph(root);
      attributes = { body: { type: "graph", value: graph } };
      const inner = graph.addNode({ op: "Mul", inputs: [near(visible, a), near(visible, b)] });
      const outer = graph.addNode({ op: "Neg", inputs: [inner.output()] });
      graph.addOutput(graph.addNode({ op: "Neg", inputs: [outer.output()] }).output());
    }
    const inputs = name === "Neg" ? [near(visible, a)] : [near(visible, a), near(visible, b)];
    const node = root.addNode({ op: name, inputs: name === "body" ? [] : inputs, attributes });
    visible.push(node.output());
    if (output === 0) root.addOutput(node.output());
  }
  const last = visible.at(-1);
  if (last !== undefined) root.addOutput(last);
  return root;
}

test("true rules, applied in any order to any graph, change nothing of what it computes", () => {
  let rewrites = 0;
  fc.assert(
    fc.property(nodes, fc.shuffledSubarray(rules, { minLength: 1 }), (list, some) => {
      const graph = build(list);
      const feeds = [
        [3, 5],
        [0, 1],
        [996, 17],
      ] as const;
      const before = feeds.map((feed) => evaluate(graph, feed));
      const names = graph.outputs.map((v) => v.name);
      rewrites += rewrite(graph, some);
      verify(graph);
      expect(graph.outputs.map((v) => v.name)).toEqual(names);
      expect(feeds.map((feed) => evaluate(graph, feed))).toEqual(before);
    }),
    { numRuns: 500 },
  );
  expect(rewrites).toBeGreaterThan(500);
});

import { expect, test } from "vitest";
import { float32Tensor } from "../onnx/tensor.js";
import { Graph, type Node, type Value } from "./graph.js";
import { print } from "./print.js";
import { verify } from "./verify.js";

const one = float32Tensor(1);

/** x → Abs → a → Neg → y */
function chain(): { graph: Graph; x: Value; a: Value; y: Value; abs: Node; neg: Node } {
  const graph = new Graph();
  const x = graph.addInput("x", { dtype: "float32", shape: ["n"] });
  const abs = graph.addNode({ op: "Abs", inputs: [x], outputs: ["a"] });
  const neg = graph.addNode({ op: "Neg", inputs: [abs.output()], outputs: ["y"] });
  graph.addOutput(neg.output());
  return { graph, x, a: abs.output(), y: neg.output(), abs, neg };
}

/** An If in `graph` with one branch that `build` fills. */
function branch(graph: Graph, build: (inner: Graph) => Value): Node {
  const inner = new Graph(graph);
  inner.addOutput(build(inner));
  const attributes = { then_branch: { type: "graph", value: inner } as const };
  return graph.addNode({ op: "If", inputs: [], attributes });
}

test("uses stand on both sides: slots of nodes, of subgraphs' nodes, and outputs", () => {
  const { graph, x, a, neg } = chain();
  const twice = graph.addNode({ op: "Add", inputs: [a, a] });
  branch(graph, (inner) => inner.addNode({ op: "Exp", inputs: [a] }).output());
  expect([...a.consumers()].map((n) => n.op)).toEqual(["Neg", "Add", "Add", "Exp"]);
  expect(a.onlyUse).toBeUndefined();
  expect(x.onlyUse?.node.op).toBe("Abs");
  expect([a.isOutput, neg.output().isOutput]).toEqual([false, true]);
  twice.setInputs([x]);
  twice.setInput(2, a);
  expect(twice.inputs).toEqual([x, undefined, a]);
  verify(graph);
  twice.setInput(2, undefined);
  expect([...a.consumers()].map((n) => n.op)).toEqual(["Neg", "Exp"]);
  verify(graph);
});

test("a node that holds a subgraph lets go of what the subgraph reads", () => {
  const { graph, a } = chain();
  const holder = branch(graph, (inner) => {
    const exp = inner.addNode({ op: "Exp", inputs: [a] });
    branch(inner, (innermost) => innermost.addNode({ op: "Log", inputs: [a] }).output());
    inner.addOutput(a);
    return exp.output();
  });
  expect(a.uses.size).toBe(4);
  graph.removeNode(holder);
  expect(a.uses.size).toBe(1);
  verify(graph);
});

test("a node whose output is read, or that is not there, cannot be removed", () => {
  const { graph, abs } = chain();
  expect(() => graph.removeNode(abs)).toThrow(/^internal: "a" is still used/);
  const other = chain();
  expect(() => graph.removeNode(other.neg)).toThrow(/^internal: Neg "" is not in this graph/);
  expect(() => graph.moveNode(other.neg, undefined)).toThrow(/^internal: .* not in this graph/);
  expect(() => graph.moveNode(abs, other.neg)).toThrow(/^internal: /);
});

test("walking is safe while nodes are removed and added", () => {
  const { graph, a } = chain();
  const seen: string[] = [];
  graph.addNode({ op: "Exp", inputs: [a] });
  const last = graph.addNode({ op: "Log", inputs: [a] });
  for (const node of graph.nodes()) {
    seen.push(node.op);
    if (node.op === "Exp") graph.removeNode(last);
    graph.addNode({ op: "Cos", inputs: [a] });
  }
  expect(seen).toEqual(["Abs", "Neg", "Exp"]);
});

test("an output keeps its name and declared type: the replacement takes them over", () => {
  const { graph, a, y, neg } = chain();
  y.typeProto = { denotation: "LOGITS" };
  graph.replaceUses(y, a);
  graph.removeNode(neg);
  verify(graph);
  expect(graph.outputs[0]).toBe(a);
  expect([a.name, a.typeProto]).toEqual(["y", { denotation: "LOGITS" }]);
});

test("an Identity carries the name where the replacement is an input, a constant or an output itself", () => {
  const { graph, x, y, neg } = chain();
  const w = graph.addInitializer("w", one);
  const exp = graph.addNode({ op: "Exp", inputs: [x], outputs: ["z"] });
  graph.addOutput(exp.output());
  graph.replaceUses(y, w);
  graph.removeNode(neg);
  graph.replaceUses(exp.output(), x);
  graph.removeNode(exp);
  verify(graph);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[n])
      %a = Abs(x)
      %y: float32[] = Identity(1.0)
      %z: float32[n] = Identity(x)
      return %y, %z"
  `);
});

test("a value that is several outputs at once stays one", () => {
  const { graph, a, y, neg } = chain();
  graph.addOutput(y);
  graph.replaceUses(y, a);
  graph.removeNode(neg);
  verify(graph);
  expect(graph.outputs.map((v) => v.name)).toEqual(["y", "y"]);
});

test("an input that is an output too keeps that output, whatever replaces it", () => {
  const { graph, x } = chain();
  graph.addOutput(x);
  const cast = graph.addNode({ op: "Cast", inputs: [x], before: graph.first });
  const readers = [...x.uses].filter((use) => use.kind === "output" || use.node !== cast);
  graph.replaceUses(x, cast.output(), readers);
  verify(graph);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[n])
      %Cast_out = Cast(x)
      %a = Abs(%Cast_out)
      %y = Neg(%a)
      return %y, x"
  `);
});

test("a subgraph returns what it makes itself, an outer value by an Identity", () => {
  const { graph, a } = chain();
  const holder = branch(graph, (inner) => inner.addNode({ op: "Exp", inputs: [a] }).output());
  const [inner] = holder.subgraphs();
  const exp = inner?.first;
  if (inner === undefined || exp === undefined) throw new Error("internal: no branch");
  graph.replaceUses(exp.output(), a);
  inner.removeNode(exp);
  verify(graph);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[n])
      %a = Abs(x)
      %y = Neg(%a)
      %If_out = If()
        then_branch = graph()
          %Identity_out = Identity(%a)
          return %Identity_out
      return %y"
  `);
});

test("the default of an input keeps the type that the input declares", () => {
  const graph = new Graph();
  graph.addInput("x", { dtype: "float32", shape: ["n"] });
  const x = graph.addNamedInitializer("x", float32Tensor([1, 2]));
  expect([x.isInput, x.isConstant, x.shape]).toEqual([true, false, ["n"]]);
  graph.removeInput(x);
  expect([x.isInput, x.isConstant]).toEqual([false, true]);
  graph.removeInitializer(x);
  expect(graph.value("x")).toBeUndefined();
  const spare = graph.addInput("spare");
  graph.removeInput(spare);
  expect(graph.value("spare")).toBeUndefined();
});

test("fresh names are free in the whole model, subgraphs included", () => {
  const { graph, a } = chain();
  branch(graph, (inner) => inner.addNode({ op: "Exp", inputs: [a], outputs: ["b"] }).output());
  expect(["a", "b", "b", "c", "c", ""].map((base) => graph.freshName(base))).toEqual([
    "a_1",
    "b_1",
    "b_2",
    "c",
    "c_1",
    "_1",
  ]);
  expect(() => graph.addNode({ op: "Exp", inputs: [], outputs: ["a"] })).toThrow(/used twice/);
  graph.rename(a, "renamed");
  expect([graph.value("a"), graph.value("renamed")]).toEqual([undefined, a]);
  expect(() => graph.rename(a, "y")).toThrow(/^internal: the name "y" is taken/);
});

test("sorting moves what stands too late, to right before its first reader, and nothing else", () => {
  const { graph, x, a, y } = chain();
  const extra = ["e", "f", "g"].map((name) =>
    graph.addNode({ op: "Exp", inputs: [x], outputs: [name] }),
  );
  const [e, , g] = extra;
  if (e === undefined || g === undefined) throw new Error("internal: no nodes");
  branch(graph, (inner) => inner.addNode({ op: "Add", inputs: [a, y] }).output());
  if (a.producer !== undefined) graph.moveNode(a.producer, undefined);
  e.setInput(0, g.output());
  expect(() => verify(graph)).toThrow(/read before it is made/);
  graph.sort();
  verify(graph);
  expect([...graph.nodes()].map((n) => n.outputs[0]?.name)).toEqual([
    "a",
    "y",
    "g",
    "e",
    "f",
    "If_out",
  ]);
  g.setInput(0, e.output());
  const sort = () => {
    graph.sort();
  };
  expect(sort).toThrow(/cycle/);
});

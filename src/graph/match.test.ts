import { expect, test } from "vitest";
import { builder, buildModel, type Builder } from "../../test/build.js";
import { tensorOf } from "../onnx/tensor.js";
import { Graph, type Value } from "./graph.js";
import {
  any,
  constant,
  emit,
  match,
  oneOf,
  op,
  optional,
  rewrite,
  rule,
  scalar,
  type Pattern,
  type Rule,
} from "./match.js";
import { print } from "./print.js";
import { verify } from "./verify.js";

/** A graph and the value that `build` returns, which is its output. */
function of(build: (b: Builder, x: Value, y: Value) => Value): { graph: Graph; value: Value } {
  let value: Value | undefined;
  const { graph } = buildModel((b) => {
    value = build(b, b.input("x", [4]), b.input("y", [4]));
    b.output(value);
  });
  if (value === undefined) throw new Error("internal: nothing built");
  return { graph, value };
}

/** What a pattern captures of the built value; undefined where it does not fit. */
function captured(
  pattern: Pattern,
  names: readonly string[],
  build: (b: Builder, x: Value, y: Value) => Value,
): (string | undefined)[] | undefined {
  const found = match(pattern, of(build).value);
  return found && names.map((name) => (found.has(name) ? found.get(name).name : undefined));
}

function rewritten(rules: readonly Rule[], build: Parameters<typeof of>[0]): string {
  const { graph } = of(build);
  const count = rewrite(graph, rules);
  verify(graph);
  return `${count} rewrites\n${print(graph)}`;
}

test("any, constant and scalar", () => {
  const { graph } = buildModel((b) => {
    b.input("x", [4]);
    b.float("half", 0.5, [1, 1]);
    b.float("pair", [0.5, 0.5]);
    b.int("two", 2);
    b.input("default", [1]).tensor = tensorOf("float32", [1], Float32Array.of(0.5));
    b.graph.addInitializer("text", {
      dtype: "string",
      dims: [],
      data: { byteLength: 0, read: () => new Uint8Array() },
      strings: [new Uint8Array()],
    });
    b.float("lowest", -Infinity);
    b.float("nothing", 0);
  });
  const fit = (pattern: Pattern) =>
    [...graph.values()].filter((v) => match(pattern, v) !== undefined).map((v) => v.name);
  expect(fit(any())).toHaveLength(8);
  expect(fit(constant())).toEqual(["half", "pair", "two", "text", "lowest", "nothing"]);
  expect(fit(scalar(0.50004))).toEqual(["half"]);
  expect(fit(scalar(0.5004))).toEqual([]);
  expect(fit(scalar(0.5004, 0.1))).toEqual(["half"]);
  expect(fit(scalar(2))).toEqual(["two"]);
  expect(fit(scalar(-Infinity))).toEqual(["lowest"]);
  expect(fit(scalar(0))).toEqual(["nothing"]);
});

test("a name that comes again stands for the same value", () => {
  const square = op("Mul", [any("x"), any("x")]);
  expect(captured(square, ["x"], (b, x) => b.op("m", "Mul", [x, x]))).toEqual(["x"]);
  expect(captured(square, ["x"], (b, x, y) => b.op("m", "Mul", [x, y]))).toBeUndefined();
});

test("commutative operators are tried in any order, others in theirs alone", () => {
  const bias = op("Add", [op("MatMul", [any("x"), constant("w")]), constant("b")], { as: "sum" });
  const names = ["x", "w", "b", "sum"];
  const linear =
    (swap: boolean, sub = "Add") =>
    (b: Builder, x: Value) => {
      const product = b.op("p", "MatMul", [x, b.float("w", [1, 2])]);
      const c = b.float("c", [1]);
      return b.op("s", sub, swap ? [c, product] : [product, c]);
    };
  expect(captured(bias, names, linear(false))).toEqual(["x", "w", "c", "s"]);
  expect(captured(bias, names, linear(true))).toEqual(["x", "w", "c", "s"]);
  const difference = op("Sub", [op("MatMul", [any("x"), constant("w")]), constant("b")]);
  expect(captured(difference, names, linear(false, "Sub"))).toEqual(["x", "w", "c", undefined]);
  expect(captured(difference, names, linear(true, "Sub"))).toBeUndefined();
  const flipped = op("MatMul", [constant(), any()]);
  expect(
    captured(flipped, [], (b, x) => b.op("p", "MatMul", [x, b.float("w", 1)])),
  ).toBeUndefined();
});

test("a choice made early is taken back when the rest of the match demands it", () => {
  // Both factors are sums, only one of which leaves the x that stands outside.
  const pattern = op("Add", [op("Mul", [op("Add", [any("x"), any("a")]), any("b")]), any("x")]);
  const build = (b: Builder, x: Value, y: Value) => {
    const [p, q, r] = [b.float("p", 1), b.float("q", 2), b.float("r", 3)];
    const left = b.op("left", "Add", [p, q]);
    const right = b.op("right", "Add", [r, y]);
    return b.op("all", "Add", [b.op("m", "Mul", [left, right]), y]);
  };
  expect(captured(pattern, ["x", "a", "b"], build)).toEqual(["y", "r", "left"]);
  const either = op("Add", [oneOf(op("Neg", [any("z")]), any("z")), op("Abs", [any("z")])]);
  const both = (b: Builder, x: Value) => {
    const neg = b.op("neg", "Neg", [x]);
    return b.op("all", "Add", [neg, b.op("abs", "Abs", [neg])]);
  };
  expect(captured(either, ["z"], both)).toEqual(["neg"]);
});

test("three and four inputs in any order; more only as they stand", () => {
  const parts = (n: number) =>
    op("Sum", [...Array.from({ length: n - 1 }, () => any()), op("Neg", [any("x")])]);
  const sum = (n: number) => (b: Builder, x: Value) => {
    const neg = b.op("neg", "Neg", [x]);
    return b.op("s", "Sum", [neg, ...Array.from({ length: n - 1 }, (_, i) => b.float(`c${i}`, i))]);
  };
  expect(captured(parts(3), ["x"], sum(3))).toEqual(["x"]);
  expect(captured(parts(4), ["x"], sum(4))).toEqual(["x"]);
  expect(captured(parts(5), ["x"], sum(5))).toBeUndefined();
  expect(captured(parts(3), ["x"], sum(4))).toBeUndefined();
});

test("attributes, domains, optional inputs and other outputs", () => {
  const softmax = (attributes: Record<string, number>) => op("Softmax", [any()], { attributes });
  const build = (b: Builder, x: Value) => b.op("s", "Softmax", [x], { axis: -1 });
  expect(captured(softmax({ axis: -1 }), [], build)).toEqual([]);
  expect(captured(softmax({ axis: 1 }), [], build)).toBeUndefined();
  expect(captured(softmax({ axis: -1, other: 1 }), [], build)).toBeUndefined();

  const attributes = { f: 0.1, fs: [0.1, 2], is: [0, 1], s: "text" };
  const odd = (b: Builder, x: Value) => {
    const given = {
      f: { type: "float", value: Math.fround(0.1) },
      fs: { type: "floats", value: [Math.fround(0.1), 2] },
      is: [0, 1],
      s: "text",
    } as const;
    return b.op("o", "com.microsoft.Odd", [x, undefined, undefined], given);
  };
  expect(captured(op("com.microsoft.Odd", [any()], { attributes }), [], odd)).toEqual([]);
  expect(captured(op("Odd", [any()]), [], odd)).toBeUndefined();
  for (const wrong of [
    { f: 0.2 },
    { fs: [0.1] },
    { is: [0, 2] },
    { s: "Text" },
    { s: 1 },
    { is: 0 },
  ])
    expect(
      captured(op("com.microsoft.Odd", [any()], { attributes: wrong }), [], odd),
    ).toBeUndefined();

  const clip = op("Clip", [any("x"), optional(constant("low")), optional(constant("high"))]);
  const clipped = (b: Builder, x: Value) => b.op("c", "Clip", [x, undefined, b.float("six", 6)]);
  expect(captured(clip, ["x", "low", "high"], clipped)).toEqual(["x", undefined, "six"]);
  expect(captured(clip, ["x", "low"], (b, x) => b.op("c", "Clip", [x]))).toEqual(["x", undefined]);
  const all = op("Clip", [any(), any(), any()]);
  expect(captured(all, [], clipped)).toBeUndefined();

  const second = (b: Builder, x: Value) =>
    b.graph.addNode({ op: "Split", inputs: [x], outputs: ["l", "r"] }).output(1);
  expect(captured(op("Split", [any()]), [], second)).toBeUndefined();
  expect(captured(op("Split", [any()], { output: 1 }), [], second)).toEqual([]);
});

test("once: a second reader, an output or a subgraph that reads it too, hold the match back", () => {
  const pattern = op("Neg", [op("Abs", [any("x")], { once: true })]);
  const { graph, value } = of((b, x) => b.op("n", "Neg", [b.op("a", "Abs", [x])]));
  const inner = graph.value("a");
  if (inner === undefined) throw new Error("internal: no a");
  expect(match(pattern, value)).toBeDefined();
  graph.addOutput(inner);
  expect(match(pattern, value)).toBeUndefined();
  graph.truncateOutputs(1);
  const reader = graph.addNode({ op: "Exp", inputs: [inner] });
  expect(match(pattern, value)).toBeUndefined();
  graph.removeNode(reader);
  expect(match(pattern, value)).toBeDefined();
  const branch = builder(new Graph(graph));
  branch.output(branch.op("t", "Exp", [inner]));
  graph.addNode({
    op: "If",
    inputs: [],
    attributes: { then_branch: { type: "graph", value: branch.graph } },
  });
  expect(match(pattern, value)).toBeUndefined();
});

test("Match names what it found, the root first, and refuses other names", () => {
  const { value } = of((b, x) => {
    const exp = b.op("e", "Exp", [x]);
    return b.op("m", "Mul", [exp, b.op("n", "Neg", [exp])]);
  });
  const exp = op("Exp", [any("x")]);
  const found = match(op("Mul", [op("Neg", [exp]), exp]), value);
  expect(found?.nodes.map((n) => n.op)).toEqual(["Mul", "Neg", "Exp"]);
  expect(() => found?.get("y")).toThrow(/^internal: the pattern captured no "y"/);
});

const dropNegs = rule("two negations", op("Neg", [op("Neg", [any("x")])]), (m) => m.get("x"));

test("a match is replaced, its unread nodes go, names and types of outputs stay", () => {
  const gelu = rule(
    "gelu",
    op("Mul", [any("x"), op("Sigmoid", [op("Mul", [any("x"), scalar(1.702)])])]),
    (m, at) =>
      emit(at, "com.microsoft.QuickGelu", [m.get("x")], { alpha: { type: "float", value: 1.702 } }),
  );
  const { graph } = of((b, x) => {
    const scaled = b.op("scaled", "Mul", [b.float("k", 1.702), x]);
    const value = b.op("gelu", "Mul", [b.op("gate", "Sigmoid", [scaled]), x]);
    value.dtype = "float32";
    value.shape = [4];
    return value;
  });
  expect(rewrite(graph, [gelu])).toBe(1);
  verify(graph);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[4], y: float32[4])
      unused k: 1.702
      %gelu: float32[4] = com.microsoft.QuickGelu(x) alpha=1.702
      return %gelu"
  `);
});

test("nodes of a match that somebody else reads stay", () => {
  const build = (b: Builder, x: Value) => {
    const inner = b.op("inner", "Neg", [x]);
    return b.op("sum", "Add", [b.op("outer", "Neg", [inner]), inner]);
  };
  expect(rewritten([dropNegs], build)).toMatchInlineSnapshot(`
    "1 rewrites
    graph(x: float32[4], y: float32[4])
      %inner = Neg(x)
      %sum = Add(x, %inner)
      return %sum"
  `);
});

test("a match whose nodes read each other in any order is removed whole", () => {
  const exp = op("Exp", [any("x")]);
  const rules = [
    rule("r", op("Mul", [exp, op("Neg", [exp])]), (m, at) => emit(at, "Abs", [m.get("x")])),
  ];
  const build = (b: Builder, x: Value) => {
    const e = b.op("e", "Exp", [x]);
    return b.op("m", "Mul", [e, b.op("n", "Neg", [e])]);
  };
  expect(rewritten(rules, build)).toMatchInlineSnapshot(`
    "1 rewrites
    graph(x: float32[4], y: float32[4])
      %m = Abs(x)
      return %m"
  `);
});

test("rules feed each other: what a rewrite made, and the readers of what it replaced, are tried again", () => {
  const rules = [
    dropNegs,
    rule("sub", op("Sub", [scalar(0), any("x")]), (m, at) => emit(at, "Neg", [m.get("x")])),
    rule("abs", op("Abs", [op("Neg", [any("x")])]), (m, at) => emit(at, "Abs", [m.get("x")])),
  ];
  const build = (b: Builder, x: Value) => {
    const zero = b.float("zero", 0);
    const negated = b.op("b", "Sub", [zero, b.op("a", "Sub", [zero, x])]);
    return b.op("d", "Abs", [b.op("c", "Sub", [zero, negated])]);
  };
  expect(rewritten(rules, build)).toMatchInlineSnapshot(`
    "5 rewrites
    graph(x: float32[4], y: float32[4])
      unused zero: 0.0
      %d = Abs(x)
      return %d"
  `);
});

test("rules that undo each other, and one that only renews itself, come to an end", () => {
  const swap = (from: string, to: string) =>
    rule(from, op(from, [any("x")]), (m, at) => emit(at, to, [m.get("x")]));
  const build = (b: Builder, x: Value) => b.op("n", "Neg", [x]);
  expect(rewritten([swap("Neg", "Abs"), swap("Abs", "Neg")], build)).toMatch(/^16 rewrites/);
  expect(rewritten([swap("Neg", "Neg")], build)).toMatch(/^16 rewrites/);
  const same = rule("same", op("Neg", [any()], { as: "all" }), (m) => m.get("all"));
  expect(rewritten([same], build)).toMatch(/^0 rewrites/);
});

test("a replacement that reads the matched value comes behind it", () => {
  const wrap = rule("wrap", op("Neg", [any()], { as: "n" }), (m, at) =>
    emit(at, "Cast", [emit(at, "Cast", [m.get("n")], { to: 10 })], { to: 1 }),
  );
  const build = (b: Builder, x: Value) => {
    const neg = b.op("neg", "Neg", [x]);
    return b.op("sum", "Add", [neg, b.op("abs", "Abs", [neg])]);
  };
  expect(rewritten([wrap], build)).toMatchInlineSnapshot(`
    "1 rewrites
    graph(x: float32[4], y: float32[4])
      %neg = Neg(x)
      %Cast_out = Cast(%neg) to=10
      %Cast_out_1 = Cast(%Cast_out) to=1
      %abs = Abs(%Cast_out_1)
      %sum = Add(%Cast_out_1, %abs)
      return %sum"
  `);
});

test("the first rule that fits and gives something wins; a value that nobody reads is left alone", () => {
  const to = (name: string) =>
    rule(name, op("Neg", [any("x")]), (m, at) => emit(at, name, [m.get("x")]));
  const declines = rule("declines", op("Neg", [any()]), () => undefined);
  const build = (b: Builder, x: Value) => {
    b.op("unread", "Neg", [x]);
    return b.op("n", "Neg", [x]);
  };
  expect(rewritten([declines, to("First"), to("Second")], build)).toMatchInlineSnapshot(`
    "1 rewrites
    graph(x: float32[4], y: float32[4])
      %unread = Neg(x)
      %n = First(x)
      return %n"
  `);
});

test("subgraphs: matched within, never across; outer values are captured, and outer readers kept", () => {
  const { graph } = buildModel((b) => {
    const x = b.input("x", [4]);
    const c = b.input("c", [], "bool");
    const outside = b.op("outside", "Neg", [x]);
    const branch = (name: string, build: (inner: Builder) => Value) => {
      const inner = builder(new Graph(b.graph));
      inner.graph.name = name;
      inner.output(build(inner));
      return { type: "graph", value: inner.graph } as const;
    };
    const then_branch = branch("across", (i) => i.op("t", "Neg", [outside]));
    const else_branch = branch("within", (i) => i.op("f", "Neg", [i.op("e", "Neg", [outside])]));
    b.output(b.op("y", "If", [c], { then_branch, else_branch }));
  });
  expect(rewrite(graph, [dropNegs])).toBe(1);
  verify(graph);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[4], c: bool[])
      %outside = Neg(x)
      %y = If(c)
        then_branch = across()
          %t = Neg(%outside)
          return %t
        else_branch = within()
          %Identity_out = Identity(%outside)
          return %Identity_out
      return %y"
  `);
});

test("a rule must say which operator it starts from", () => {
  const { graph } = of((b, x) => b.op("n", "Neg", [x]));
  const open = rule("open", oneOf(any(), op("Neg", [any()])), () => undefined);
  expect(() => rewrite(graph, [open])).toThrow(/^internal: rule "open" has no operator/);
});

test("emit: domains, names, several outputs, floats as floats", () => {
  const { graph } = of((b, x) => b.op("n", "Neg", [x]));
  const at = graph.first;
  if (at === undefined) throw new Error("internal: no node");
  const x = graph.inputs[0];
  emit(at, "a.b.Op", [x, undefined, x], { axis: 1, perm: [1, 0], mode: "m" }, { outputs: 2 });
  emit(
    at,
    "Dotted.op",
    [x],
    { f: { type: "float", value: 1 } },
    { domain: "d", outputs: ["o", ""] },
  );
  emit(at, "Neg", [], {}, { name: "twin" });
  emit(at, "Neg", [], {}, { name: "twin" });
  expect([...graph.nodes()].map((n) => n.name)).toEqual(["", "", "twin", "twin_1", ""]);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[4], y: float32[4])
      %Op_out, %Op_out_1 = a.b.Op(x, _, x) axis=1 perm=[1, 0] mode="m"
      %o, _ = d.Dotted.op(x) f=1.0
      %twin_out = Neg()
      %twin_out_1 = Neg()
      %n = Neg(x)
      return %n"
  `);
});

test("a long chain of matches takes a time that grows with its length", () => {
  const { graph } = of((b, x) => {
    let at = x;
    for (let i = 0; i < 100_000; i++) at = b.op(`n${i}`, "Neg", [at]);
    return b.op("out", "Abs", [at]);
  });
  expect(rewrite(graph, [dropNegs])).toBe(50_000);
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[4], y: float32[4])
      %out = Abs(x)
      return %out"
  `);
});

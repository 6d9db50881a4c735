import fc from "fast-check";
import { expect, test } from "vitest";
import { builder, type Builder } from "../../test/build.js";
import { Graph, type Value } from "../graph/graph.js";
import { boundsOfGraph, isFinite } from "./bounds.js";

/** An expression over float32 scalars: its graph, and one of the values it may have. */
type Expression = (b: Builder) => { value: Value; actual: number };

const numbers = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 0.5, 8, 1e30, -1e38, 3.4028234663852886e38, -3.4028234663852886e38),
  fc.constantFrom(Infinity, -Infinity, 1e-45),
  fc.float({ noNaN: true }),
);

function node(b: Builder, op: string, inputs: readonly Value[], actual: number) {
  const value = b.op(b.graph.freshName("v"), op, inputs);
  value.dtype = "float32";
  return { value, actual: Math.fround(actual) };
}

const BINARY: Record<string, (a: number, b: number) => number> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Min: Math.min,
  Max: Math.max,
};

const { expression } = fc.letrec<{ expression: Expression; leaf: Expression }>((tie) => ({
  leaf: numbers.map((n): Expression => (b) => ({
    value: b.float("c", n),
    actual: Math.fround(n),
  })),
  expression: fc.oneof(
    { maxDepth: 5 },
    tie("leaf"),
    fc
      .tuple(fc.constantFrom(...Object.keys(BINARY)), tie("expression"), tie("expression"))
      .map(([op, left, right]): Expression => (b) => {
        const x = left(b);
        const y = right(b);
        const actual = BINARY[op]?.(x.actual, y.actual) ?? Number.NaN;
        return node(b, op, [x.value, y.value], actual);
      }),
    tie("expression").map((inner): Expression => (b) => {
      const x = inner(b);
      return node(b, "Neg", [x.value], -x.actual);
    }),
    fc
      .tuple(fc.boolean(), tie("expression"), tie("expression"))
      .map(([pick, left, right]): Expression => (b) => {
        const condition = b.input(b.graph.freshName("if"), [], "bool");
        const x = left(b);
        const y = right(b);
        return node(b, "Where", [condition, x.value, y.value], pick ? x.actual : y.actual);
      }),
  ),
}));

test("whatever float32 arithmetic gives lies within the bounds, and is no NaN", () => {
  let bounded = 0;
  fc.assert(
    fc.property(expression, (make) => {
      const { value, actual } = make(builder(new Graph()));
      const bounds = boundsOfGraph()(value);
      if (bounds === undefined) return;
      bounded++;
      expect(actual).not.toBeNaN();
      expect(actual).toBeGreaterThanOrEqual(bounds.lo);
      expect(actual).toBeLessThanOrEqual(bounds.hi);
    }),
    { numRuns: 3000 },
  );
  expect(bounded).toBeGreaterThan(1000);
});

test("the lowest float32 takes an activation, but not itself", () => {
  const b = builder(new Graph());
  const lowest = b.float("lowest", -3.4028234663852886e38);
  const score = b.op("score", "MatMul", [b.input("q", [2, 2]), b.input("k", [2, 2])]);
  score.dtype = "float32";
  const sum = (name: string, x: Value) => node(b, "Add", [x, lowest], 0).value;
  const bounds = boundsOfGraph();
  expect(isFinite(bounds(sum("once", score)))).toBe(true);
  expect(isFinite(bounds(sum("twice", lowest)))).toBe(false);
});

test("a chain as long as a file may hold is no stack overflow", () => {
  const b = builder(new Graph());
  let value = b.float("c", 1);
  for (let i = 0; i < 100_000; i++) value = node(b, "Neg", [value], 0).value;
  expect(boundsOfGraph()(value)).toBeUndefined();
});

test.each(["Add", "Sub", "Mul", "Div", "Min", "Max", "Sum"])(
  "of a %s with an unknown value nothing is known, on whichever side it stands",
  (op) => {
    const boundsOf = boundsOfGraph();
    const b = builder(new Graph());
    const x = b.input("x", [2]);
    const known = b.float("known", 2);
    for (const [i, inputs] of [
      [x, known],
      [known, x],
    ].entries()) {
      const value = b.op(`y${i}`, op, inputs);
      value.dtype = "float32";
      expect(isFinite(boundsOf(value))).toBe(false);
    }
  },
);

test.each([
  ["Add", -1, 5],
  ["Sub", -5, 1],
  ["Mul", -6, 6],
  ["Min", -2, 2],
  ["Max", 1, 3],
  ["Sum", -1, 5],
])("the bounds of a %s are as narrow as its operands allow", (op, lo, hi) => {
  const boundsOf = boundsOfGraph();
  const b = builder(new Graph());
  const [x, y] = [b.float("x", [-2, 2]), b.float("y", [1, 3])];
  const value = b.op("z", op, [x, y]);
  value.dtype = "float32";
  const bounds = boundsOf(value);
  expect(bounds?.lo).toBeCloseTo(lo, 5);
  expect(bounds?.hi).toBeCloseTo(hi, 5);
});

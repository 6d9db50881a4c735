import { describe, expect, test } from "vitest";
import { bytesOf, builder, buildModel, floats, type Builder } from "../../test/build.js";
import { numbers, runModel } from "../../test/run.js";
import { expectUntouched } from "../../test/untouched.js";
import { Graph, type Dim, type Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { removeNanGuards } from "./nan-guard.js";

const LOWEST = -3.4028234663852886e38;

type Scores = (b: Builder, products: Value, keep: Value) => Value;

/** softmax(scores(q · kᵀ, keep)) guarded, times v; `keep` is a bool input [batch, 1, 1, keys]. */
function attention(scores: Scores, options: { readProbabilities?: boolean } = {}): Model {
  return buildModel((b) => {
    const shape = ["batch", 2, "length", 4];
    const q = b.input("q", shape);
    const k = b.input("k", ["batch", 2, 4, "length"]);
    const v = b.input("v", shape);
    const keep = b.input("keep", ["batch", 1, 1, "length"], "bool");
    const s = scores(b, b.op("products", "MatMul", [q, k]), keep);
    const p = b.op("p", "Softmax", [s], { axis: -1 });
    const guarded = b.op("guarded", "Where", [b.op("nan", "IsNaN", [p]), b.float("zero", 0), p]);
    b.output(b.op("y", "MatMul", [guarded, v]));
    if (options.readProbabilities === true) b.output(guarded);
  });
}

const masked =
  (fill: number, keepValue = 0): Scores =>
  (b, products, keep) => {
    const mask = b.op("mask", "Where", [
      keep,
      b.float("keepValue", keepValue),
      b.float("fill", fill),
    ]);
    return b.op("scores", "Add", [products, mask]);
  };

/** Row 0 attends to all, row 1 to the first three, row 2 to nothing. */
function feeds(): Record<string, Tensor> {
  const keep = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
  return {
    q: floats([3, 2, 5, 4], 1),
    k: floats([3, 2, 4, 5], 2),
    v: floats([3, 2, 5, 4], 3),
    keep: tensorOf("bool", [3, 1, 1, 5], Uint8Array.from(keep)),
  };
}

async function result(model: Model): Promise<number[]> {
  const { y } = await runModel(bytesOf(model), feeds(), { level: "disabled" });
  return y === undefined ? [] : numbers(y);
}

/** "removed", "moved" or "kept"; the result must be the same to the bit, rows without any key included. */
async function fate(model: Model): Promise<string> {
  const before = await result(model);
  const changes = removeNanGuards(model);
  verify(model);
  const after = await result(model);
  expect(after).toEqual(before);
  expect(after.some(Number.isNaN)).toBe(false);
  expect(removeNanGuards(model)).toBe(0);
  const left = [...model.graph.nodes()].some((node) => node.op === "IsNaN");
  if (changes === 0) return "kept";
  return left ? "moved" : "removed";
}

describe("a guard is removed where every score is finite", () => {
  test.each<[string, Scores]>([
    ["no mask", (b, s) => b.op("scaled", "Div", [s, b.float("d", 8)])],
    ["the lowest number as fill", masked(LOWEST)],
    ["-10000 as fill", masked(-10000)],
    [
      "(1 - keep) * lowest",
      (b, s, keep) => {
        const kept = b.op("kept", "Cast", [keep], { to: 1 });
        const lost = b.op("lost", "Sub", [b.float("one", 1), kept]);
        return b.op("scores", "Add", [s, b.op("mask", "Mul", [lost, b.float("f", LOWEST)])]);
      },
    ],
    [
      "scores replaced by the lowest number",
      (b, s, keep) => b.op("scores", "Where", [keep, s, b.float("fill", LOWEST)]),
    ],
    [
      "two masks that add up to less than the lowest number allows",
      (b, s, keep) => {
        const mask = () =>
          b.op(b.graph.freshName("m"), "Where", [keep, b.float("z", 0), b.float("f", -1e38)]);
        return b.op("scores", "Add", [b.op("first", "Add", [s, mask()]), mask()]);
      },
    ],
    [
      "a mask bounded again after its sum",
      (b, s, keep) => {
        const mask = () =>
          b.op(b.graph.freshName("m"), "Where", [keep, b.float("z", 0), b.float("f", LOWEST)]);
        const both = b.op("both", "Max", [
          b.op("sum", "Add", [mask(), mask()]),
          b.float("low", LOWEST),
        ]);
        return b.op("scores", "Add", [s, both]);
      },
    ],
  ])("%s", async (_, scores) => {
    expect(await fate(attention(scores))).toBe("removed");
  });
});

describe("a guard moves behind the product where a row may be NaN", () => {
  test.each<[string, Scores]>([
    ["-Infinity as fill", masked(-Infinity)],
    [
      "two masks of the lowest number, whose sum overflows to -Infinity",
      (b, s, keep) => {
        const mask = () =>
          b.op(b.graph.freshName("m"), "Where", [keep, b.float("z", 0), b.float("f", LOWEST)]);
        return b.op("scores", "Add", [s, b.op("both", "Add", [mask(), mask()])]);
      },
    ],
    [
      "a fill that a factor makes infinite",
      (b, s, keep) => {
        const mask = b.op("m", "Where", [keep, b.float("z", 0), b.float("f", LOWEST)]);
        return b.op("scores", "Add", [s, b.op("m2", "Mul", [mask, b.float("two", 2)])]);
      },
    ],
    [
      "(1 - keep) * -Infinity",
      (b, s, keep) => {
        const mask = b.op("mask", "Where", [keep, b.float("z", 0), b.float("f", -Infinity)]);
        return b.op("scores", "Where", [keep, s, mask]);
      },
    ],
    [
      "the logarithm of a mask",
      (b, s, keep) => {
        const kept = b.op("kept", "Cast", [keep], { to: 1 });
        return b.op("scores", "Add", [s, b.op("mask", "Log", [kept])]);
      },
    ],
  ])("%s", async (_, scores) => {
    expect(await fate(attention(scores))).toBe("moved");
  });
});

test("the printed graph: removed", () => {
  const model = attention(masked(LOWEST));
  expect(removeNanGuards(model)).toBe(1);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(
        q: float32[batch, 2, length, 4],
        k: float32[batch, 2, 4, length],
        v: float32[batch, 2, length, 4],
        keep: bool[batch, 1, 1, length],
    )
      unused zero: 0.0
      %products: float32[batch, 2, length, length] = MatMul(q, k)
      %mask: float32[batch, 1, 1, length] = Where(keep, 0.0, -3.4028235e+38)
      %scores: float32[batch, 2, length, length] = Add(%products, %mask)
      %p: float32[batch, 2, length, length] = Softmax(%scores) axis=-1
      %y: float32[batch, 2, length, 4] = MatMul(%p, v)
      return %y"
  `);
});

test("the printed graph: moved, the output keeps its name", () => {
  const model = attention(masked(-Infinity));
  expect(removeNanGuards(model)).toBe(1);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(
        q: float32[batch, 2, length, 4],
        k: float32[batch, 2, 4, length],
        v: float32[batch, 2, length, 4],
        keep: bool[batch, 1, 1, length],
    )
      %products: float32[batch, 2, length, length] = MatMul(q, k)
      %mask: float32[batch, 1, 1, length] = Where(keep, 0.0, -inf)
      %scores: float32[batch, 2, length, length] = Add(%products, %mask)
      %p: float32[batch, 2, length, length] = Softmax(%scores) axis=-1
      %y_before: float32[batch, 2, length, 4] = MatMul(%p, v)
      %IsNaN_out: bool[batch, 2, length, 4] = IsNaN(%y_before)
      %y: float32[batch, 2, length, 4] = Where(%IsNaN_out, 0.0, %y_before)
      return %y"
  `);
});

test("a guard that must stay before the product stays when asked", () => {
  const model = attention(masked(-Infinity));
  expect(removeNanGuards(model, { behindProduct: false })).toBe(0);
  expect(removeNanGuards(attention(masked(LOWEST)), { behindProduct: false })).toBe(1);
});

test("guarded probabilities that others read stay guarded, unless proven finite", async () => {
  const read = { readProbabilities: true };
  expect(await fate(attention(masked(-Infinity), read))).toBe("kept");
  expect(await fate(attention(masked(LOWEST), read))).toBe("removed");
});

test("a mask that comes from outside proves nothing: int64 masks may hold any number, floats infinities", async () => {
  const outside = (dtype: "int64" | "float32") =>
    buildModel((b) => {
      const s = b.op("s", "MatMul", [b.input("q", [2, 4]), b.input("k", [4, 2])]);
      const given = b.input("mask", [2, 2], dtype);
      const mask = dtype === "float32" ? given : b.op("f", "Cast", [given], { to: 1 });
      const fill = b.op("fill", "Mul", [mask, b.float("low", LOWEST)]);
      const p = b.op("p", "Softmax", [b.op("scores", "Add", [s, fill])]);
      const g = b.op("g", "Where", [b.op("nan", "IsNaN", [p]), b.float("zero", 0), p]);
      b.output(b.op("y", "Relu", [g]));
    });
  expect(removeNanGuards(outside("int64"))).toBe(0);
  expect(removeNanGuards(outside("float32"))).toBe(0);
});

test("float16 scores leave no room: -65504 plus a score may be -Infinity", () => {
  const build = (fill: number) =>
    buildModel((b) => {
      const s = b.op("s", "MatMul", [
        b.input("q", [2, 4], "float16"),
        b.input("k", [4, 2], "float16"),
      ]);
      const half = (name: string, code: number) =>
        b.graph.addInitializer(name, tensorOf("float16", [], Uint16Array.of(code)));
      const mask = b.op("mask", "Where", [
        b.input("keep", [2, 2], "bool"),
        half("z", 0),
        half("f", fill),
      ]);
      const p = b.op("p", "Softmax", [b.op("scores", "Add", [s, mask])]);
      const g = b.op("g", "Where", [b.op("nan", "IsNaN", [p]), half("zero", 0), p]);
      b.output(b.op("y", "Relu", [g]));
    });
  expect(removeNanGuards(build(0xfbff))).toBe(0);
});

test("a Softmax over another axis does not mark rows: its guard does not move", () => {
  const model = buildModel((b) => {
    const s = b.op("s", "Add", [b.input("x", [3, 3]), b.float("inf", -Infinity)]);
    const p = b.op("p", "Softmax", [s], { axis: 0 });
    const g = b.op("g", "Where", [b.op("nan", "IsNaN", [p]), b.float("zero", 0), p]);
    b.output(b.op("y", "MatMul", [g, b.input("v", [3, 2])]));
  });
  expect(removeNanGuards(model)).toBe(0);
});

test("other Where and IsNaN are no guards", () => {
  const model = buildModel((b) => {
    const x = b.input("x", [3, 3]);
    const p = b.op("p", "Softmax", [x]);
    const nan = b.op("nan", "IsNaN", [p]);
    b.output(
      b.op("one", "Where", [nan, b.float("c1", 1), p]),
      b.op("swapped", "Where", [nan, p, b.float("c0", 0)]),
      b.op("other", "Where", [nan, b.float("c2", 0), x]),
      b.op("relu", "Where", [b.op("n2", "IsNaN", [x]), b.float("c3", 0), x]),
    );
  });
  expect(removeNanGuards(model)).toBe(0);
});

interface Odd {
  readonly scores?: readonly Dim[];
  readonly fill?: number;
  readonly zero?: readonly number[];
  readonly values?: readonly Dim[];
  readonly opset?: number;
  readonly axis?: number;
  /** The reader of the guarded probabilities; default: their product with the values. */
  readonly read?: (b: Builder, guarded: Value, values: Value) => Value;
}

/** A guard as in attention, over scores that may be -Infinity. */
function guarded({
  scores = [2, 3, 5],
  fill = -Infinity,
  zero = [],
  values = [2, 5, 4],
  opset = 18,
  axis,
  read = (b, p, v) => b.op("y", "MatMul", [p, v]),
}: Odd): Model {
  return buildModel(
    (b) => {
      const s = b.op("s", "Add", [b.input("x", scores), b.float("fill", fill)]);
      const p = b.op("p", "Softmax", [s], axis === undefined ? {} : { axis });
      const none = b.float("zero", [0], zero);
      const g = b.op("g", "Where", [b.op("nan", "IsNaN", [p]), none, p]);
      b.output(read(b, g, b.input("v", values)));
    },
    { opset },
  );
}

test("the model that the next tests spoil is one whose guard moves", () => {
  expect(removeNanGuards(guarded({}))).toBe(1);
  expect(removeNanGuards(guarded({ zero: [1, 1, 1] }))).toBe(1);
  expect(removeNanGuards(guarded({ opset: 12, axis: 2 }))).toBe(1);
});

test.each<[string, Odd]>([
  ["whose zero has more axes than the probabilities", { zero: [1, 1, 1, 1] }],
  [
    "of probabilities that stand on the right of the product",
    { scores: [2, 4, 5], read: (b, p, v) => b.op("y", "MatMul", [v, p]) },
  ],
  ["whose values are one vector, so that each row becomes one number", { values: [5] }],
  ["of probabilities that are one row without an axis for rows", { scores: [5] }],
  ["of an old Softmax, which flattens all axes from the second on", { opset: 12 }],
  ["of an old Softmax over the axes from the first on", { opset: 12, axis: 0 }],
  [
    "that is added to a matrix, and not multiplied with it",
    { values: [2, 3, 5], read: (b, p, v) => b.op("y", "Add", [p, v]) },
  ],
  ["that something else than a product reads", { read: (b, p) => b.op("y", "Relu", [p]) }],
  [
    "that a second product reads",
    {
      read: (b, p, v) =>
        b.op("y", "Add", [
          b.op("one", "MatMul", [p, v]),
          b.op("two", "MatMul", [p, b.op("w", "Neg", [v])]),
        ]),
    },
  ],
  [
    "whose result is multiplied with itself",
    { scores: [5, 5], read: (b, p) => b.op("y", "MatMul", [p, p]) },
  ],
  [
    "that a branch reads, which may not be taken",
    {
      read: (b, p, v) => {
        const branch = (name: string, left: Value) => {
          const inner = builder(new Graph(b.graph));
          inner.output(inner.op(name, "MatMul", [left, v]));
          return { type: "graph", value: inner.graph } as const;
        };
        const other = b.input("other", [2, 3, 5]);
        const branches = { then_branch: branch("t", p), else_branch: branch("e", other) };
        return b.op("y", "If", [b.input("condition", [], "bool")], branches);
      },
    },
  ],
])("a guard %s stays", (_, spoiled) => {
  expectUntouched(guarded(spoiled), (model) => removeNanGuards(model));
});

test("a guard behind a Cast of the probabilities is one all the same", () => {
  const model = buildModel((b) => {
    const p = b.op("p", "Softmax", [b.input("x", [2, 3, 5], "float16")]);
    const wide = b.op("wide", "Cast", [b.op("same", "Identity", [p])], { to: 1 });
    const g = b.op("g", "Where", [b.op("nan", "IsNaN", [wide]), b.float("zero", 0), wide]);
    b.output(b.op("y", "MatMul", [g, b.input("v", [2, 5, 4])]));
  });
  expect(removeNanGuards(model)).toBe(1);
  verify(model);
});

test("a test for NaN that others read stays when its guard goes", () => {
  const model = buildModel((b) => {
    const p = b.op("p", "Softmax", [b.op("s", "Tanh", [b.input("x", [3, 5])])]);
    const nan = b.op("nan", "IsNaN", [p]);
    const g = b.op("g", "Where", [nan, b.float("zero", 0), p]);
    b.output(b.op("y", "MatMul", [g, b.input("v", [5, 2])]), b.op("any", "Cast", [nan], { to: 1 }));
  });
  expect(removeNanGuards(model)).toBe(1);
  verify(model);
  expect([...model.graph.nodes()].map(({ op }) => op)).toEqual([
    "Tanh",
    "Softmax",
    "IsNaN",
    "MatMul",
    "Cast",
  ]);
});

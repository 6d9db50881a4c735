import { describe, expect, test } from "vitest";
import { bytesOf, buildModel, floats, type Builder } from "../../test/build.js";
import { optimizedByOrt, runModel, snr } from "../../test/run.js";
import type { Value } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { fuseGelu, reorderGelu } from "./gelu.js";

type Spelling = (b: Builder, x: Value) => Value;

/** MatMul → + bias → GELU → MatMul, as in a feed-forward block. */
function block(gelu: Spelling): Model {
  return buildModel((b) => {
    const x = b.input("x", ["batch", "length", 8]);
    const w = b.graph.addInitializer("w", floats([8, 8]));
    const bias = b.graph.addInitializer("bias", floats([8], 2));
    const h = b.op("h", "Add", [b.op("product", "MatMul", [x, w]), bias]);
    b.output(b.op("y", "MatMul", [gelu(b, h), w]));
  });
}

const div: Spelling = (b, x) => b.op("scaled", "Div", [x, b.float("root2", Math.SQRT2)]);
const mul: Spelling = (b, x) => b.op("scaled", "Mul", [b.float("iroot2", Math.SQRT1_2), x]);
const cdf = (b: Builder, scaled: Value) =>
  b.op("gate", "Add", [b.op("erf", "Erf", [scaled]), b.float("one", 1)]);

const EXACT: [string, Spelling][] = [
  [
    "x * (0.5 * (1 + erf(x / root2)))",
    (b, x) => b.op("z", "Mul", [x, b.op("i", "Mul", [b.float("half", 0.5), cdf(b, div(b, x))])]),
  ],
  [
    "(0.5 * x) * (1 + erf(x / root2))",
    (b, x) => b.op("z", "Mul", [b.op("i", "Mul", [b.float("half", [0.5]), x]), cdf(b, div(b, x))]),
  ],
  [
    "(x * (1 + erf(x * 0.7071))) * 0.5",
    (b, x) => b.op("z", "Mul", [b.op("i", "Mul", [x, cdf(b, mul(b, x))]), b.float("half", 0.5)]),
  ],
  [
    "((1 + erf(x * 0.7071)) * 0.5) * x",
    (b, x) => b.op("z", "Mul", [b.op("i", "Mul", [cdf(b, mul(b, x)), b.float("half", 0.5)]), x]),
  ],
  [
    "(x * (1 + erf(x / root2))) / 2",
    (b, x) => b.op("z", "Div", [b.op("i", "Mul", [x, cdf(b, div(b, x))]), b.float("two", 2)]),
  ],
  [
    "(x / 2) * (1 + erf(x / root2))",
    (b, x) => b.op("z", "Mul", [b.op("i", "Div", [x, b.float("two", 2)]), cdf(b, div(b, x))]),
  ],
];

const K = 0.044715;
const ROOT = 0.7978845608028654;
const tanhGate = (b: Builder, argument: Value) =>
  b.op("gate", "Add", [b.op("tanh", "Tanh", [argument]), b.float("one", 1)]);
const withPow: Spelling = (b, x) => {
  const cube = b.op("cube", "Pow", [x, b.float("three", 3)]);
  const sum = b.op("sum", "Add", [x, b.op("cubic", "Mul", [b.float("k", K), cube])]);
  return tanhGate(b, b.op("argument", "Mul", [b.float("root", ROOT), sum]));
};
const withProducts: Spelling = (b, x) => {
  const cube = b.op("cube", "Mul", [b.op("square", "Mul", [x, x]), x]);
  const sum = b.op("sum", "Add", [b.op("cubic", "Mul", [cube, b.float("k", K)]), x]);
  return tanhGate(b, b.op("argument", "Mul", [sum, b.float("root", ROOT)]));
};
const factored: Spelling = (b, x) => {
  const square = b.op("square", "Mul", [x, x]);
  const sum = b.op("sum", "Add", [b.op("k2", "Mul", [square, b.float("k", K)]), b.float("1", 1)]);
  const scaled = b.op("scaled", "Mul", [x, b.float("root", ROOT)]);
  return tanhGate(b, b.op("argument", "Mul", [scaled, sum]));
};

const TANH: [string, Spelling][] = [
  [
    "0.5 * x * (1 + tanh(…)), cubes as products",
    (b, x) => b.op("z", "Mul", [b.op("i", "Mul", [b.float("half", 0.5), x]), withProducts(b, x)]),
  ],
  [
    "x * (0.5 * (1 + tanh(…)))",
    (b, x) => b.op("z", "Mul", [x, b.op("i", "Mul", [withPow(b, x), b.float("half", 0.5)])]),
  ],
  [
    "(x * (1 + tanh(…))) * 0.5, factored",
    (b, x) => b.op("z", "Mul", [b.op("i", "Mul", [x, factored(b, x)]), b.float("half", 0.5)]),
  ],
];

async function fusedOps(model: Model): Promise<string[]> {
  const optimized = importModel(decodeModel(await optimizedByOrt(bytesOf(model))));
  return [...optimized.graph.allNodes()].map((node) => node.op);
}

describe.each([
  ["erf", EXACT, "com.microsoft.BiasGelu"],
  ["tanh", TANH, "com.microsoft.FastGelu"],
] as const)("GELU by %s", (_, spellings, fused) => {
  test.each(spellings)("%s is written as onnxruntime fuses it", async (__, spelling) => {
    const model = block(spelling);
    const feeds = { x: floats([2, 5, 8], 3) };
    const before = await runModel(bytesOf(model), feeds, { level: "disabled" });
    expect(reorderGelu(model)).toBe(1);
    verify(model);
    const after = await runModel(bytesOf(model), feeds, { level: "disabled" });
    const [a, b] = [before["y"], after["y"]];
    expect(a && b && snr(a, b)).toBeGreaterThan(125);
    expect(await fusedOps(model)).toEqual(["MatMul", fused, "MatMul"]);
    expect(reorderGelu(model)).toBe(0);
  });
});

test("the current exporter's order before and after, bit-equal", async () => {
  const spelling = EXACT[0]?.[1];
  if (spelling === undefined) throw new Error("no spelling");
  const model = block(spelling);
  const feeds = { x: floats([2, 5, 8], 3) };
  const before = await runModel(bytesOf(model), feeds, { level: "disabled" });
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, length, 8])
      %product: float32[batch, length, 8] = MatMul(x, w: float32[8, 8])
      %h: float32[batch, length, 8] = Add(%product, [0.47368616, 0.9199489, 0.3779006, -0.5162007, -0.56598026, 0.23445845, 0.4116, 0.9446831])
      %scaled: float32[batch, length, 8] = Div(%h, 1.4142135)
      %erf: float32[batch, length, 8] = Erf(%scaled)
      %gate: float32[batch, length, 8] = Add(%erf, 1.0)
      %i: float32[batch, length, 8] = Mul(0.5, %gate)
      %z: float32[batch, length, 8] = Mul(%h, %i)
      %y: float32[batch, length, 8] = MatMul(%z, w: float32[8, 8])
      return %y"
  `);
  reorderGelu(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, length, 8])
      unused half: 0.5
      unused root2: 1.4142135
      unused one: 1.0
      %product: float32[batch, length, 8] = MatMul(x, w: float32[8, 8])
      %h: float32[batch, length, 8] = Add(%product, [0.47368616, 0.9199489, 0.3779006, -0.5162007, -0.56598026, 0.23445845, 0.4116, 0.9446831])
      %Div_out: float32[batch, length, 8] = Div(%h, 1.4142135)
      %Erf_out: float32[batch, length, 8] = Erf(%Div_out)
      %Add_out: float32[batch, length, 8] = Add(%Erf_out, 1.0)
      %Mul_out: float32[batch, length, 8] = Mul(%h, %Add_out)
      %z: float32[batch, length, 8] = Mul(%Mul_out, 0.5)
      %y: float32[batch, length, 8] = MatMul(%z, w: float32[8, 8])
      return %y"
  `);
  const after = await runModel(bytesOf(model), feeds, { level: "disabled" });
  expect(after["y"]?.data.read()).toEqual(before["y"]?.data.read());
});

test("GELU by tanh before and after", () => {
  const spelling = TANH[0]?.[1];
  if (spelling === undefined) throw new Error("no spelling");
  const model = block(spelling);
  reorderGelu(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, length, 8])
      unused half: 0.5
      unused k: 0.044715
      unused root: 0.7978846
      unused one: 1.0
      %product: float32[batch, length, 8] = MatMul(x, w: float32[8, 8])
      %h: float32[batch, length, 8] = Add(%product, [0.47368616, 0.9199489, 0.3779006, -0.5162007, -0.56598026, 0.23445845, 0.4116, 0.9446831])
      %Pow_out: float32[batch, length, 8] = Pow(%h, 3.0)
      %Mul_out: float32[batch, length, 8] = Mul(%Pow_out, 0.044715)
      %Add_out: float32[batch, length, 8] = Add(%h, %Mul_out)
      %Mul_out_1: float32[batch, length, 8] = Mul(%Add_out, 0.7978846)
      %Tanh_out: float32[batch, length, 8] = Tanh(%Mul_out_1)
      %Add_out_1: float32[batch, length, 8] = Add(%Tanh_out, 1.0)
      %Mul_out_2: float32[batch, length, 8] = Mul(%h, 0.5)
      %z: float32[batch, length, 8] = Mul(%Mul_out_2, %Add_out_1)
      %y: float32[batch, length, 8] = MatMul(%z, w: float32[8, 8])
      return %y"
  `);
});

test.each<[string, Spelling]>([
  [
    "another constant",
    (b, x) => {
      const scaled = b.op("scaled", "Div", [x, b.float("root2", 1.5)]);
      return b.op("z", "Mul", [x, b.op("i", "Mul", [b.float("half", 0.5), cdf(b, scaled)])]);
    },
  ],
  [
    "another x behind the gate",
    (b, x) => {
      const other = b.op("other", "Neg", [x]);
      const i = b.op("i", "Mul", [b.float("half", 0.5), cdf(b, div(b, x))]);
      return b.op("z", "Mul", [other, i]);
    },
  ],
  [
    "an inner value that others read",
    (b, x) => {
      const gate = cdf(b, div(b, x));
      b.output(gate);
      return b.op("z", "Mul", [x, b.op("i", "Mul", [b.float("half", 0.5), gate])]);
    },
  ],
  [
    "a constant that adds a dim",
    (b, x) => {
      const half = b.float("half", [0.5], [1, 1, 1, 1]);
      return b.op("z", "Mul", [x, b.op("i", "Mul", [half, cdf(b, div(b, x))])]);
    },
  ],
  [
    "a constant that a caller may override",
    (b, x) => {
      const half = b.input("half", []);
      half.tensor = b.float("c", 0.5).tensor;
      return b.op("z", "Mul", [x, b.op("i", "Mul", [half, cdf(b, div(b, x))])]);
    },
  ],
])("%s is no GELU", (_, spelling) => {
  expect(reorderGelu(block(spelling))).toBe(0);
});

describe("for training, each is one operator of the same function", () => {
  test.each([
    ...EXACT.map(([name, spelling]) => [name, spelling, "Gelu"] as const),
    ...TANH.map(([name, spelling]) => [name, spelling, "FastGelu"] as const),
  ])("%s", async (_, spelling, op) => {
    const [plain, fused] = [block(spelling), block(spelling)];
    expect(fuseGelu(fused)).toBe(1);
    verify(fused.graph);
    const ops = [...fused.graph.nodes()].map((node) => node.opType);
    expect(ops).toEqual(["MatMul", "Add", op, "MatMul"]);
    expect(fuseGelu(fused)).toBe(0);
    const feeds = { x: floats([2, 3, 8], 5) };
    const [want, got] = await Promise.all([plain, fused].map((m) => runModel(bytesOf(m), feeds)));
    expect(want?.["y"] && got?.["y"] && snr(want["y"], got["y"])).toBeGreaterThan(100);
  });
});

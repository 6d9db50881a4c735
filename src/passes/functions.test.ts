import { expect, test } from "vitest";
import { floats } from "../../test/build.js";
import { numbers, runModel } from "../../test/run.js";
import { InvalidGraphError } from "../errors.js";
import { importModel } from "../graph/import.js";
import { exportModel } from "../graph/export.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  type FunctionProto,
  type ModelProto,
  type NodeProto,
} from "../onnx/proto.js";
import { encodeModel } from "../onnx/writer.js";
import { inlineFunctions } from "./functions.js";

const call = (
  opType: string,
  input: string[],
  output: string[],
  attribute: AttributeProto[] = [],
  domain = "local",
): NodeProto => ({ opType, domain, input, output, attribute, name: output[0] ?? "" });
const std = (opType: string, input: string[], output: string[], attribute?: AttributeProto[]) =>
  call(opType, input, output, attribute, "");

const float = (name: string, f: number): AttributeProto => ({
  name,
  type: ATTRIBUTE_TYPES.float,
  f,
});
const reference = (name: string, refAttrName: string, type: number): AttributeProto => ({
  name,
  refAttrName,
  type,
});

const opsets = [
  { domain: "", version: 18 },
  { domain: "local", version: 1 },
];

function fn(
  name: string,
  input: string[],
  output: string[],
  node: NodeProto[],
  more: Partial<FunctionProto> = {},
): FunctionProto {
  return { name, domain: "local", input, output, node, opsetImport: opsets, ...more };
}

function model(node: NodeProto[], functions: FunctionProto[], version = 18): ModelProto {
  const vector = (name: string) => ({
    name,
    type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 4 }] } } },
  });
  return {
    irVersion: 8,
    opsetImport: [
      { domain: "", version },
      { domain: "local", version: 1 },
    ],
    graph: { name: "g", node, input: [vector("x")], output: [vector("y")] },
    functions,
  };
}

async function sameResult(proto: ModelProto): Promise<string> {
  const feeds = { x: floats([4]) };
  const before = await runModel(encodeModel(proto), feeds, { level: "disabled" });
  const inlined = importModel(proto);
  expect(inlineFunctions(inlined)).toBeGreaterThan(0);
  verify(inlined);
  expect(inlined.functions).toEqual([]);
  const after = await runModel(encodeModel(exportModel(inlined)), feeds, { level: "disabled" });
  expect(before["y"] && numbers(before["y"])).toEqual(after["y"] && numbers(after["y"]));
  return print(inlined);
}

const scaled = fn(
  "Scaled",
  ["a"],
  ["out"],
  [
    std("Constant", [], ["k"], [reference("value_float", "factor", ATTRIBUTE_TYPES.float)]),
    std("Mul", ["a", "k"], ["out"]),
  ],
  { attributeProto: [float("factor", 2)] },
);

test("a call becomes the function's nodes; attributes are what the call gives, or the default", async () => {
  const text = await sameResult(
    model(
      [call("Scaled", ["x"], ["h"]), call("Scaled", ["h"], ["y"], [float("factor", 0.5)])],
      [scaled],
    ),
  );
  expect(text).toMatchInlineSnapshot(`
    "opset 18, local 1
    graph g(x: float32[4])
      %h/k = Constant() value_float=2.0
      %h = Mul(x, %h/k)
      %y/k = Constant() value_float=0.5
      %y: float32[4] = Mul(%h, %y/k)
      return %y"
  `);
});

test("functions call functions; two calls of one do not share names", async () => {
  const twice = fn(
    "Twice",
    ["a"],
    ["out"],
    [
      call("Scaled", ["a"], ["once"], [reference("factor", "by", ATTRIBUTE_TYPES.float)]),
      call("Scaled", ["once"], ["out"]),
    ],
    { attribute: ["by"] },
  );
  const text = await sameResult(
    model(
      [
        call("Twice", ["x"], ["h"], [float("by", 3)]),
        call("Twice", ["h"], ["y"], [float("by", 5)]),
      ],
      [twice, scaled],
    ),
  );
  expect(text).toMatchInlineSnapshot(`
    "opset 18, local 1
    graph g(x: float32[4])
      %h/once/k = Constant() value_float=3.0
      %h/once = Mul(x, %h/once/k)
      %h/out/k = Constant() value_float=2.0
      %h = Mul(%h/once, %h/out/k)
      %y/once/k = Constant() value_float=5.0
      %y/once = Mul(%h, %y/once/k)
      %y/out/k = Constant() value_float=2.0
      %y: float32[4] = Mul(%y/once, %y/out/k)
      return %y"
  `);
});

test("an attribute that neither the call nor the function gives is left out", async () => {
  const leaky = fn(
    "Leaky",
    ["a"],
    ["out"],
    [std("LeakyRelu", ["a"], ["out"], [reference("alpha", "slope", ATTRIBUTE_TYPES.float)])],
    { attribute: ["slope"] },
  );
  const inlined = importModel(model([call("Leaky", ["x"], ["y"])], [leaky]));
  expect(inlineFunctions(inlined)).toBe(1);
  expect(inlined.graph.first?.attributes.size).toBe(0);
});

test("inputs that a call leaves out are left out in the body", async () => {
  const clip = fn(
    "Clipped",
    ["a", "low", "high"],
    ["out"],
    [std("Clip", ["a", "low", "high"], ["out"])],
  );
  const text = await sameResult(
    model(
      [
        std("Constant", [], ["c"], [float("value_float", 0.25)]),
        call("Clipped", ["x", "", "c"], ["y"]),
      ],
      [clip],
    ),
  );
  expect(text).toMatchInlineSnapshot(`
    "opset 18, local 1
    graph g(x: float32[4])
      %c = Constant() value_float=0.25
      %y: float32[4] = Clip(x, _, %c)
      return %y"
  `);
});

test("subgraphs in a body read the body's values, and hold calls themselves", async () => {
  const branch = (name: string, node: NodeProto): AttributeProto => ({
    name,
    type: ATTRIBUTE_TYPES.graph,
    g: { name, node: [node], output: [{ name: node.output?.[0] ?? "" }] },
  });
  const choose = fn(
    "Choose",
    ["a"],
    ["out"],
    [
      std("ReduceSum", ["a"], ["sum"], [{ name: "keepdims", type: ATTRIBUTE_TYPES.int, i: 0 }]),
      std("Constant", [], ["zero"], [float("value_float", 0)]),
      std("Less", ["sum", "zero"], ["negative"]),
      std(
        "If",
        ["negative"],
        ["out"],
        [
          branch("then_branch", std("Neg", ["a"], ["n"])),
          branch("else_branch", call("Scaled", ["a"], ["s"], [float("factor", 7)])),
        ],
      ),
    ],
  );
  const text = await sameResult(
    model([call("Choose", ["x"], ["h"]), call("Choose", ["h"], ["y"])], [choose, scaled]),
  );
  expect(text).toMatchInlineSnapshot(`
    "opset 18, local 1
    graph g(x: float32[4])
      %h/sum = ReduceSum(x) keepdims=0
      %h/zero = Constant() value_float=0.0
      %h/negative = Less(%h/sum, %h/zero)
      %h = If(%h/negative)
        then_branch = then_branch()
          %h/n = Neg(x)
          return %h/n
        else_branch = else_branch()
          %h/s/k = Constant() value_float=7.0
          %h/s = Mul(x, %h/s/k)
          return %h/s
      %y/sum = ReduceSum(%h) keepdims=0
      %y/zero = Constant() value_float=0.0
      %y/negative = Less(%y/sum, %y/zero)
      %y: float32[4] = If(%y/negative)
        then_branch = then_branch()
          %y/n = Neg(%h)
          return %y/n
        else_branch = else_branch()
          %y/s/k = Constant() value_float=7.0
          %y/s = Mul(%h, %y/s/k)
          return %y/s
      return %y"
  `);
});

test("an input handed straight through becomes the caller's value", async () => {
  // onnxruntime does not load such a function: y = n - x = -2 x by hand.
  const inlined = importModel(
    model(
      [
        std("Neg", ["x"], ["n"]),
        call("Swap", ["x", "n"], ["p", "q"]),
        std("Sub", ["p", "q"], ["y"]),
      ],
      [fn("Swap", ["a", "b"], ["b", "a"], [])],
    ),
  );
  expect(inlineFunctions(inlined)).toBe(1);
  verify(inlined);
  expect(print(inlined)).toMatchInlineSnapshot(`
    "opset 18, local 1
    graph g(x: float32[4])
      %n = Neg(x)
      %y: float32[4] = Sub(%n, x)
      return %y"
  `);
  const feeds = { x: floats([4]) };
  const { y } = await runModel(encodeModel(exportModel(inlined)), feeds);
  expect(y && numbers(y)).toEqual(numbers(feeds.x).map((x) => -2 * x));
});

test("a body of an older operator set is raised, an older model too", () => {
  const old = fn(
    "Old",
    ["a"],
    ["out"],
    [
      std("Unsqueeze", ["a"], ["u"], [{ name: "axes", type: ATTRIBUTE_TYPES.ints, ints: [0] }]),
      std("Squeeze", ["u"], ["out"], [{ name: "axes", type: ATTRIBUTE_TYPES.ints, ints: [0] }]),
    ],
    {
      opsetImport: [
        { domain: "", version: 11 },
        { domain: "extra", version: 3 },
      ],
    },
  );
  const inlined = importModel(model([call("Old", ["x"], ["y"])], [old]));
  inlineFunctions(inlined);
  verify(inlined);
  expect(inlined.opsets.get("extra")).toBe(3);
  expect(print(inlined)).toMatchInlineSnapshot(`
    "opset 18, local 1, extra 3
    graph g(x: float32[4])
      %y/u = Unsqueeze(x, [0])
      %y: float32[4] = Squeeze(%y/u, [0])
      return %y"
  `);

  const older = importModel(model([call("Scaled", ["x"], ["y"])], [scaled], 13));
  inlineFunctions(older);
  expect(older.opsets.get("")).toBe(18);
});

test("a function that calls itself, or two each other, is an error that names it", () => {
  const self = fn("Self", ["a"], ["out"], [call("Self", ["a"], ["out"])]);
  const ping = fn("Ping", ["a"], ["out"], [call("Pong", ["a"], ["out"])]);
  const pong = fn("Pong", ["a"], ["out"], [call("Ping", ["a"], ["out"])]);
  for (const [name, functions] of [
    ["Self", [self]],
    ["Ping", [ping, pong]],
  ] as const) {
    const inlined = importModel(model([call(name, ["x"], ["y"])], [...functions]));
    expect(() => inlineFunctions(inlined)).toThrow(InvalidGraphError);
    expect(() =>
      inlineFunctions(importModel(model([call(name, ["x"], ["y"])], [...functions]))),
    ).toThrow(`local.${name} calls itself`);
  }
});

test("functions that describe more nodes than a machine holds are an error", () => {
  const level = (i: number) =>
    fn(
      `F${i}`,
      ["a"],
      ["out"],
      [
        ...Array.from({ length: 50 }, (_, k) =>
          i === 0 ? std("Neg", ["a"], [`v${k}`]) : call(`F${i - 1}`, ["a"], [`v${k}`]),
        ),
        std(
          "Sum",
          Array.from({ length: 50 }, (_, k) => `v${k}`),
          ["out"],
        ),
      ],
    );
  const functions = [0, 1, 2, 3, 4, 5].map(level);
  const inlined = importModel(model([call("F5", ["x"], ["y"])], functions));
  expect(() => inlineFunctions(inlined)).toThrow(/more than 200000 nodes/);
});

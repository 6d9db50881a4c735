// A model of an older operator set computes the same after it was raised, operator by operator.
import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, type Builder } from "../../test/build.js";
import { elementsOf, runModel } from "../../test/run.js";
import { UnsupportedError } from "../errors.js";
import type { AttributeInput } from "../graph/attribute.js";
import type { Model } from "../graph/model.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { inferTypes } from "../ops/infer.js";
import { raiseOpset } from "./opset.js";

type Attributes = Readonly<Record<string, AttributeInput>>;

const float = (value: number): AttributeInput => ({ type: "float", value });

/** x → one node → y, of an operator set. */
function one(opset: number, op: string, attributes: Attributes = {}): Model {
  return buildModel((b) => b.output(b.op("y", op, [b.input("x", [2, 3, 4])], attributes)), {
    opset,
    irVersion: 4,
  });
}

const x = floats([2, 3, 4], 5);

async function result(model: Model): Promise<unknown> {
  const { y } = await runModel(bytesOf(model), { x }, { level: "disabled" });
  return y && [y.dims, elementsOf(y)];
}

const REDUCTIONS = ["Max", "Min", "Mean", "Prod", "L1", "L2", "LogSumExp", "SumSquare"];

describe("the same numbers as before", () => {
  test.each<[number, number, string, Attributes]>([
    [9, 13, "Slice", { starts: [0, 1], ends: [1, 3], axes: [0, 2] }],
    [9, 13, "Slice", { starts: [1], ends: [9] }],
    [10, 13, "Clip", { min: float(-0.25), max: float(0.5) }],
    [10, 13, "Clip", { max: float(0.5) }],
    [10, 13, "Pad", { pads: [0, 1, 0, 0, 0, 2], value: float(7) }],
    [10, 13, "Pad", { pads: [0, 1, 0, 0, 0, 2], mode: "edge" }],
    [11, 13, "Dropout", { ratio: float(0.3) }],
    [12, 13, "Softmax", {}],
    [12, 13, "Softmax", { axis: 2 }],
    [12, 13, "Softmax", { axis: -1 }],
    [12, 13, "Softmax", { axis: -2 }],
    [12, 13, "Softmax", { axis: 0 }],
    [12, 13, "LogSoftmax", { axis: 1 }],
    [12, 13, "Hardmax", { axis: 1 }],
    [12, 13, "Unsqueeze", { axes: [0, 2] }],
    [12, 13, "ReduceSum", { axes: [0, 2], keepdims: 0 }],
    [12, 13, "ReduceSum", {}],
    [12, 13, "Split", { axis: 2, split: [4] }],
    [13, 18, "Split", { axis: 1 }],
    ...REDUCTIONS.map((kind): [number, number, string, Attributes] => [
      13,
      18,
      `Reduce${kind}`,
      { axes: [1], keepdims: 0 },
    ]),
  ])("from %d to %d: %s %j", async (from, to, op, attributes) => {
    const model = one(from, op, attributes);
    const before = await result(model);
    inferTypes(model);
    expect(raiseOpset(model, to)).toBe(1);
    verify(model);
    expect(model.opsets.get("")).toBe(to);
    expect(await result(model)).toEqual(before);
    expect(raiseOpset(model, to)).toBe(0);
  });

  test("of a Squeeze, a TopK and a Scatter", async () => {
    const build = (b: Builder) => {
      const wide = b.op("wide", "Unsqueeze", [b.input("x", [2, 3, 4])], { axes: [1] });
      const narrow = b.op("narrow", "Squeeze", [wide], { axes: [1] });
      const outputs = ["values", "places"];
      const { graph } = b;
      const top = graph.addNode({ op: "TopK", inputs: [narrow], outputs, attributes: { k: 2 } });
      const places = b.int("at", [1, 0], [1, 1, 2]);
      const news = b.float("news", [5, 6], [1, 1, 2]);
      b.output(b.op("y", "Scatter", [top.output(), places, news], { axis: 2 }));
    };
    const model = buildModel(build, { opset: 9, irVersion: 4 });
    const before = await result(model);
    inferTypes(model);
    expect(raiseOpset(model, 13)).toBe(4);
    verify(model);
    expect(await result(model)).toEqual(before);
  });

  test("of an old Softmax whose result others read under its name", () => {
    const model = one(12, "Softmax");
    inferTypes(model);
    raiseOpset(model, 13);
    inferTypes(model);
    expect(print(model)).toMatchInlineSnapshot(`
      "opset 13, com.microsoft 1
      graph(x: float32[2, 3, 4])
        %Flatten_out: float32[2, 12] = Flatten(x) axis=1
        %y_flat: float32[2, 12] = Softmax(%Flatten_out) axis=-1
        %Shape_out: int64[3] = Shape(x)
        %y: float32[2, 3, 4] = Reshape(%y_flat, %Shape_out)
        return %y"
    `);
  });
});

test.each([
  [10, 5],
  [11, 6],
  [12, 7],
  [14, 7],
  [15, 8],
  [18, 8],
  [19, 9],
])("operator set %d comes with IR version %d at least", (opset, irVersion) => {
  const model = one(9, "Relu");
  expect(raiseOpset(model, opset)).toBe(0);
  expect(model.opsets.get("")).toBe(opset);
  expect(model.irVersion).toBe(irVersion);
  const newer = { ...one(9, "Relu"), irVersion: 10 };
  raiseOpset(newer, opset);
  expect(newer.irVersion).toBe(10);
});

test("a model that is new enough, and nodes of other domains, are left alone", () => {
  const model = one(18, "Softmax", { axis: 1 });
  expect(raiseOpset(model, 13)).toBe(0);
  expect(model.opsets.get("")).toBe(18);
  const other = one(12, "com.microsoft.Softmax", { axis: 1 });
  expect(raiseOpset(other, 13)).toBe(0);
});

test.each<[string, Model, number]>([
  ["an operator set before 7", one(6, "Relu"), 13],
  ["one after 19", one(13, "Relu"), 20],
  ["an old Upsample", one(9, "Upsample"), 10],
  ["an old Resize", one(10, "Resize"), 11],
  ["an old BatchNormalization", one(8, "BatchNormalization"), 13],
  ["a Softmax of an unknown rank", one(12, "Softmax"), 13],
])("%s is refused", (what, model, version) => {
  if (what.endsWith("rank")) for (const input of model.graph.inputs) input.shape = undefined;
  expect(() => raiseOpset(model, version)).toThrow(UnsupportedError);
});

test("what has no counterpart only in later operator sets is raised as far as that", () => {
  for (const [from, op, to] of [
    [7, "Upsample", 9],
    [11, "Resize", 13],
  ] as const) {
    const model = one(from, op);
    raiseOpset(model, to);
    expect(model.opsets.get("")).toBe(to);
  }
});

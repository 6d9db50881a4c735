// What each target proposes for each kind of site, and which plans it refuses to write.
import { describe, expect, test } from "vitest";
import { buildModel, floats, type Builder } from "../../test/build.js";
import { PlanError } from "../errors.js";
import type { Dim, Value } from "../graph/graph.js";
import { inferTypes } from "../ops/infer.js";
import type { ActivationSpec, Mode, SitePlan, WeightSpec } from "../quant/plan.js";
import { findSites, type Site } from "../quant/sites.js";
import { floatTarget, targetFor, TARGET_NAMES, usualMode, type TargetName } from "./all.js";
import type { LoweringOptions } from "./target.js";

const constant = (b: Builder, name: string, dims: readonly number[]): Value =>
  b.graph.addInitializer(name, floats([...dims]));

/** One site of each kind. */
function build(b: Builder): void {
  const ids = b.input("ids", ["batch", "length"], "int64");
  const words = b.op("words_out", "Gather", [constant(b, "words", [200, 64]), ids]);
  const few = b.op("few_out", "Gather", [constant(b, "few", [2, 64]), ids]);
  const x = b.op("x", "Add", [words, few]);
  const query = b.op("query_out", "MatMul", [x, constant(b, "query", [64, 64])]);
  const keys = b.op("keys", "Transpose", [x], { perm: [0, 2, 1] });
  const p = b.op("p", "Softmax", [b.op("scores", "MatMul", [query, keys])], { axis: -1 });
  const context = b.op("context", "MatMul", [p, x]);
  const out = b.op("out_out", "MatMul", [context, constant(b, "out", [64, 64])]);
  const scale = constant(b, "scale", [64]);
  const y = b.op("y", "LayerNormalization", [b.op("sum", "Add", [x, out]), scale], { axis: -1 });
  b.output(b.op("logits", "MatMul", [y, constant(b, "logits_w", [64, 15])]));
  const fixed = b.op("fixed", "MatMul", [
    constant(b, "places", [64, 64]),
    constant(b, "fixed_w", [64, 64]),
  ]);
  b.output(b.op("added", "Add", [y, fixed]));
  b.output(
    b.op("patches", "Conv", [b.input("image", [1, 3, 8, 8]), constant(b, "kernel", [2, 3, 2, 2])]),
  );
  b.output(
    b.op("odd", "Gemm", [b.input("z", [64, 2]), constant(b, "odd_w", [64, 16])], { transA: 1 }),
  );
}

const model = buildModel(build);
inferTypes(model);
const sites = findSites(model);
const siteOf = (name: string): Site => {
  const site = sites.find((one) => one.name === name);
  if (site === undefined) throw new Error(`no ${name} in ${sites.map((one) => one.name).join()}`);
  return site;
};

const OPTIONS: LoweringOptions = {
  reduceRange: false,
  embeddings: true,
  rangeOf: () => ({ min: -1, max: 3 }),
};

const told = (spec: ActivationSpec): string => {
  const range = spec.range === "dynamic" ? "dynamic" : `${spec.range.min}…${spec.range.max}`;
  return `${spec.dtype}${spec.symmetric === true ? " symmetric" : ""} ${range}`;
};

function weightTold(weight: WeightSpec): string {
  if (weight.granularity === "block-wise")
    return `${weight.dtype} in ${weight.block}s ${weight.scheme} ${weight.range}`;
  const block = weight.block === undefined ? "" : ` in ${weight.block}s`;
  return `±${weight.limit}${block}${weight.range === undefined ? "" : ` ${weight.range}`}`;
}

function line(name: string, plan: SitePlan): string {
  if (!plan.quantize) return `${name}: ${plan.reason}`;
  const { weight, activation, second } = plan;
  const parts = [
    weight && weightTold(weight),
    activation && told(activation),
    second && told(second),
  ];
  return `${name}: ${parts.filter((part) => part !== undefined).join(", ")}`;
}

function proposals(
  target: TargetName,
  mode: Mode,
  options: Partial<LoweringOptions> = {},
): string[] {
  const chosen = targetFor(target, mode);
  return sites.map((site) =>
    line(site.name, chosen.propose(site, mode, { ...OPTIONS, ...options })),
  );
}

describe("what a target proposes for one site of each kind", () => {
  test("cpu, with ranges found at run time", () => {
    expect(proposals("cpu", "dynamic")).toMatchInlineSnapshot(`
      [
        "words: ±127 in 32s",
        "few: too small to gain (2 × 64)",
        "query: ±127, uint8 dynamic",
        "scores: a product of two activations gains nothing with ranges found at run time",
        "context: a product of two activations gains nothing with ranges found at run time",
        "out: ±127, uint8 dynamic",
        "out.residual: a sum in 8 bits gains no speed and costs accuracy",
        "logits_w: too small to gain (64 × 15)",
        "fixed_w: ±127",
        "kernel: convolutions are slower with ranges found at run time",
        "odd: its activation is transposed (transA)",
      ]
    `);
  });

  test("cpu, with ranges found beforehand, all that there is to choose", () => {
    expect(proposals("cpu", "static", { attention: "all", small: true })).toMatchInlineSnapshot(`
      [
        "words: ±127 in 32s",
        "few: ±127 in 32s",
        "query: ±127, uint8 -1…3",
        "scores: uint8 -1…3, uint8 -1…3",
        "context: uint8 0…1, uint8 -1…3",
        "out: ±127, uint8 -1…3",
        "out.residual: a sum in 8 bits gains no speed and costs accuracy",
        "logits_w: ±127, uint8 -1…3",
        "fixed_w: ±127",
        "kernel: convolutions stay in float on this target",
        "odd: its activation is transposed (transA)",
      ]
    `);
  });

  test("cpu, probabilities alone, tables left out, weights within ±64", () => {
    const given = { attention: "values", embeddings: false, reduceRange: true } as const;
    expect(proposals("cpu", "static", given)).toMatchInlineSnapshot(`
      [
        "words: embeddings are switched off",
        "few: embeddings are switched off",
        "query: ±64, uint8 -1…3",
        "scores: only products with probabilities were asked for",
        "context: uint8 0…1, uint8 -1…3",
        "out: ±64, uint8 -1…3",
        "out.residual: a sum in 8 bits gains no speed and costs accuracy",
        "logits_w: too small to gain (64 × 15)",
        "fixed_w: ±127",
        "kernel: convolutions stay in float on this target",
        "odd: its activation is transposed (transA)",
      ]
    `);
  });

  test("openvino", () => {
    expect(proposals("openvino", "static", { attention: "all" })).toMatchInlineSnapshot(`
      [
        "words: ±127 in 32s",
        "few: too small to gain (2 × 64)",
        "query: ±127, uint8 -1…3",
        "scores: int8 symmetric -1…3, int8 symmetric -1…3",
        "context: uint8 0…1, int8 symmetric -1…3",
        "out: ±127, uint8 -1…3",
        "out.residual: sums run in float on this target, in any form",
        "logits_w: too small to gain (64 × 15)",
        "fixed_w: no input reaches it: computed once, on loading",
        "kernel: convolutions stay in float on this target",
        "odd: its activation is transposed (transA)",
      ]
    `);
  });

  test("tensorrt, with what skips a block in 8 bits", () => {
    expect(proposals("tensorrt", "static", { residual: "skip" })).toMatchInlineSnapshot(`
      [
        "words: a lookup copies rows: INT8 gains nothing on a GPU",
        "few: a lookup copies rows: INT8 gains nothing on a GPU",
        "query: ±127, int8 symmetric -1…3",
        "scores: a mask is added between the two products, where TensorRT gains little and accuracy is lost",
        "context: a mask is added between the two products, where TensorRT gains little and accuracy is lost",
        "out: ±127, int8 symmetric -1…3",
        "out.residual: int8 symmetric -1…3",
        "logits_w: too small to gain (64 × 15)",
        "fixed_w: no input reaches it: computed once, while the engine is built",
        "kernel: convolutions stay in float on this target",
        "odd: its activation is transposed (transA)",
      ]
    `);
  });

  test("tensorrt, all that there is to choose", () => {
    const given = { attention: "all", residual: "both" } as const;
    expect(proposals("tensorrt", "static", given)).toMatchInlineSnapshot(`
      [
        "words: a lookup copies rows: INT8 gains nothing on a GPU",
        "few: a lookup copies rows: INT8 gains nothing on a GPU",
        "query: ±127, int8 symmetric -1…3",
        "scores: int8 symmetric -1…3, int8 symmetric -1…3",
        "context: int8 symmetric 0…1, int8 symmetric -1…3",
        "out: ±127, int8 symmetric -1…3",
        "out.residual: int8 symmetric -1…3, int8 symmetric -1…3",
        "logits_w: too small to gain (64 × 15)",
        "fixed_w: no input reaches it: computed once, while the engine is built",
        "kernel: convolutions stay in float on this target",
        "odd: its activation is transposed (transA)",
      ]
    `);
  });

  test.each(["cpu", "openvino", "tensorrt"] as const)(
    "%s: nothing whose values calibration did not see",
    (target) => {
      const given = { attention: "all", residual: "both", rangeOf: () => undefined } as const;
      const plans = proposals(target, "static", given);
      expect(plans.filter((plan) => plan.includes("calibration saw no value"))).toHaveLength(
        { cpu: 4, openvino: 4, tensorrt: 5 }[target],
      );
    },
  );

  test("a residual of which only one operand was seen stays in float where both are asked for", () => {
    const chosen = targetFor("tensorrt", "static");
    const rangeOf = (_: Site, operand?: string) =>
      operand === "second" ? undefined : { min: -1, max: 3 };
    const site = siteOf("out.residual");
    const plan = (residual: "skip" | "both") =>
      chosen.propose(site, "static", { ...OPTIONS, residual, rangeOf });
    expect(plan("skip").quantize).toBe(true);
    expect(plan("both").quantize).toBe(false);
  });

  test.each([
    [{ weightBits: 4 }, "±7 mse"],
    [{ weightBits: 5 }, "±15 mse"],
    [{ weightBits: 6 }, "±31"],
    [{ weightBits: 4, weightRange: "min-max" }, "±7 min-max"],
    [{ weightBits: 8, reduceRange: true }, "±64"],
    [{ weightBits: 7, reduceRange: true }, "±63"],
    [{ weightRange: "mse" }, "±127 mse"],
    [{ weights: "int4" }, "int4 in 32s symmetric min-max"],
    [{ weights: "int8-only" }, "int8 in 64s symmetric min-max"],
    [{ weights: "int4", blockSize: 16, weightRange: "mse" }, "int4 in 16s symmetric mse"],
    [{ weights: "int4", blockSize: 256 }, "int4 in 64s symmetric min-max"],
  ] as const)("a layer's weight under %j is %s", (given, weight) => {
    const chosen = targetFor("cpu", "dynamic");
    const plan = chosen.propose(siteOf("query"), "dynamic", { ...OPTIONS, ...given });
    expect(plan.quantize && plan.weight && weightTold(plan.weight)).toBe(weight);
  });
});

const U8 = { dtype: "uint8", granularity: "per-tensor", range: { min: 0, max: 1 } } as const;
const S8 = {
  dtype: "int8",
  granularity: "per-tensor",
  symmetric: true,
  range: { min: -1, max: 1 },
} as const;
const W8 = { dtype: "int8", granularity: "per-channel", limit: 127 } as const;
const W4 = {
  dtype: "int4",
  granularity: "block-wise",
  block: 32,
  scheme: "symmetric",
  range: "min-max",
} as const;
const FOUND: ActivationSpec = { ...U8, range: "dynamic" };

type Parts = Omit<SitePlan & { quantize: true }, "kind" | "quantize">;

function fate(target: TargetName, name: string, parts: Parts): string {
  const site = siteOf(name);
  return targetFor(target, "static").fate(site, { kind: site.kind, quantize: true, ...parts }).runs;
}

describe("a plan that a target cannot write is an error that names the site and what it needs", () => {
  test.each<[TargetName, string, Parts, string]>([
    ["cpu", "query", { activation: U8 }, 'site "query" needs a "weight" on target cpu'],
    ["cpu", "query", { weight: W8 }, 'needs an "activation"'],
    ["cpu", "query", { weight: W8, activation: U8, second: U8 }, 'takes no "second"'],
    [
      "cpu",
      "query",
      { weight: W8, activation: S8 },
      'needs "dtype": "uint8" with a free zero point',
    ],
    [
      "cpu",
      "query",
      { weight: W8, activation: { ...U8, symmetric: true } },
      "with a free zero point",
    ],
    [
      "cpu",
      "query",
      { weight: { ...W8, block: 32 }, activation: U8 },
      'takes no "block": only the rows of a table are cut',
    ],
    [
      "cpu",
      "query",
      { weight: W4, activation: U8 },
      'takes no "activation" with weights in blocks',
    ],
    [
      "cpu",
      "words",
      { weight: W4 },
      'is a table, whose rows need a weight with "granularity": "per-channel"',
    ],
    ["cpu", "words", { weight: W8, activation: U8 }, 'takes no "activation"'],
    ["cpu", "words", { weight: { ...W8, block: 64 } }, "cannot cut its rows into blocks of 64"],
    ["cpu", "fixed_w", { weight: W8, activation: U8 }, 'takes no "activation"'],
    ["cpu", "context", { activation: U8 }, 'needs "activation" and "second"'],
    ["cpu", "context", { activation: U8, second: S8 }, 'needs "activation" and "second"'],
    ["cpu", "context", { activation: FOUND, second: U8 }, "with ranges found beforehand"],
    ["cpu", "out.residual", { activation: U8 }, "is a residual that target cpu keeps in float"],
    [
      "cpu",
      "kernel",
      { weight: W8, activation: U8 },
      "is a convolution that target cpu keeps in float",
    ],
    ["cpu", "odd", { weight: W8, activation: U8 }, "is a product that target cpu keeps in float"],
    ["openvino", "query", { weight: W4 }, 'needs a weight with "granularity": "per-channel"'],
    ["openvino", "fixed_w", { weight: W8 }, "has no input that reaches it"],
    [
      "openvino",
      "context",
      { activation: U8, second: { ...U8, range: { min: -1, max: 1 } } },
      "without a zero point",
    ],
    ["openvino", "context", { activation: U8 }, "without a zero point"],
    [
      "openvino",
      "context",
      { activation: U8, second: { ...S8, range: "dynamic" } },
      "without a zero point",
    ],
    ["tensorrt", "query", { weight: W8 }, 'site "query" needs an "activation" on target tensorrt'],
    ["tensorrt", "query", { weight: W8, activation: U8 }, '"dtype": "int8" and "symmetric": true'],
    [
      "tensorrt",
      "query",
      { weight: W8, activation: { ...S8, symmetric: false } },
      '"symmetric": true',
    ],
    [
      "tensorrt",
      "query",
      { weight: W8, activation: { ...U8, symmetric: true } },
      '"dtype": "int8"',
    ],
    [
      "tensorrt",
      "query",
      { weight: W8, activation: { ...S8, range: "dynamic" } },
      "found beforehand",
    ],
    ["tensorrt", "query", { activation: S8 }, 'needs a "weight"'],
    ["tensorrt", "query", { weight: W4, activation: S8 }, '"granularity": "per-channel"'],
    ["tensorrt", "query", { weight: W8, activation: S8, second: S8 }, 'takes no "second"'],
    ["tensorrt", "fixed_w", { weight: W8, activation: S8 }, "has nothing to quantize"],
    [
      "tensorrt",
      "context",
      { activation: S8 },
      'needs a "second": both operands are quantized or none',
    ],
    ["tensorrt", "context", { activation: S8, second: U8 }, '"dtype": "int8"'],
    [
      "tensorrt",
      "words",
      { weight: W8, activation: S8 },
      "is of kind embedding, which stays in float",
    ],
    [
      "tensorrt",
      "kernel",
      { weight: W8, activation: S8 },
      "is of kind convolution, which stays in float",
    ],
  ])("%s, %s %j", (target, name, parts, message) => {
    const go = () => fate(target, name, parts);
    expect(go).toThrow(PlanError);
    expect(go).toThrow(message);
  });

  test.each<[TargetName, string, Parts, string]>([
    ["cpu", "query", { weight: W8, activation: FOUND }, "int8"],
    ["cpu", "query", { weight: W4 }, "packed"],
    ["cpu", "words", { weight: { ...W8, block: 16 } }, "stored"],
    ["cpu", "fixed_w", { weight: W8 }, "stored"],
    ["cpu", "context", { activation: U8, second: U8 }, "int8"],
    ["openvino", "context", { activation: U8, second: S8 }, "int8"],
    ["tensorrt", "context", { activation: S8, second: S8 }, "int8"],
    ["tensorrt", "out.residual", { activation: S8 }, "int8"],
  ])("%s writes %s %j", (target, name, parts, runs) => {
    expect(fate(target, name, parts)).toBe(runs);
  });
});

describe("on a GPU a product is worth 8 bits by its size", () => {
  const product = (left: readonly Dim[], right: readonly Dim[], weight = false): string => {
    const small = buildModel((b) => {
      const second = weight ? constant(b, "w", right.map(Number)) : b.input("right", right);
      b.output(b.op("y", "MatMul", [b.input("left", left), second]));
    });
    inferTypes(small);
    const [site] = findSites(small);
    if (site === undefined) throw new Error("no site");
    const given = { ...OPTIONS, attention: "all" } as const;
    const plan = targetFor("tensorrt", "static").propose(site, "static", given);
    return plan.quantize ? "int8" : plan.reason;
  };

  test.each<[readonly Dim[], readonly Dim[], string]>([
    [["n", 16], [16, "m"], "int8"],
    [["n", 15], [15, "m"], "too small to gain (15 × m)"],
    [["n", 16], [16, 15], "too small to gain (16 × 15)"],
    [["n", null], [null, "m"], "int8"],
    [[1, 32], [32, 32], "a product with a vector: INT8 gains nothing"],
    [[32, 32], [32, 1], "a product with a vector: INT8 gains nothing"],
  ])("%j × %j: %s", (left, right, said) => {
    expect(product(left, right)).toBe(said);
  });

  test.each<[readonly Dim[], readonly Dim[], string]>([
    [["n", 16], [16, 16], "int8"],
    [["n", 16], [16, 15], "too small to gain (16 × 15)"],
    [[1, 32], [32, 32], "a single row: INT8 gains nothing"],
    [[1, 1, 32], [32, 32], "a single row: INT8 gains nothing"],
    [[2, 1, 32], [32, 32], "int8"],
    [[1, "n", 32], [32, 32], "int8"],
  ])("%j × a weight %j: %s", (left, right, said) => {
    expect(product(left, right, true)).toBe(said);
  });
});

test("every target is found by its name, and says what to use for a mode that it does not have", () => {
  for (const name of TARGET_NAMES) expect(floatTarget(name).name).toBe(name);
  expect(TARGET_NAMES.map(usualMode)).toEqual(["dynamic", "dynamic", "static", "static"]);
  for (const name of ["tensorrt", "openvino"] as const)
    expect(() => targetFor(name, "dynamic")).toThrow("Use --mode static with --data");
  expect(() => targetFor("tensorrt", "dynamic")).toThrow("an Nvidia GPU has no dynamic");
  expect(() => targetFor("openvino", "dynamic")).toThrow("one by one in float");
});

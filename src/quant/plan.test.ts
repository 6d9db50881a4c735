import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PlanError } from "../errors.js";
import {
  BLOCK_SIZES,
  WEIGHT_RANGES,
  fitPlan,
  parsePlan,
  planToJson,
  weightFormOf,
  type Plan,
  type SitePlan,
} from "./plan.js";
import type { Site } from "./sites.js";

const weight = { dtype: "int8", granularity: "per-channel", limit: 127 } as const;
const activation = { dtype: "uint8", granularity: "per-tensor", range: "dynamic" } as const;

const symmetric = {
  dtype: "int8",
  granularity: "per-tensor",
  symmetric: true,
  range: { min: -1, max: 2 },
} as const;

const UNSAFE = new Set(["__proto__", "constructor", "prototype"]);

const sitePlan: fc.Arbitrary<SitePlan> = fc.oneof(
  fc.constant<SitePlan>({ kind: "linear", quantize: true, weight, activation }),
  fc.constant<SitePlan>({ kind: "embedding", quantize: true, weight: { ...weight, limit: 64 } }),
  fc
    .record({
      dtype: fc.constantFrom("int4", "int8"),
      granularity: fc.constant("block-wise" as const),
      block: fc.constantFrom(...BLOCK_SIZES),
      scheme: fc.constantFrom("symmetric", "asymmetric"),
      range: fc.constantFrom(...WEIGHT_RANGES),
    })
    .map((blocks): SitePlan => ({ kind: "linear", quantize: true, weight: blocks })),
  fc.constantFrom(...WEIGHT_RANGES).map((range): SitePlan => ({
    kind: "linear",
    quantize: true,
    weight: { ...weight, range },
    activation,
  })),
  fc.string().map((reason): SitePlan => ({ kind: "attention", quantize: false, reason })),
  fc.constantFrom<SitePlan>(
    { kind: "attention", quantize: true, activation: symmetric, second: symmetric },
    { kind: "residual", quantize: true, activation: symmetric },
  ),
);
const plans: fc.Arbitrary<Plan> = fc
  .array(
    fc.tuple(
      fc.string().filter((name) => !UNSAFE.has(name)),
      sitePlan,
    ),
  )
  .map((sites) => ({
    format: "octavo-plan",
    version: 1,
    mode: "dynamic",
    target: "cpu",
    sites: new Map(sites),
  }));

describe("a plan", () => {
  test("is the same after it was written and read, whatever its sites are called", () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const read = parsePlan(planToJson(plan));
        // Keys that look like numbers come first in an object: the order is no part of a plan.
        expect(Object.fromEntries(read.sites)).toEqual(Object.fromEntries(plan.sites));
        expect({ ...read, sites: 0 }).toEqual({ ...plan, sites: 0 });
      }),
    );
  });

  test.each([
    ["{", /not JSON/],
    ["[]", /format: .*undefined/],
    [
      '{"format":"octavo-plan","version":2,"mode":"dynamic","target":"cpu","sites":{}}',
      /version: .*1.*2/,
    ],
    [
      '{"format":"octavo-plan","version":1,"mode":"slow","target":"cpu","sites":{}}',
      /mode: .*"dynamic"/,
    ],
    [
      '{"format":"octavo-plan","version":1,"mode":"dynamic","target":"cpu","sites":{"a":{"kind":"linear","quantize":true,"weight":{"dtype":"int8","granularity":"per-channel","limit":"127"}}}}',
      /sites → a → weight → limit: .*number/,
    ],
    [
      '{"format":"octavo-plan","version":1,"mode":"dynamic","target":"cpu","sites":{"a":{"kind":"linear","quantize":true,"weight":{"dtype":"int4","granularity":"block-wise","block":24,"scheme":"symmetric","range":"mse"}}}}',
      /sites → a → weight → block: .*16.*24/,
    ],
    [
      '{"format":"octavo-plan","version":1,"mode":"dynamic","target":"cpu","sites":{},"extra":1}',
      /extra/,
    ],
    [
      '{"format":"octavo-plan","version":1,"mode":"dynamic","target":"cpu","sites":{"__proto__":{"kind":"linear","quantize":false}}}',
      /cannot be called "__proto__"/,
    ],
  ])("%s is an error that names the place", (text, message) => {
    expect(() => parsePlan(text, "plan.json")).toThrow(PlanError);
    expect(() => parsePlan(text, "plan.json")).toThrow(message);
  });

  test("of another model is an error; sites that it leaves out stay in float", () => {
    const site = (name: string, kind: string) => ({ name, kind }) as Site;
    const plan: Plan = {
      format: "octavo-plan",
      version: 1,
      mode: "dynamic",
      target: "cpu",
      sites: new Map([["a", { kind: "linear", quantize: true, weight, activation }]]),
    };
    expect(() => fitPlan(plan, [site("b", "linear")])).toThrow(/the model has no site "a"/);
    expect(() => fitPlan(plan, [site("a", "embedding")])).toThrow(
      /"a" is of kind embedding, not linear/,
    );
    const fitted = fitPlan(plan, [site("a", "linear"), site("b", "linear")]);
    expect(fitted.sites.get("b")).toEqual({
      kind: "linear",
      quantize: false,
      reason: "not in the plan",
    });
  });
});

test.each<[string, readonly ("int4" | "int8" | undefined)[]]>([
  ["int8", []],
  ["int8", [undefined, undefined]],
  ["int4", ["int8", "int4", undefined]],
  ["int8-only", [undefined, "int8"]],
])("the form of a plan is %s where its products are in blocks of %j", (form, blocks) => {
  const planned = blocks.map((dtype, i): [string, SitePlan] => [
    `site${i}`,
    dtype === undefined
      ? { kind: "linear", quantize: true, weight, activation }
      : {
          kind: "linear",
          quantize: true,
          weight: {
            dtype,
            granularity: "block-wise",
            block: 32,
            scheme: "symmetric",
            range: "mse",
          },
        },
  ]);
  const left: [string, SitePlan] = [
    "left",
    { kind: "linear", quantize: false, reason: "too small" },
  ];
  const sites = new Map([...planned, left]);
  const plan: Plan = { format: "octavo-plan", version: 1, mode: "dynamic", target: "cpu", sites };
  expect(weightFormOf(plan)).toBe(form);
});

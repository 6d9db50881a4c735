import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { OptionError } from "../errors.js";
import {
  parsePlan,
  planToJson,
  quantizeBytes,
  readModel,
  type QuantizeBytesOptions,
} from "../index.js";

const path = fileURLToPath(new URL("../../examples/demo-reviews/onnx/model.onnx", import.meta.url));
const model = readFileSync(path);
const range = { min: -4, max: 4 };

test.each<[string, object, RegExp]>([
  ["no such option", { exlude: ["*"] }, /"exlude" does not exist/],
  ["a value there is not", { weightBits: 99 }, /"weightBits" cannot be 99\. Expected <=8/],
  [
    "an option of another target",
    { mode: "static", fp16: true },
    /target: "tensorrt", which takes it/,
  ],
  ["an option of another mode", { attention: "all" }, /in dynamic mode/],
  ["no plan", { plan: {} }, /as parsePlan reads it/],
])("quantizeBytes refuses %s", (_, options, message) => {
  const wrong = () => quantizeBytes(model, options);
  expect(wrong).toThrow(OptionError);
  expect(wrong).toThrow(message);
});

test("static mode without ranges is an error that says where they come from, not a file of floats", () => {
  const { plan } = quantizeBytes(model);
  const unranged = { ...plan, mode: "static" } as const;
  const refused = (options: QuantizeBytesOptions) =>
    expect(() => quantizeBytes(model, options)).toThrow(OptionError);
  refused({ mode: "static" });
  refused({ mode: "qat" });
  refused({ mode: "static", plan: unranged });
  refused({ mode: "static", rangeOf: () => undefined });
  expect(() => quantizeBytes(model, { mode: "static" })).toThrow(/--write-plan plan\.json/);
});

test("static mode writes integer products by a plan with ranges, or by ranges alone", () => {
  const { plan, bytes, sites } = quantizeBytes(model, { mode: "static", rangeOf: () => range });
  expect(sites.filter(({ runs }) => runs === "int8").length).toBeGreaterThan(10);
  const ops = [...readModel(bytes).graph.nodes()].map(({ op }) => op);
  expect(ops).toContain("QuantizeLinear");
  const again = quantizeBytes(model, { mode: "static", plan: parsePlan(planToJson(plan)) });
  expect(Buffer.from(again.bytes).equals(bytes)).toBe(true);
});

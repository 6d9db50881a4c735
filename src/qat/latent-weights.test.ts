// Where weights start and how fast they learn: amid their codes, at the pace of their steps.
import fc from "fast-check";
import { expect, test } from "vitest";
import { buildModel, bytesOf, noise } from "../../test/build.js";
import { matrix } from "../../test/tensorrt-layer.js";
import { importModel } from "../graph/import.js";
import { decodeModel } from "../onnx/reader.js";
import { planModel } from "../plan/plan-model.js";
import { quantizerGraph } from "./quantizer-graph.js";
import { findSites, type LinearSite } from "../quant/sites.js";
import { targetFor } from "../targets/all.js";
import { choose } from "../targets/choices.js";
import { codesOf, latent } from "./latent-weights.js";

const model = importModel(
  decodeModel(
    bytesOf(
      buildModel((b) => {
        b.output(
          b.op("y", "MatMul", [
            b.input("x", ["batch", "tokens", 32]),
            matrix(b, "weight", 32, 48, 5),
          ]),
        );
      }),
    ),
  ),
);
const view = findSites(model).find((site): site is LinearSite => site.kind === "linear")?.weight;
if (view === undefined) throw new Error("no linear layer");

test("weights start no further than a quarter step from their codes, whatever codes were chosen", () => {
  const scales = Float32Array.from(noise(48, 3), (v) => 0.01 + Math.abs(v) / 100);
  fc.assert(
    fc.property(fc.constantFrom(7, 15, 127), fc.integer({ min: 0, max: 1000 }), (limit, seed) => {
      const codes = Int8Array.from(noise(32 * 48, seed), (v) =>
        Math.max(-limit, Math.min(limit, Math.round(v * limit))),
      );
      const values = latent(view, { codes, scales }, limit);
      expect(codesOf(values, view, scales, limit)).toEqual(codes);
      values.forEach((value, i) => {
        const [code, scale] = [codes[i] as number, scales[i % 48] as number];
        expect(Math.abs(value / scale - code)).toBeLessThan(0.2501);
      });
    }),
    { numRuns: 20 },
  );
});

test.each([
  [8, 1, 200],
  [4, (127 / 7) ** 0.75, (200 * 7) / 127],
])("of %i bits a weight learns %f times as fast, its steps %f times", (weightBits, own, steps) => {
  const target = targetFor("cpu", "qat");
  const { plan } = planModel(model, target, {
    ...choose(target, "qat", {}),
    mode: "qat",
    reduceRange: false,
    embeddings: true,
    outliers: false,
    exclude: [],
    small: true,
    weightBits,
    rangeOf: () => ({ min: -3, max: 3 }),
  });
  const { parameters } = quantizerGraph(model, plan, target, {
    scaleRateMultiplier: 200,
    outputs: model.graph.outputs.map(({ name }) => name),
  });
  const rates = Object.fromEntries(parameters.map(({ name, rate }) => [name, rate]));
  expect(rates["weight"]).toBeCloseTo(own, 9);
  expect(rates["weight_step_ratio"]).toBeCloseTo(steps, 9);
  expect(rates["x_step_ratio"]).toBe(200);
});

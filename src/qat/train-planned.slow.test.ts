// quantize --mode qat on the demo's model, with texts alone: the float model teaches its outputs and its hidden states.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { quantize } from "../node.js";
import type { AnyQuantizeOptions } from "../options/quantize.js";
import { ofSomeMode } from "../../test/options.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "octavo-taught-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Residual sums in INT8, ranges as they were seen: what static mode is worst at. */
const form = {
  data: join(demo, "reviews.tsv"),
  target: "tensorrt",
  residual: "both",
  smooth: false,
  round: false,
  correct: false,
  samples: 128,
} as const;

async function quantizedModel(name: string, options: AnyQuantizeOptions) {
  const output = join(folder, name);
  const { report } = await quantize(demo, ofSomeMode({ ...form, ...options, output }));
  return { snrDb: report.check?.snrDb ?? NaN, first: report.training?.losses[0]?.value ?? NaN };
}

test("hidden states are learned beside outputs, and bring a quantized model much closer in few steps", async () => {
  const { snrDb: before } = await quantizedModel("static.onnx", { mode: "static" });
  const qat = { mode: "qat", loss: "distill", batchSize: 16, seed: 1 } as const;
  const few = { ...qat, trainSteps: 1, check: false } as const;
  const alone = await quantizedModel("outputs.onnx", { ...few, hiddenWeight: 0 });
  const beside = await quantizedModel("both.onnx", { ...few, hiddenWeight: 1 });
  const twice = await quantizedModel("twice.onnx", { ...few, hiddenWeight: 2 });
  const [one, two, three] = [alone, beside, twice].map(({ first }) => first) as [
    number,
    number,
    number,
  ];
  expect(two).toBeGreaterThan(one + 0.001);
  expect(three - two).toBeCloseTo(two - one, 4);
  const { snrDb: after } = await quantizedModel("taught.onnx", { ...qat, trainSteps: 60 });
  expect(after).toBeGreaterThan(before + 3);
}, 300_000);

// The static models for TensorRT and OpenVINO of every graph at hand: they keep their target's rules, load, run at two shapes, and stay close.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { importModel } from "../src/graph/import.js";
import type { Model } from "../src/graph/model.js";
import { inspect, quantize, type StaticOptions } from "../src/node.js";
import { openModelFile } from "../src/onnx/files.js";
import { decodeModel } from "../src/onnx/reader.js";
import { inferTypes } from "../src/ops/infer.js";
import { syntheticFeeds } from "../src/inputs/dummy-inputs.js";
import { lineOf, lowestRatio, runsAtTwoShapes } from "./quantized-models.js";
import { openvinoViolations } from "./openvino-rules.js";
import { reference } from "./run.js";
import { hasShared, sharedModels, zooGraphs } from "./shared.js";
import { violations, type Expected } from "./tensorrt-rules.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-targets-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function withModel<T>(path: string, work: (model: Model) => T): Promise<T> {
  const file = openModelFile(path);
  try {
    const model = importModel(decodeModel(file.source), file.external);
    inferTypes(model);
    return work(model);
  } finally {
    file.close();
  }
}

/** Calibrates on case 0 and compares on case 1. */
async function quantizedModel(name: string, path: string, options: Omit<StaticOptions, "mode">) {
  const [seen, unseen] = reference(name).cases;
  if (seen === undefined || unseen === undefined) throw new Error("no cases");
  const data = join(folder, `${name}.jsonl`);
  writeFileSync(data, lineOf(seen.inputs));
  const output = join(folder, `${name}.onnx`);
  const settings = { mode: "static", data, output, check: false, force: true } as const;
  const { report } = await quantize(path, { ...settings, ...options });
  const { fp16: _fp16, ...choice } = options;
  expect((await inspect(path, { mode: "static", ...choice })).sites).toEqual(report.sites);
  await runsAtTwoShapes(output);
  return { output, report, ratio: await lowestRatio(path, output, unseen.inputs) };
}

type Form = Pick<StaticOptions, "attention" | "fp16"> & Expected;

const FORMS: readonly { form: Form; least: number }[] = [
  { form: { residual: "none" }, least: 10 },
  { form: { residual: "skip" }, least: 10 },
  { form: { residual: "both", attention: "all" }, least: 3 },
  { form: { residual: "skip", fp16: true }, least: 10 },
];

describe.skipIf(!hasShared)("the quantized model for TensorRT", () => {
  describe.each(FORMS)("as $form", ({ form, least }) => {
    test.each(zooGraphs())("of $name keeps the rules", async ({ name, path }) => {
      const { output, report, ratio } = await quantizedModel(name, path, {
        target: "tensorrt",
        ...form,
      });
      expect(await withModel(output, (model) => violations(model, form))).toEqual([]);
      expect(report.sites.some((site) => site.runs === "int8")).toBe(true);
      const residuals = report.sites.filter(
        ({ kind, runs }) => kind === "residual" && runs === "int8",
      );
      if (form.residual === "none") expect(residuals).toEqual([]);
      else expect(residuals.length).toBeGreaterThan(1);
      expect(report.nextCommand).toMatch(/^trtexec --onnx=/);
      expect(ratio).toBeGreaterThan(least);
    });
  });

  test.each(sharedModels())("of $name keeps the rules", async ({ name, path }) => {
    const data = join(folder, `${name}.jsonl`);
    const feeds = await withModel(path, (model) => syntheticFeeds(model, { batch: 2, length: 16 }));
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([key, { dims, data: values }]) => [
        key,
        Array.from({ length: dims[0] ?? 1 }, (_, row) =>
          Array.from(values.slice(row * (dims[1] ?? 1), (row + 1) * (dims[1] ?? 1)), Number),
        ),
      ]),
    );
    writeFileSync(data, JSON.stringify({ inputs }));
    const output = join(folder, `${name}.onnx`);
    await quantize(path, { mode: "static", target: "tensorrt", data, output, check: false });
    expect(await withModel(output, (model) => violations(model, { residual: "skip" }))).toEqual([]);
    await runsAtTwoShapes(output);
  });
});

describe.skipIf(!hasShared)("the quantized model for OpenVINO", () => {
  describe.each(["none", "values", "all"] as const)("with attention %s", (attention) => {
    test.each(zooGraphs())("of $name keeps the rules", async ({ name, path }) => {
      const { output, report, ratio } = await quantizedModel(name, path, {
        target: "openvino",
        attention,
      });
      expect(await withModel(output, openvinoViolations)).toEqual([]);
      expect(report.sites.some((site) => site.runs === "int8")).toBe(true);
      expect(ratio).toBeGreaterThan(attention === "none" ? 18 : 12);
    });
  });
});

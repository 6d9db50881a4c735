// What inspect and optimize say and write.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildModel, bytesOf } from "../../test/build.js";
import { classifier } from "../../test/classifier.js";
import { inspect, optimize, quantize } from "../node.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-inspect-"));
  writeFileSync(at("model.onnx"), bytesOf(buildModel(classifier)));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

describe("inspect", () => {
  test("tells what is in a model and what quantize would do", async () => {
    const path = at("model.onnx");
    const [told, { report }] = [await inspect(path), await quantize(path)];
    expect(told.sites).toEqual(report.sites);
    expect(told).toMatchObject({
      command: "inspect",
      irVersion: 8,
      opsets: { "ai.onnx": 18 },
      inputs: [{ name: "input_ids", dtype: "int64", shape: ["batch", "length"] }],
      outputs: [{ name: "head.out", dtype: "float32", shape: ["batch", "length", 3] }],
    });
    expect(told.bytesByType["float32"]).toBe(4 * (400 * 32 + 2 * 32 * 64 + 64 + 32 + 96 + 3));
  });

  test("describes a model that is quantized already", async () => {
    const path = at("model.onnx");
    const { path: output } = await quantize(path);
    const told = await inspect(output);
    expect(told.quantized).toMatch(/DynamicQuantizeLinear × 2/);
    const runs = told.sites.map(({ kind, runs }) => `${kind} ${runs}`);
    expect(runs.filter((line) => line === "linear int8")).toHaveLength(2);
    expect(runs).toContain("embedding stored");
  });
});

test("optimize writes the float model, to the same function", async () => {
  const path = at("model.onnx");
  const { path: output, report } = await optimize(path);
  expect(output).toBe(at("model_optimized.onnx"));
  expect(report.check?.snrDb).toBeGreaterThan(120);
});

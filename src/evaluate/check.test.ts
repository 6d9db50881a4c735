import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf } from "../../test/build.js";
import { classifier } from "../../test/classifier.js";
import { saturates } from "../../test/integer-sums.js";
import { quantize } from "../node.js";
import type { Runtime, RuntimeTensor, SessionOptions } from "../runtime/runtime.js";
import { checkQuantized, checkWarnings } from "./check.js";

const floats = (values: readonly number[]): RuntimeTensor => ({
  dtype: "float32",
  dims: [values.length],
  data: Float32Array.from(values),
});

/** A runtime that gives what it is told for a model's path and way of summing. */
function telling(outputs: (path: string, sums: SessionOptions["integerSums"]) => number[]) {
  const loads: string[] = [];
  const runtime: Runtime = {
    name: "telling",
    version: "1",
    load(model, { integerSums } = {}) {
      const path = typeof model === "string" ? model : "bytes";
      loads.push(`${path} ${integerSums ?? "exact"}`);
      const y = floats(outputs(path, integerSums));
      return Promise.resolve({
        inputs: [],
        outputs: [],
        run: () => Promise.resolve({ y }),
        release: () => Promise.resolve(),
      });
    },
  };
  return { runtime, loads };
}

const INPUTS = { feeds: [{ x: floats([1]) }], inputs: "synthetic" } as const;

describe("where the CPU's own sums saturate", () => {
  const from = (exact: number, native: number) =>
    telling((path, sums) => [path === "float" ? 100 : 100 + (sums === "native" ? native : exact)]);

  test("the quantized model runs with them as well, and what they cost more than 1 dB is told", async () => {
    const { runtime, loads } = from(1, 10);
    const check = await checkQuantized({ runtime }, "float", "int8", {
      ...INPUTS,
      saturated: true,
    });
    expect(loads).toEqual(["float exact", "int8 exact", "int8 native"]);
    expect(check).toMatchObject({ snrDb: 40, saturatedSnrDb: 20 });
    expect(checkWarnings(check)).toEqual([
      "On this CPU (x86-64 without VNNI) sums of 8-bit products saturate: 20.0 dB here where other CPUs have 40.0 dB. " +
        "--reduce-range makes weights whose sums do not.",
    ]);
  });

  test("less is not worth a word", async () => {
    const { runtime } = from(1, 1.1);
    const check = await checkQuantized({ runtime }, "float", "int8", {
      ...INPUTS,
      saturated: true,
    });
    expect(check.saturatedSnrDb).toBeLessThan(40);
    expect(checkWarnings(check)).toEqual([]);
  });

  test("a quantized model that is far away on every CPU is told so first", async () => {
    const { runtime } = from(50, 1000);
    const check = await checkQuantized({ runtime }, "float", "int8", {
      ...INPUTS,
      saturated: true,
    });
    expect(checkWarnings(check)).toEqual([
      expect.stringMatching(/far from the float model's: 6\.0 dB/),
      expect.stringMatching(/^On this CPU .* -20\.0 dB here where other CPUs have 6\.0 dB/),
    ]);
  });
});

test("elsewhere they are not asked for", async () => {
  const { runtime, loads } = telling((path) => [path === "float" ? 100 : 101]);
  const check = await checkQuantized({ runtime }, "float", "int8", INPUTS);
  expect(loads).toEqual(["float exact", "int8 exact"]);
  expect(check.saturatedSnrDb).toBeUndefined();
});

describe("on this CPU", () => {
  const folder = mkdtempSync(join(tmpdir(), "octavo-check-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const checked = async (options: object) => {
    writeFileSync(join(folder, "model.onnx"), bytesOf(buildModel(classifier)));
    const output = join(folder, "out.onnx");
    return (await quantize(join(folder, "model.onnx"), { output, force: true, ...options })).report;
  };

  test.skipIf(!saturates)(
    "it is told where sums saturate, and that reduced weights do not",
    async () => {
      const { check, warnings } = await checked({});
      expect(warnings).toEqual([expect.stringMatching(/sums of 8-bit products saturate: /)]);
      expect(check?.saturatedSnrDb).toBeLessThan((check?.snrDb ?? NaN) - 1);
      const reduced = await checked({ reduceRange: true });
      expect(reduced.warnings).toEqual([]);
      expect(reduced.check?.saturatedSnrDb).toBeCloseTo(reduced.check?.snrDb ?? NaN, 1);
    },
  );

  test.skipIf(saturates)("it is not told where they are exact", async () => {
    const { check, warnings } = await checked({});
    expect(warnings).toEqual([]);
    expect(check).not.toHaveProperty("saturatedSnrDb");
  });

  test("of quantized models that run elsewhere it is not told", async () => {
    const { check, warnings } = await checked({ target: "web" });
    expect(warnings).toEqual([]);
    expect(check).not.toHaveProperty("saturatedSnrDb");
  });
});

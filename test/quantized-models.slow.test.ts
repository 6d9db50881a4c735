// The dynamic model of every graph at hand: it loads, runs at two shapes, stays close to the float model, and runs in integers where the report says so.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importModel } from "../src/graph/import.js";
import { decodeModel } from "../src/onnx/reader.js";
import { inspect, NothingToQuantizeError, quantize, RuntimeFailedError } from "../src/node.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { lineOf, lowestRatio, runsAtTwoShapes } from "./quantized-models.js";
import { optimizedByOrt, reference } from "./run.js";
import { foreignGraphs, hasShared, sharedModels, zooGraphs } from "./shared.js";

/** Operators that compute a product in integers, as onnxruntime's optimizer leaves them. */
const INTEGER_PRODUCTS = new Set([
  "com.microsoft.DynamicQuantizeMatMul",
  "com.microsoft.MatMulIntegerToFloat",
  "MatMulInteger",
  // Where a Relu stands between two products: the second one's quantization takes it in.
  "QLinearMatMul",
]);

const folder = mkdtempSync(join(tmpdir(), "octavo-quantized models-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!hasShared)("the dynamic model", () => {
  test.each([...zooGraphs(), ...sharedModels()])(
    "of $name runs at two shapes, in integers at every site that inspect calls INT8",
    async ({ name, path }) => {
      const output = join(folder, `${name}.onnx`);
      const { report } = await quantize(path, { output, check: false });
      const sites = report.sites.filter((site) => site.runs === "int8");
      expect(sites.length).toBeGreaterThan(0);
      expect((await inspect(path)).sites).toEqual(report.sites);
      expect(await integerProducts(output)).toBe(sites.length);
      await runsAtTwoShapes(output);
    },
  );

  test.each(foreignGraphs())("of $name runs, or says why there is none", async ({ name, path }) => {
    const output = join(folder, name.replaceAll("/", "-"));
    const loads = await ortNode.load(path).then(
      (session) => session.release().then(() => true),
      () => false,
    );
    if (!loads) {
      await expect(quantize(path, { output })).rejects.toThrow(RuntimeFailedError);
      return;
    }
    if (name.includes("u8")) {
      await expect(quantize(path, { output })).rejects.toThrow(/quantized already/);
      return;
    }
    if (name === "onnxruntime-transformers/attention_past_state.onnx") {
      // Its weights are inputs.
      await expect(quantize(path, { output })).rejects.toThrow(NothingToQuantizeError);
      return;
    }
    const { report } = await quantize(path, { output });
    const sites = report.sites.filter((site) => site.runs === "int8");
    expect(await integerProducts(output)).toBe(sites.length);
    expect(report.check?.snrDb).toBeGreaterThan(28);
    await runsAtTwoShapes(output);
  });
});

describe.skipIf(!hasShared)("the static model, calibrated on case 0", () => {
  test.each(zooGraphs())(
    "of $name runs in integers where it is said, close to the float model on case 1",
    async ({ name, path }) => {
      const [seen, unseen] = reference(name).cases;
      if (seen === undefined || unseen === undefined) throw new Error("no cases");
      const data = join(folder, `${name}.jsonl`);
      writeFileSync(data, lineOf(seen.inputs));
      const output = join(folder, `${name}.static.onnx`);
      const { report } = await quantize(path, { mode: "static", data, output, check: false });
      const sites = report.sites.filter((site) => site.runs === "int8");
      expect(await integerProducts(output)).toBe(sites.length);
      expect((await inspect(path, { mode: "static" })).sites).toEqual(report.sites);
      expect(await lowestRatio(path, output, unseen.inputs)).toBeGreaterThan(18);
      await runsAtTwoShapes(output);
    },
  );
});

describe.skipIf(!hasShared)("signal-to-noise ratio on the zoo's reference inputs", () => {
  const ratios = new Map<string, number>();

  beforeAll(async () => {
    for (const { name, path } of zooGraphs()) {
      const output = join(folder, `snr-${name}.onnx`);
      await quantize(path, { output, check: false });
      const lowest: number[] = [];
      for (const { inputs } of reference(name).cases)
        lowest.push(await lowestRatio(path, output, inputs));
      ratios.set(name, Math.min(...lowest));
    }
  }, 300_000);

  test("is at least 28 dB on each graph", () => {
    expect(ratios.size).toBeGreaterThan(0);
    expect([...ratios].filter(([, ratio]) => !(ratio >= 28))).toEqual([]);
  });

  test("is at least 40 dB in the median", () => {
    const sorted = [...ratios.values()].toSorted((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length / 2)]).toBeGreaterThanOrEqual(40);
  });
});

async function integerProducts(path: string): Promise<number> {
  const { graph } = importModel(decodeModel(await optimizedByOrt(path)));
  return [...graph.allNodes()].filter((node) => INTEGER_PRODUCTS.has(node.op)).length;
}

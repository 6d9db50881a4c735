// The lint for onnxruntime against onnxruntime: of every graph at hand, in every form that Octavo writes and as others quantized it, the same integer products.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { inspect, quantize, type QuantizeOptions } from "../src/node.js";
import { asOne, integerKernels, lintedKernels, loads } from "./kernels.js";
import { numbers, reference } from "./run.js";
import { foreignGraphs, hasShared, shared, sharedModels, zooGraphs } from "./shared.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-lint-"));
afterAll(() => rmSync(folder, { recursive: true }));

const options: Record<string, QuantizeOptions> = {
  dynamic: {},
  "dynamic, nothing else in INT8 or apart": { embeddings: false, outliers: false },
  "dynamic, reduced range": { reduceRange: true },
  static: { mode: "static" },
  "static, nothing else in INT8 or apart": { mode: "static", embeddings: false, outliers: false },
  "static for web": { mode: "static", target: "web", smooth: false },
};

describe.skipIf(!hasShared).each(Object.entries(options))(
  "the quantized model: %s",
  (form, settings) => {
    test.each(zooGraphs())("of $name", async ({ name, path }) => {
      const output = join(folder, "quantized.onnx");
      const data = settings.mode === "static" ? { data: feedsOf(name) } : {};
      const { report } = await quantize(path, {
        ...settings,
        ...data,
        output,
        check: false,
        force: true,
      });
      const told = lintedKernels(readFileSync(output));
      expect(asOne(told), form).toEqual(asOne(await integerKernels(output)));
      expect(told).toHaveLength(report.sites.filter(({ runs }) => runs === "int8").length);
    });
  },
);

describe.skipIf(!hasShared)("as it is", () => {
  test.each([...foreignGraphs(), ...sharedModels()])("$name", async ({ path }) => {
    if (!(await loads(path))) return;
    expect(asOne(lintedKernels(readFileSync(path)))).toEqual(asOne(await integerKernels(path)));
  });

  test("a graph that onnxruntime's own tool quantized is linted by inspect", async () => {
    const path = shared("graphs/onnxruntime-transformers/attention_past_state.u8s8.onnx");
    const { quantized, sites } = await inspect(path);
    expect(quantized).toBeDefined();
    expect(sites.filter(({ runs }) => runs === "int8").length).toBeGreaterThan(0);
  });
});

/** Case 0 of the zoo's reference inputs, as a file of data. */
function feedsOf(name: string): string {
  const [first] = reference(name).cases;
  if (first === undefined) throw new Error("no cases");
  const inputs = Object.entries(first.inputs).map(([key, tensor]): [string, unknown[]] => {
    let lists: unknown[] = numbers(tensor);
    for (const size of tensor.dims.slice(1).toReversed())
      lists = Array.from({ length: lists.length / size }, (_, i) =>
        lists.slice(i * size, (i + 1) * size),
      );
    return [key, lists];
  });
  const path = join(folder, `${name}.jsonl`);
  writeFileSync(path, JSON.stringify({ inputs: Object.fromEntries(inputs) }));
  return path;
}

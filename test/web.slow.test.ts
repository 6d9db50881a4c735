// Target web on the exported graphs: both modes load in onnxruntime-web, and give at two shapes what onnxruntime-node gives, near the float model.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { importModel } from "../src/graph/import.js";
import { quantize } from "../src/node.js";
import { decodeModel } from "../src/onnx/reader.js";
import type { Tensor } from "../src/onnx/tensor.js";
import { syntheticFeeds } from "../src/inputs/dummy-inputs.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { ortWeb } from "../src/runtime/ort-web.js";
import type { Runtime } from "../src/runtime/runtime.js";
import { fromRuntime, toRuntime } from "../src/runtime/tensors.js";
import { numbers, reference, snr, type Feeds } from "./run.js";
import { hasShared, zooGraphs } from "./shared.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-web-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!hasShared).each(["dynamic", "static"] as const)(
  "the %s quantized model for web",
  (mode) => {
    test.each(zooGraphs())("of $name", async ({ name, path }) => {
      const web = await ortWeb();
      const cases = reference(name).cases;
      const [seen] = cases;
      if (seen === undefined) throw new Error("no cases");
      const data = join(folder, `${name}.jsonl`);
      writeFileSync(data, JSON.stringify({ inputs: nested(seen.inputs) }));
      const output = join(folder, `${name}.${mode}.onnx`);
      const source = mode === "static" ? { data } : {};
      const { report } = await quantize(path, {
        mode,
        target: "web",
        output,
        check: false,
        ...source,
      });
      expect(report.target).toBe("web");
      for (const { inputs } of cases) {
        const float = await run(ortNode, path, inputs);
        const node = await run(ortNode, output, inputs);
        const got = await run(web, output, inputs);
        expect(lowest(float, got)).toBeGreaterThan(18);
        // Sums in another order now and then end in the next code, which the layers behind carry on.
        expect(lowest(node, got)).toBeGreaterThan(lowest(float, node) + 2);
      }
      const model = importModel(decodeModel(readFileSync(path)));
      for (const shape of [
        { batch: 1, length: 8 },
        { batch: 3, length: 20 },
      ]) {
        const feeds = syntheticFeeds(model, shape);
        const inputs = Object.entries(feeds).map(
          ([key, value]) => [key, fromRuntime(value)] as const,
        );
        const outputs = await run(web, output, Object.fromEntries(inputs));
        expect(Object.values(outputs).flatMap(numbers).every(Number.isFinite)).toBe(true);
      }
    });
  },
);

async function run(runtime: Runtime, path: string, feeds: Feeds): Promise<Record<string, Tensor>> {
  const session = await runtime.load(path, { threads: 1 });
  try {
    const known = session.inputs.flatMap(({ name }) => {
      const tensor = feeds[name];
      return tensor === undefined ? [] : [[name, toRuntime(tensor)] as const];
    });
    const outputs = Object.entries(await session.run(Object.fromEntries(known)));
    return Object.fromEntries(outputs.map(([name, tensor]) => [name, fromRuntime(tensor)]));
  } finally {
    await session.release();
  }
}

function lowest(
  expected: Readonly<Record<string, Tensor>>,
  got: Readonly<Record<string, Tensor>>,
): number {
  return Math.min(
    ...Object.entries(expected).map(([name, tensor]) => {
      const other = got[name];
      if (other === undefined) throw new Error(`no output ${name}`);
      return snr(tensor, other);
    }),
  );
}

/** Feeds as a line of data has them: lists in lists. */
function nested(feeds: Feeds): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => {
      let lists: unknown[] = numbers(tensor);
      for (const size of tensor.dims.slice(1).toReversed())
        lists = Array.from({ length: lists.length / size }, (_, i) =>
          lists.slice(i * size, (i + 1) * size),
        );
      return [name, lists];
    }),
  );
}

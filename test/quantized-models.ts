// What every quantized model of every graph is held to: it runs at two shapes, and stays close to the float model.
import { expect } from "vitest";
import { importModel } from "../src/graph/import.js";
import { openModelFile } from "../src/onnx/files.js";
import { decodeModel } from "../src/onnx/reader.js";
import { realsOf } from "../src/evaluate/snr.js";
import { syntheticFeeds } from "../src/inputs/dummy-inputs.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { numbers, runModel, snr, type Feeds } from "./run.js";

/** Feeds as a line of a JSONL file. */
export function lineOf(feeds: Feeds): string {
  return `${JSON.stringify({ inputs: nested(feeds) })}\n`;
}

/** Lists in lists. */
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

/** The lowest signal-to-noise ratio of the outputs, dB. */
export async function lowestRatio(float: string, int8: string, feeds: Feeds): Promise<number> {
  const [expected, got] = [await runModel(float, feeds), await runModel(int8, feeds)];
  return Math.min(
    ...Object.entries(expected).map(([name, tensor]) => {
      const other = got[name];
      if (other === undefined) throw new Error(`no output ${name}`);
      return snr(tensor, other);
    }),
  );
}

/** Of short and longer inputs, with outputs that are finite. */
export async function runsAtTwoShapes(path: string): Promise<void> {
  const file = openModelFile(path);
  const session = await ortNode.load(path, { threads: 1 });
  try {
    const model = importModel(decodeModel(file.source), file.external);
    for (const shape of [
      { batch: 1, length: 8 },
      { batch: 3, length: 20 },
    ])
      for (const [name, tensor] of Object.entries(
        await session.run(syntheticFeeds(model, shape)),
      )) {
        const reals = realsOf(tensor);
        if (reals !== undefined)
          expect(Array.from(reals).every(Number.isFinite), `${name} is finite`).toBe(true);
      }
  } finally {
    await session.release();
    file.close();
  }
}

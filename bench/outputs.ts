// What two models say on the same inputs, and how far apart that is.
import { importModel } from "../src/graph/import.js";
import { openModelFile } from "../src/onnx/files.js";
import { decodeModel } from "../src/onnx/reader.js";
import { inferTypes } from "../src/ops/infer.js";
import { realsOf, signalToNoise } from "../src/evaluate/snr.js";
import { syntheticFeeds, type FeedOptions } from "../src/inputs/dummy-inputs.js";
import { ortNode } from "../src/runtime/ort-node.js";
import type { Feeds, RuntimeTensor } from "../src/runtime/runtime.js";

/** Dummy inputs for the model at `path`; its weights are not read. */
export function feedsFor(path: string, options: FeedOptions): Feeds {
  const file = openModelFile(path);
  try {
    const model = importModel(decodeModel(file.source), file.external);
    inferTypes(model);
    return syntheticFeeds(model, options);
  } finally {
    file.close();
  }
}

/** Outputs of a model for each of `feeds`; the model is let go of afterwards. */
export async function outputsOf(
  path: string,
  feeds: readonly Feeds[],
): Promise<Record<string, RuntimeTensor>[]> {
  const session = await ortNode.load(path, { spinning: "running" });
  try {
    const all: Record<string, RuntimeTensor>[] = [];
    for (const one of feeds) all.push(await session.run(one));
    return all;
  } finally {
    await session.release();
  }
}

/** The lowest signal-to-noise ratio, dB, over the outputs of real numbers; NaN where there is none. */
export function lowestNoise(
  reference: Readonly<Record<string, RuntimeTensor>>,
  candidate: Readonly<Record<string, RuntimeTensor>>,
): number {
  const ratios = Object.entries(reference).flatMap(([name, tensor]) => {
    const [a, b] = [realsOf(tensor), candidate[name] && realsOf(candidate[name])];
    if (a === undefined) return [];
    if (b === undefined || a.length !== b.length) return [-Infinity];
    return [signalToNoise({ reference: a, candidate: b })];
  });
  return ratios.length === 0 ? NaN : Math.min(...ratios);
}

/** How close the model at `candidate` is to the one at `reference` on dummy inputs: the lowest ratio, dB. */
export async function outputNoise(reference: string, candidate: string): Promise<number> {
  const feeds = [
    feedsFor(reference, { batch: 1, length: 32 }),
    feedsFor(reference, { batch: 4, length: 64, seed: 2 }),
  ];
  const expected = await outputsOf(reference, feeds);
  const got = await outputsOf(candidate, feeds);
  return Math.min(...expected.map((outputs, i) => lowestNoise(outputs, got[i] ?? {})));
}

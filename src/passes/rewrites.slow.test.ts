// The three exact rewrites on every exported graph at hand: where they apply, what onnxruntime fuses afterwards, and that the function stays.
import { describe, expect, test } from "vitest";
import { bytesOf } from "../../test/build.js";
import { optimizedByOrt, reference, runModel, snr, type Feeds } from "../../test/run.js";
import { hasShared, sharedModels, zooGraphs, type SharedGraph } from "../../test/shared.js";
import { readModelFile } from "../../test/types.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { reorderGelu } from "./gelu.js";
import { removeNanGuards } from "./nan-guard.js";
import { unfuseResiduals } from "./residuals.js";
import { simplify } from "./simplify.js";

type Counts = Record<string, number>;

function countOps(model: Model): Counts {
  const counts: Counts = {};
  for (const { op } of model.graph.allNodes()) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

const count = (counts: Counts, ...ops: string[]) => ops.reduce((n, op) => n + (counts[op] ?? 0), 0);

function zeros({ dtype, dims, data }: Tensor): Tensor {
  return tensorOf(dtype, dims, new Uint8Array(data.byteLength));
}

/** The feeds as they are, and with every row masked as a whole. */
function withAllMasked(feeds: Feeds): Feeds[] {
  const { attention_mask: mask } = feeds;
  return mask === undefined ? [feeds] : [feeds, { ...feeds, attention_mask: zeros(mask) }];
}

/** Two rows of 12 tokens, the second one padded. */
function tokenFeeds(model: Model): Feeds {
  const feeds: Record<string, Tensor> = {};
  for (const { name } of model.graph.inputs) {
    const value = (i: number) => {
      if (name.includes("mask")) return i < 19 ? 1 : 0;
      return name.includes("type") ? 0 : 5 + ((i * 7) % 23);
    };
    const values = Array.from({ length: 24 }, (_, i) => BigInt(value(i)));
    feeds[name] = tensorOf("int64", [2, 12], BigInt64Array.from(values));
  }
  return feeds;
}

async function worstSnr(a: Uint8Array, b: Uint8Array, feeds: readonly Feeds[]): Promise<number> {
  let worst = Infinity;
  for (const feed of feeds) {
    // Unoptimized, both run the same kernels in the same order: what differs is the rewrite.
    const before = await runModel(a, feed, { level: "disabled" });
    const after = await runModel(b, feed, { level: "disabled" });
    for (const [name, tensor] of Object.entries(before)) {
      const got = after[name];
      worst = got === undefined ? -Infinity : Math.min(worst, snr(tensor, got));
    }
  }
  return worst;
}

async function checkRewrites(
  path: string,
  feedsOf: (model: Model) => Feeds[],
): Promise<Uint8Array> {
  const model = readModelFile(path);
  const feeds = feedsOf(model).flatMap(withAllMasked);
  const original = bytesOf(readModelFile(path));
  simplify(model);
  const plain = bytesOf(model);
  // Folded weights take another product kernel than weights that are transposed at run time.
  expect(await worstSnr(original, plain, feeds)).toBeGreaterThan(120);
  const before = countOps(model);
  const gates = count(before, "Erf");
  const cubic = count(before, "Pow") > 0 ? count(before, "Tanh") : 0;

  const gelus = reorderGelu(model);
  verify(model);
  expect(gelus).toBeLessThanOrEqual(gates + cubic);
  const guards = removeNanGuards(model);
  verify(model);
  expect(guards).toBe(count(before, "IsNaN"));
  for (const node of model.graph.nodes())
    if (node.op === "IsNaN") expect(node.input(0)?.producer?.op).toBe("MatMul");
  const residuals = unfuseResiduals(model);
  verify(model);
  expect(residuals).toBeGreaterThan(0);

  const after = bytesOf(model);
  expect(await worstSnr(plain, after, feeds)).toBe(Infinity);
  const fused = countOps(importModel(decodeModel(await optimizedByOrt(after))));
  expect(count(fused, "Erf")).toBe(0);
  expect(count(fused, "com.microsoft.Gelu", "com.microsoft.BiasGelu")).toBe(gates);
  expect(count(fused, "com.microsoft.SkipLayerNormalization")).toBe(0);
  expect([reorderGelu(model), removeNanGuards(model), unfuseResiduals(model)]).toEqual([0, 0, 0]);
  return after;
}

describe.skipIf(!hasShared)("the exact rewrites on the zoo (../shared)", () => {
  test.each(zooGraphs())("$name", async ({ name, path }: SharedGraph) => {
    const { cases } = reference(name);
    const after = await checkRewrites(path, () => cases.map((c) => c.inputs));
    for (const { inputs, outputs } of cases) {
      const got = await runModel(after, inputs);
      for (const [output, expected] of Object.entries(outputs)) {
        const tensor = got[output];
        expect(tensor && snr(expected, tensor)).toBeGreaterThan(110);
      }
    }
  });
});

describe.skipIf(!hasShared)("the exact rewrites on the fine-tuned models (../shared)", () => {
  test.each(sharedModels())("$name", async ({ path }: SharedGraph) => {
    await checkRewrites(path, (model) => [tokenFeeds(model)]);
  });
});

// Real models: what their training graphs compute is what the models exported from them compute, to a hundredth of a step at each site.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { importModel } from "../src/graph/import.js";
import { decodeModel } from "../src/onnx/reader.js";
import { tensorOf } from "../src/onnx/tensor.js";
import { planModel } from "../src/plan/plan-model.js";
import { targetFor, type TargetName } from "../src/targets/all.js";
import { choose, type GivenChoices } from "../src/targets/choices.js";
import { noise } from "./build.js";
import { compareWithExport, type Trained } from "./exported.js";
import { hasShared, shared } from "./shared.js";

const MODELS = ["bert-sst2", "deberta-sst2", "albert-sst2"];
const FORMS: { target: TargetName; given: GivenChoices }[] = [
  { target: "cpu", given: {} },
  { target: "web", given: { attention: "all" } },
  { target: "tensorrt", given: { residual: "both" } },
];

/** As training would: everything moves a little. */
function trained(values: Trained): void {
  let seed = 3;
  for (const [name, list] of values) {
    const by = noise(list.length, seed++);
    const size = name.endsWith("_ratio") ? 0.1 : name.endsWith("_shift") ? 0.02 : 0.0005;
    for (const [i, v] of list.entries()) list[i] = v + (by[i] as number) * size;
  }
}

const [ROWS, LENGTH] = [4, 24];
function ints(at: (i: number) => number) {
  const values = BigInt64Array.from({ length: ROWS * LENGTH }, (_, i) => BigInt(at(i)));
  return tensorOf("int64", [ROWS, LENGTH], values);
}

describe.skipIf(!hasShared)("one step at each site, with ../shared", () => {
  for (const name of MODELS)
    for (const { target: to, given } of FORMS)
      test(`${name} for ${to}`, { timeout: 300_000 }, async () => {
        const target = targetFor(to, "qat");
        const bytes = new Uint8Array(readFileSync(shared("models", name, "onnx", "model.onnx")));
        const model = importModel(decodeModel(bytes));
        const planned = planModel(model, target, {
          ...choose(target, "qat", given),
          mode: "qat",
          reduceRange: false,
          embeddings: true,
          outliers: false,
          exclude: [],
          rangeOf: () => ({ min: -7, max: 6 }),
        });
        const inputs = new Set(model.graph.inputs.map((input) => input.name));
        const all = {
          input_ids: ints((i) => 5 + ((i * 7919) % 5000)),
          attention_mask: ints((i) => (i % LENGTH < LENGTH - Math.floor(i / LENGTH) * 3 ? 1 : 0)),
          token_type_ids: ints(() => 0),
        };
        const feeds = Object.fromEntries(Object.entries(all).filter(([key]) => inputs.has(key)));
        const found = await compareWithExport(model, planned, target, feeds, trained);
        expect(found.operands.length).toBeGreaterThan(10);
        // Each site by itself, given what the training graph gave it: the last bits of floats, where a step is allowed.
        for (const { name: operand, own } of found.operands)
          expect([operand, own]).toEqual([operand, Math.min(own, 0.01)]);
        // From end to end a value at the edge between two codes may fall to either side by such a bit; what follows grows with depth.
        for (const { beyond } of found.operands) expect(beyond).toBeLessThanOrEqual(0.1);
        expect(found.outputs).toBeLessThan(0.02);
      });
});

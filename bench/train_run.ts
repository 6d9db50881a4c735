// One process of `npm run bench -- train`: steps of training on dummy tokens, as JSON on the standard output.
import { readFileSync } from "node:fs";
import type { Model } from "../src/graph/model.js";
import { importModel } from "../src/graph/import.js";
import { decodeModel } from "../src/onnx/reader.js";
import { planModel } from "../src/plan/plan-model.js";
import { quantizerGraph, type QuantizerGraph } from "../src/qat/quantizer-graph.js";
import { finishTraining, trainingGraph } from "../src/train/training-graph.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { random } from "../src/math/random.js";
import type { RuntimeTensor } from "../src/runtime/runtime.js";
import { choose } from "../src/targets/choices.js";
import { targetFor } from "../src/targets/all.js";
import { expandQuantizers } from "../src/qat/expand-quantizers.js";
import { saturates } from "../src/runtime/integer-sums.js";
import { QUANTIZER_RULES } from "../src/qat/fake-quantize.js";
import { addLoss, LABELS, WEIGHTS } from "../src/train/losses.js";
import { trainLoop } from "../src/train/loop.js";

const [path = "", steps = "25", warm = "5", form = "plain"] = process.argv.slice(2);
const [ROWS, TOKENS, FIRST_WORD] = [32, 32, 5];

const model = importModel(decodeModel(readFileSync(path)));
// As many as the smallest of the models knows.
const words = 4000;
const { model: graph, parameters } =
  form === "qat" ? withQuantizers(model) : trainingGraph(model, ["logits"]);
const numbers = random(1);
const whole = (dims: number[], of: () => number): RuntimeTensor => ({
  dtype: "int64",
  dims,
  data: BigInt64Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => BigInt(of())),
});
const tokens = (of: () => number) => whole([ROWS, TOKENS], of);
const feeds = {
  input_ids: tokens(() => FIRST_WORD + numbers.whole(words - FIRST_WORD)),
  attention_mask: tokens(() => 1),
  token_type_ids: tokens(() => 0),
  [LABELS.labels]: whole([ROWS], () => numbers.whole(2)),
  [WEIGHTS.rows]: { dtype: "float32", dims: [ROWS], data: new Float32Array(ROWS).fill(1) },
} as const;

const unsignedWeights = await saturates(ortNode);
const ms: number[] = [];
const memory: number[] = [];
let last = performance.now();
const { losses } = await trainLoop(
  ortNode,
  {
    model: graph,
    parameters,
    loss: (built) => addLoss(built, [{ kind: "cross-entropy", output: "logits", over: "rows" }]),
    rules: QUANTIZER_RULES,
    lower(built) {
      expandQuantizers(built, { unsignedWeights });
      finishTraining(built);
    },
  },
  { perEpoch: 1, batch: () => ({ feeds, counted: ROWS, place: "dummy tokens" }) },
  {
    steps: Number(steps) + Number(warm),
    schedule: "constant",
    warmup: 0,
    clip: 1,
    accumulate: 1,
    optimizer: "adamw",
    rate: 5e-5,
    weightDecay: 0.01,
    betas: [0.9, 0.999],
    epsilon: 1e-8,
    momentum: 0.9,
    threads: 2,
    now: () => performance.now() / 1000,
    onStep({ done }) {
      const now = performance.now();
      if (done > Number(warm)) ms.push(now - last);
      last = now;
      if (done % 50 === 0) memory.push(process.memoryUsage.rss());
    },
  },
);

/** As static mode's plan for CPUs has it; a step takes as long with every range. */
function withQuantizers(float: Model): QuantizerGraph {
  const target = targetFor("cpu", "qat");
  const { plan } = planModel(float, target, {
    ...choose(target, "qat", {}),
    mode: "qat",
    reduceRange: false,
    embeddings: true,
    outliers: false,
    exclude: [],
    rangeOf: () => ({ min: -6, max: 6 }),
  });
  return quantizerGraph(float, plan, target, { scaleRateMultiplier: 200, outputs: ["logits"] });
}

process.stdout.write(JSON.stringify({ ms, memory, loss: losses.at(-1) }));

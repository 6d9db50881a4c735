// Each loss against its formula in JavaScript; what is padding or unlabelled does not count, whatever stands there.
import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { exportModel } from "../graph/export.js";
import { inferTypes } from "../ops/infer.js";
import { encodeModel } from "../onnx/writer.js";
import { ortNode } from "../runtime/ort-node.js";
import type { Feeds, RuntimeTensor } from "../runtime/runtime.js";
import { addLoss, LABELS, LOSS_SHARE, teacherInput, WEIGHTS, type LossTerm } from "./losses.js";

const float = (dims: readonly number[], ...values: number[]): RuntimeTensor => ({
  dtype: "float32",
  dims,
  data: Float32Array.from(values),
});
const whole = (dims: readonly number[], ...values: number[]): RuntimeTensor => ({
  dtype: "int64",
  dims,
  data: BigInt64Array.from(values, BigInt),
});

/** The loss of outputs that are fed as they are, for one thing that counts. */
async function lossOf(
  terms: readonly LossTerm[],
  outputs: Readonly<Record<string, RuntimeTensor>>,
  feeds: Feeds,
): Promise<number> {
  const model = buildModel((b) => {
    for (const [name, { dims }] of Object.entries(outputs)) {
      const shape = ["batch", ...dims.slice(1)];
      b.output(b.op(name, "Identity", [b.input(`${name}_in`, shape)]));
    }
  });
  inferTypes(model);
  const loss = addLoss(model, terms);
  model.graph.truncateOutputs(0);
  model.graph.addOutput(loss);
  const session = await ortNode.load(encodeModel(exportModel(model)), { threads: 1 });
  const given = Object.entries(outputs).map(([name, tensor]) => [`${name}_in`, tensor] as const);
  const results = await session.run({
    ...feeds,
    ...Object.fromEntries(given),
    [LOSS_SHARE]: float([], 1),
  });
  await session.release();
  return Number(results[loss.name]?.data[0]);
}

const softmax = (logits: readonly number[]): number[] => {
  const most = Math.max(...logits);
  const sum = logits.reduce((s, x) => s + Math.exp(x - most), 0);
  return logits.map((x) => Math.exp(x - most) / sum);
};
const nll = (logits: readonly number[], label: number) => -Math.log(softmax(logits)[label] ?? 0);
const kl = (taught: readonly number[], own: readonly number[], temperature: number) => {
  const [p, q] = [taught, own].map((l) => softmax(l.map((x) => x / temperature))) as [
    number[],
    number[],
  ];
  return temperature ** 2 * p.reduce((sum, x, i) => sum + x * Math.log(x / (q[i] ?? 0)), 0);
};

test("cross-entropy of rows that count", async () => {
  const logits = float([3, 3], 1, 2, 3, -1, 0, 4, 9, 9, 9);
  const feeds = {
    [LABELS.labels]: whole([3], 0, 2, 1),
    [WEIGHTS.rows]: float([3], 1, 1, 0),
  };
  const loss = await lossOf(
    [{ kind: "cross-entropy", output: "logits", over: "rows" }],
    { logits },
    feeds,
  );
  expect(loss).toBeCloseTo(nll([1, 2, 3], 0) + nll([-1, 0, 4], 2), 5);
});

test("cross-entropy of tokens that are labelled: others may hold anything", async () => {
  const logits = float([1, 3, 2], 1, 2, 1e30, 5, 3, 1);
  const feeds = {
    [LABELS.labels]: whole([1, 3], 1, 0, 0),
    [WEIGHTS.labelled]: float([1, 3], 1, 0, 1),
  };
  const loss = await lossOf(
    [{ kind: "cross-entropy", output: "logits", over: "labelled" }],
    { logits },
    feeds,
  );
  expect(loss).toBeCloseTo(nll([1, 2], 1) + nll([3, 1], 0), 5);
});

test("binary cross-entropy, also of logits that overflow an exponential", async () => {
  const logits = float([1, 4], 200, -200, 0.5, -3);
  const feeds = {
    [LABELS.labels]: float([1, 4], 1, 1, 0, 0),
    [WEIGHTS.rows]: float([1], 1),
  };
  const loss = await lossOf(
    [{ kind: "binary-cross-entropy", output: "logits" }],
    { logits },
    feeds,
  );
  expect(loss).toBeCloseTo(200 + Math.log1p(Math.exp(0.5)) + Math.log1p(Math.exp(-3)), 3);
});

test("spans: padded places are no candidates", async () => {
  const start = float([1, 3], 1, 2, 50);
  const end = float([1, 3], 0, 1, 50);
  const feeds = {
    [LABELS.starts]: whole([1], 0),
    [LABELS.ends]: whole([1], 1),
    [LABELS.places]: float([1, 3], 0, 0, -1e9),
    [WEIGHTS.rows]: float([1], 1),
  };
  const loss = await lossOf([{ kind: "span", outputs: ["start", "end"] }], { start, end }, feeds);
  expect(loss).toBeCloseTo((nll([1, 2], 0) + nll([0, 1], 1)) / 2, 5);
});

test("squared differences of scores, and of a teacher's numbers", async () => {
  const logits = float([2, 1], 3, 7);
  const rows = { [WEIGHTS.rows]: float([2], 1, 0) };
  const labels = { ...rows, [LABELS.labels]: float([2, 1], 1, 0) };
  expect(await lossOf([{ kind: "squared", output: "logits" }], { logits }, labels)).toBe(4);
  const taught = { ...rows, [teacherInput("logits")]: float([2, 1], 2.5, 0) };
  const term = { kind: "match", output: "logits", over: "rows", share: 2 } as const;
  expect(await lossOf([term], { logits }, taught)).toBeCloseTo(0.5, 6);
});

test("similarity: the cosine of pooled pairs, first texts before second ones", async () => {
  // Two texts of two tokens, the second of the second one padding.
  const hidden = float([2, 2, 2], 1, 0, 3, 2, 0, 5, 1e6, 1e6);
  const feeds = {
    [LABELS.pooling]: float([2, 2], 0.5, 0.5, 1, 0),
    [LABELS.labels]: float([1], 0.25),
    [WEIGHTS.rows]: float([1], 1),
  };
  const term = { kind: "cosine", output: "hidden", pooling: "weights" } as const;
  const cosine = 5 / (Math.hypot(2, 1) * 5);
  expect(await lossOf([term], { hidden }, feeds)).toBeCloseTo((cosine - 0.25) ** 2, 5);
});

test("the highest of each place, padding left out", async () => {
  const hidden = float([1, 3, 2], 1, 8, 3, 2, 99, 99);
  const feeds = {
    [LABELS.places]: float([1, 3], 0, 0, -1e9),
    [teacherInput("hidden")]: float([1, 3, 2], 0, 8, 1, 2, 50, 50),
    [WEIGHTS.rows]: float([1], 1),
  };
  const term = { kind: "match-pooled", output: "hidden", pooling: "max" } as const;
  expect(await lossOf([term], { hidden }, feeds)).toBeCloseTo((3 - 1) ** 2 / 2, 5);
});

test("hidden states: distances as shares of the teacher's, a mean over tokens and values, for each row that counts", async () => {
  const near = float([2, 2, 2], 3, 4, 0, 2, 5, 0, 1e6, 1e6);
  const far = float([2, 2, 2], 1, 1, 1, 1, 1, 1, 1, 1);
  const feeds = {
    [teacherInput("near")]: float([2, 2, 2], 0, 5, 0, 1, 5, 0, 7, 7),
    [teacherInput("far")]: float([2, 2, 2], 2, 0, 2, 0, 2, 0, 9, 9),
    [WEIGHTS.tokens]: float([2, 2], 1, 1, 1, 0),
    [WEIGHTS.rows]: float([2], 1, 1),
  };
  const own = { near, far };
  const hidden = { kind: "hidden", values: ["near", "far"], over: "rows" } as const;
  // near: 10/25, 1/1 and 0; far: 2/4 each.
  const mean = ((10 / 25 + 1) / 3 + 0.5) / 2;
  expect(await lossOf([hidden], own, feeds)).toBeCloseTo(2 * mean, 5);
  const tokens = await lossOf([{ ...hidden, over: "tokens" }], own, feeds);
  expect(tokens).toBeCloseTo(3 * mean, 5);
});

test.each([1, 2.5])("a teacher's probabilities at temperature %d", async (temperature) => {
  const logits = float([1, 2, 3], 1, 2, 3, 7, 7, 7);
  const feeds = {
    [teacherInput("logits")]: float([1, 2, 3], 0, 3, 1, -5, 9, 2),
    [WEIGHTS.tokens]: float([1, 2], 1, 0),
  };
  const term = { kind: "soft", output: "logits", over: "tokens", temperature } as const;
  const loss = await lossOf([term], { logits }, feeds);
  expect(loss).toBeCloseTo(kl([0, 3, 1], [1, 2, 3], temperature), 5);
});

test("a teacher's flags and spans: nothing is lost where both say the same", async () => {
  const logits = float([1, 2], 1.5, -0.5);
  const same = { [teacherInput("logits")]: logits, [WEIGHTS.rows]: float([1], 1) };
  const flags = { kind: "soft-flags", output: "logits", temperature: 2 } as const;
  expect(await lossOf([flags], { logits }, same)).toBeCloseTo(0, 6);
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const [p, q] = [sigmoid(1), sigmoid(0.75)];
  const [p2, q2] = [sigmoid(0.5), sigmoid(-0.25)];
  const binary = (a: number, b: number) =>
    a * Math.log(a / b) + (1 - a) * Math.log((1 - a) / (1 - b));
  const other = { ...same, [teacherInput("logits")]: float([1, 2], 2, 1) };
  expect(await lossOf([flags], { logits }, other)).toBeCloseTo(
    4 * (binary(p, q) + binary(p2, q2)),
    5,
  );

  const spans = { kind: "soft-span", outputs: ["start", "end"], temperature: 1 } as const;
  const start = float([1, 3], 1, 2, 3);
  const end = float([1, 3], 0, 1, 2);
  const feeds = {
    [LABELS.places]: float([1, 3], 0, 0, -1e9),
    [teacherInput("start")]: float([1, 3], 2, 1, 70),
    [teacherInput("end")]: float([1, 3], 0, 1, -70),
    [WEIGHTS.rows]: float([1], 1),
  };
  const loss = await lossOf([spans], { start, end }, feeds);
  expect(loss).toBeCloseTo(kl([2, 1], [1, 2], 1) / 2, 5);
});

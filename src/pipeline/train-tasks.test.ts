// Each task learns from its labels, end to end: texts, the demo's tokenizer, a small model with the task's head, and its metric afterwards.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import type { Value } from "../graph/graph.js";
import type { TaskName } from "../tasks/read.js";
import { evaluate, quantize, train, type TrainOptions } from "../node.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
const [WORDS, WIDTH] = [4000, 32];

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "octavo-tasks-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Head = (b: Builder, tokens: Value, mask: Value) => void;

/** Rows of a table, a feed-forward block, a norm, and a head over [batch, length, 32]. */
function save(head: Head, labels: readonly string[]): void {
  const build = (b: Builder): void => {
    const ids = b.input("input_ids", ["batch", "length"], "int64");
    const mask = b.input("attention_mask", ["batch", "length"], "int64");
    const rows = b.op("rows", "Gather", [weight(b, "words", WORDS, WIDTH), ids]);
    const up = b.op("up", "Relu", [b.op("wide", "MatMul", [rows, weight(b, "up", WIDTH, 64)])]);
    const down = b.op("down", "MatMul", [up, weight(b, "down", 64, WIDTH)]);
    const ones = Array<number>(WIDTH).fill(1);
    const norm = b.op("norm", "LayerNormalization", [
      b.op("sum", "Add", [rows, down]),
      b.float("norm.weight", ones),
      b.float("norm.bias", Array<number>(WIDTH).fill(0)),
    ]);
    head(b, norm, b.op("mask", "Cast", [mask], { to: 1 }));
  };
  mkdirSync(join(folder, "onnx"));
  writeFileSync(join(folder, "onnx", "model.onnx"), bytesOf(buildModel(build)));
  for (const file of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
    copyFileSync(join(demo, file), join(folder, file));
  const config = {
    max_position_embeddings: 64,
    ...(labels.length > 0 ? { id2label: Object.fromEntries(labels.entries()) } : {}),
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
}

let seed = 0;
function weight(b: Builder, name: string, rows: number, cols: number): Value {
  const values = [...noise(rows * cols, ++seed)].map((v) => v / Math.sqrt(WIDTH));
  return b.float(`${name}.weight`, values, [rows, cols]);
}

const perToken =
  (width: number, name = "logits"): Head =>
  (b, tokens) =>
    b.output(b.op(name, "MatMul", [tokens, weight(b, name, WIDTH, width)]));

/** The mean of what is no padding. */
function meanOf(b: Builder, tokens: Value, mask: Value): Value {
  const last = b.op("column", "Unsqueeze", [mask, b.int("last", [2])]);
  const sum = b.op("total", "ReduceSum", [b.op("own", "Mul", [tokens, last]), b.int("axis", [1])], {
    keepdims: 0,
  });
  return b.op("mean", "Div", [
    sum,
    b.op("count", "ReduceSum", [mask, b.int("tokens", [1])], { keepdims: 1 }),
  ]);
}

const pooled =
  (width: number): Head =>
  (b, tokens, mask) =>
    b.output(b.op("logits", "MatMul", [meanOf(b, tokens, mask), weight(b, "head", WIDTH, width)]));

const ends: Head = (b, tokens) => {
  for (const name of ["start_logits", "end_logits"]) {
    const column = b.op(`${name}.column`, "MatMul", [tokens, weight(b, name, WIDTH, 1)]);
    b.output(b.op(name, "Squeeze", [column, b.int(`${name}.axis`, [2])]));
  }
};

const PLACES = ["hotel", "cafe", "museum", "garden"];
const WORTHS = ["good", "bad", "clean", "loud"];
const pick = <T>(list: readonly T[], r: number): T => list[r % list.length] as T;
const place = (r: number) => pick(PLACES, r);
const worth = (r: number) => pick(WORTHS, Math.floor(r / 4));

interface Case {
  readonly task: TaskName;
  readonly head: Head;
  readonly labels?: readonly string[];
  readonly row: (r: number) => unknown;
  /** What the task's first metric is above after training, and was below before it; of perplexity, minus it. */
  readonly bar: number;
  readonly options?: Omit<TrainOptions, "data">;
}

const says = (r: number): string => `The ${place(r)} was ${worth(r)}.`;
const CASES: readonly Case[] = [
  {
    task: "text-classification",
    head: pooled(2),
    labels: ["other", "good"],
    row: (r) => ({ text: says(r), label: worth(r) === "good" ? "good" : "other" }),
    bar: 0.99,
  },
  {
    task: "multi-label-classification",
    head: pooled(3),
    labels: ["hotel", "good", "loud"],
    row: (r) => ({
      text: says(r),
      labels: ["hotel", "good", "loud"].map((name) => Number(says(r).includes(name))),
    }),
    bar: 0.99,
    options: { trainSteps: 150 },
  },
  {
    task: "regression",
    head: pooled(1),
    row: (r) => ({ text: says(r), label: 5 * WORTHS.indexOf(worth(r)) }),
    bar: 0.97,
    options: { labelScale: 5, trainSteps: 150 },
  },
  {
    task: "sentence-embedding",
    head: (b, tokens) => b.output(b.op("last_hidden_state", "Identity", [tokens])),
    row: (r) => ({
      text: says(r),
      text_pair: says(r * 7 + 3),
      label: worth(r) === worth(r * 7 + 3) ? 5 : 0,
    }),
    bar: 0.8,
    options: { labelScale: 5 },
  },
  {
    task: "token-classification",
    head: perToken(3),
    labels: ["O", "B-place", "B-worth"],
    row: (r) => ({
      tokens: ["The", place(r), "was", worth(r)],
      labels: ["O", "B-place", "O", "B-worth"],
    }),
    bar: 0.99,
  },
  {
    task: "question-answering",
    head: ends,
    row: (r) => ({
      question: "How was it?",
      context: `We saw it: the ${place(r)} was ${worth(r)}.`,
      answers: [worth(r)],
    }),
    bar: 0.99,
  },
  {
    task: "masked-language-modelling",
    head: perToken(WORDS),
    row: (r) => ({ text: says(r) }),
    bar: -40,
  },
  {
    task: "causal-language-modelling",
    head: perToken(WORDS),
    row: (r) => ({ text: says(r) }),
    bar: -6,
  },
];

const lines = (row: Case["row"], from: number, count: number): string =>
  Array.from({ length: count }, (_, r) => JSON.stringify(row(from + r))).join("\n");

/** Files of a case, in `folder`. */
function write({ head, labels = [], row }: Case): { readonly data: string; readonly dev: string } {
  save(head, labels);
  const [data, dev] = [join(folder, "train.jsonl"), join(folder, "dev.jsonl")];
  writeFileSync(data, lines(row, 0, 96));
  writeFileSync(dev, lines(row, 205, 48));
  return { data, dev };
}

const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;

/** The first metric, higher for better. */
async function score(model: string, data: string, task: TaskName): Promise<number> {
  const { metrics } = await evaluate(model, { data, task, folder });
  const [{ name, value } = { name: "", value: NaN }] = metrics;
  return name === "perplexity" ? -value : value;
}

test.each(CASES)("$task is learned", async (each) => {
  const { task, bar, options } = each;
  const { data, dev } = write(each);
  expect(await score(folder, dev, task)).toBeLessThan(bar);
  const { path } = await train(folder, {
    data,
    task,
    rate: 0.01,
    trainSteps: 60,
    batchSize: 16,
    output: join(folder, "trained.onnx"),
    ...options,
  });
  expect(await score(path, dev, task)).toBeGreaterThan(bar);
});

test.each(CASES)(
  "$task is learned with quantizers, by labels and by the float model",
  async (each) => {
    const { task, options } = each;
    const { data, dev } = write(each);
    for (const loss of ["task", "distill"] as const) {
      const { report } = await quantize(folder, {
        mode: "qat",
        data,
        evaluate: dev,
        task,
        loss,
        samples: 32,
        rate: 0.003,
        trainSteps: 40,
        batchSize: 16,
        check: false,
        labelScale: options?.labelScale ?? 1,
        output: join(folder, `${loss}.onnx`),
      });
      const losses = report.training?.losses.map(({ value }) => value ?? NaN) ?? [];
      expect(report.training?.loss).toBe(loss);
      if (loss === "task") expect(mean(losses.slice(-4))).toBeLessThan(mean(losses.slice(0, 4)));
      else expect(mean(losses)).toBeLessThan(1);
      expect(await score(join(folder, `${loss}.onnx`), dev, task)).not.toBeNaN();
    }
  },
);

test("texts alone teach embeddings: no pairs are asked for", async () => {
  save((b, tokens) => b.output(b.op("last_hidden_state", "Identity", [tokens])), []);
  const data = join(folder, "texts.jsonl");
  writeFileSync(
    data,
    lines((r) => ({ text: says(r) }), 0, 96),
  );
  const task = "sentence-embedding";
  const options = { data, task, samples: 32, trainSteps: 4, check: false } as const;
  const { report } = await quantize(folder, {
    ...options,
    mode: "qat",
    output: join(folder, "q.onnx"),
  });
  expect(report.training).toMatchObject({ loss: "distill", metric: "divergence", heldOut: true });
  const scores = report.training?.scores.map(({ value }) => value ?? NaN) ?? [];
  for (const score of scores) expect(score).toBeGreaterThan(0);
});

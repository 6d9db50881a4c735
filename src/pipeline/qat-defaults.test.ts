// quantize --mode qat at its defaults on a model of a few thousand weights: what it learns from, how fast, and how much closer it comes.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { quantize } from "../node.js";
import type { QatOptions } from "../options/quantize.js";
import { rateFor } from "../qat/train-planned.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-qat-defaults-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
const [WORDS, WIDTH, LENGTH] = [60, 16, 5];
/** Of the demo's tokenizer. */
const VOCABULARY = 4000;

/** Words, a norm, a feed-forward block and its norm, the mean of all tokens, two classes. */
function classifier(b: Builder, words = WORDS): void {
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  let seed = 20;
  const matrix = (name: string, rows: number, cols: number) =>
    b.float(name, [...noise(rows * cols, ++seed)], [rows, cols]);
  const norm = (name: string, x: ReturnType<Builder["op"]>) =>
    b.op(name, "LayerNormalization", [
      x,
      b.float(`${name}.weight`, Array<number>(WIDTH).fill(1)),
      b.float(`${name}.bias`, Array<number>(WIDTH).fill(0)),
    ]);
  const first = norm("first", b.op("rows", "Gather", [matrix("words", words, WIDTH), ids]));
  const up = b.op("up", "MatMul", [first, matrix("up.weight", WIDTH, 32)]);
  const down = b.op("down", "MatMul", [
    b.op("act", "Relu", [up]),
    matrix("down.weight", 32, WIDTH),
  ]);
  const last = norm("last", b.op("sum", "Add", [down, first]));
  const mean = b.op("mean", "ReduceMean", [last, b.int("axes", [1])], { keepdims: 0 });
  b.output(b.op("logits", "MatMul", [mean, matrix("classifier.weight", WIDTH, 2)]));
}

function lines(count: number, from: number, labelled: boolean): string {
  return Array.from({ length: count }, (_, k) => {
    const r = from + k;
    const ids = Array.from({ length: LENGTH }, (__, i) => (r * 17 + i * 31 + r * i) % WORDS);
    const label = labelled ? { label: ids.reduce((sum, id) => sum + id, 0) % 2 } : {};
    return JSON.stringify({ inputs: { input_ids: [ids] }, ...label });
  }).join("\n");
}

beforeAll(() => {
  mkdirSync(at("m"));
  mkdirSync(at("words"));
  writeFileSync(at("m/model.onnx"), bytesOf(buildModel((b) => classifier(b))));
  writeFileSync(at("words/model.onnx"), bytesOf(buildModel((b) => classifier(b, VOCABULARY))));
  for (const file of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
    copyFileSync(join(demo, file), join(at("words"), file));
  const config = {
    architectures: ["TinyForSequenceClassification"],
    id2label: { 0: "even", 1: "odd" },
  };
  for (const model of ["m", "words"])
    writeFileSync(at(`${model}/config.json`), JSON.stringify(config));
  const reviews = readFileSync(join(demo, "reviews.tsv"), "utf8").split("\n").slice(1, 121);
  const texts = reviews.map((line) => JSON.stringify({ text: line.split("\t")[0] }));
  writeFileSync(at("reviews.jsonl"), texts.join("\n"));
  writeFileSync(at("texts.jsonl"), lines(240, 0, false));
  writeFileSync(at("train.jsonl"), lines(240, 0, true));
});

let count = 0;
async function trained(options: Partial<QatOptions> = {}, model = "m") {
  const rates: number[] = [];
  const { report } = await quantize(at(model), {
    mode: "qat",
    data: at("texts.jsonl"),
    output: at(`${count++}.onnx`),
    check: false,
    onProgress: ({ step, note }) => {
      const rate = step === "training" ? /rate ([\d.e-]+)/.exec(note ?? "")?.[1] : undefined;
      if (rate !== undefined) rates.push(Number(rate));
    },
    ...options,
  });
  if (report.training === undefined) throw new Error("nothing was trained");
  return { training: report.training, rates };
}

describe("at the defaults", () => {
  test("weights of 4 bits come much closer to the float model, and the closest is kept", async () => {
    const { training, rates } = await trained({ weightBits: 4, trainSteps: 120 });
    expect(training).toMatchObject({
      loss: "distill",
      metric: "divergence",
      rows: 216,
      scored: 24,
    });
    const [before = NaN, ...after] = training.scores.map(({ value }) => value ?? NaN);
    expect(after).toHaveLength(10);
    expect(Math.min(...after)).toBeLessThan(0.5 * before);
    const best = training.scores.find(({ step }) => step === training.best);
    expect(best?.value).toBe(Math.min(...after));
    // The rate rises in 6 steps of 120, and falls along a cosine.
    expect(rates).toHaveLength(120);
    const { rate } = training;
    for (const [step, part] of [
      [0, 1 / 7],
      [2, 3 / 7],
      [6, 1],
      [63, 0.5],
    ] as const)
      expect((rates[step] ?? NaN) / rate, `step ${step}`).toBeCloseTo(part, 1);
    expect(rates.at(-1)).toBeLessThan(0.01 * rate);
  });

  test("the quieter the noise at the start, the slower weights learn", async () => {
    const [loud, quiet] = [
      await trained({ weightBits: 4, trainSteps: 1 }),
      await trained({ trainSteps: 1 }),
    ].map(({ training }) => training);
    if (loud === undefined || quiet === undefined) throw new Error("no runs");
    for (const { rate, startSnrDb } of [loud, quiet]) expect(rate).toBe(rateFor(startSnrDb ?? NaN));
    expect(quiet.startSnrDb).toBeGreaterThan((loud.startSnrDb ?? NaN) + 10);
    expect(quiet.rate).toBeLessThan(loud.rate / 5);
    expect((await trained({ trainSteps: 1, rate: 3e-5 })).training.rate).toBe(3e-5);
  });

  test("hidden states are learned beside outputs, ten times as much as these", async () => {
    const first = async (options: Partial<QatOptions>) => {
      const data = at("reviews.jsonl");
      const given = { weightBits: 4, trainSteps: 1, data, ...options } as const;
      const { training } = await trained(given, "words");
      return training.losses[0]?.value ?? NaN;
    };
    const none = await first({ hiddenWeight: 0 });
    const one = await first({ hiddenWeight: 1 });
    expect(one).toBeGreaterThan(none + 1e-4);
    expect(((await first({})) - none) / (one - none)).toBeCloseTo(10, 2);
  });

  test("labels are learned beside what the float model says where there are some", async () => {
    const data = at("train.jsonl");
    const { training } = await trained({ weightBits: 4, trainSteps: 1, data });
    expect(training).toMatchObject({ loss: "both", metric: "accuracy", heldOut: true });
    const alone = await trained({ weightBits: 4, trainSteps: 1, data, loss: "task" });
    expect(alone.training.losses[0]?.value).not.toBe(training.losses[0]?.value);
  });

  test("training that only harms is passed over", async () => {
    const { training } = await trained({ trainSteps: 5, rate: 0.3, scaleRateMultiplier: 1 });
    expect(training.best).toBe(0);
  });
});

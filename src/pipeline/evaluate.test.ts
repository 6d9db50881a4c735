// octavo evaluate and quantize --eval, on the repository's own model and on small graphs.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { DataError, LabelError, OptionError, RuntimeFailedError, TaskError } from "../errors.js";
import { evaluate, quantize } from "../node.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
const reviews = join(demo, "reviews.tsv");

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "octavo-evaluate-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

function write(name: string, ...lines: readonly unknown[]): string {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  writeFileSync(at(name), text.map((line) => `${line}\n`).join(""));
  return at(name);
}

/** Ids in a table of ten rows; logits of two classes. */
function save(name: string): string {
  const build = (b: Builder) => {
    const ids = b.input("ids", ["batch", "length"], "int64");
    const rows = b.op("rows", "Gather", [b.float("table", [...noise(20)], [10, 2]), ids]);
    b.output(b.op("logits", "ReduceMean", [rows, b.int("axes", [1])], { keepdims: 0 }));
  };
  writeFileSync(at(name), bytesOf(buildModel(build)));
  return at(name);
}

describe("a text classifier", () => {
  test("is scored with intervals, whatever the order of rows and the size of batches", async () => {
    const progress: string[] = [];
    const options = { data: reviews, samples: 60, seed: 2 };
    const report = await evaluate(demo, {
      ...options,
      onProgress: ({ step, total, unit }) => void progress.push(`${step} ${total} ${unit}`),
    });
    expect(report).toMatchObject({
      version: 1,
      command: "evaluate",
      task: "text-classification",
      rows: 60,
      inputs: 60,
      truncated: 0,
      warnings: [],
    });
    expect(report.metrics.map(({ name }) => name)).toEqual(["accuracy", "f1", "matthews"]);
    for (const { value, low, high } of report.metrics) {
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThanOrEqual(value);
    }
    expect(report.metrics[0]?.value).toBeGreaterThan(0.9);
    expect(progress).toContain("evaluating 60 rows");
    const single = await evaluate(demo, { ...options, batchSize: 7 });
    expect(single.metrics).toEqual(report.metrics);
  });

  test("labels are names or numbers, in a column that is told", async () => {
    const data = write("d.csv", "body,opinion", "A fine film.,1", "Awful and dull.,negative");
    const columns = { textColumn: "body", labelColumn: "opinion" };
    const { rows, metrics } = await evaluate(demo, { data, ...columns });
    expect([rows, metrics[0]?.value]).toEqual([2, 1]);
    await expect(evaluate(demo, { data, ...columns, labelColumn: "stars" })).rejects.toThrow(
      'no "stars" among the columns body, opinion',
    );
  });

  test("a label that it does not know is an error that names the line and the labels", async () => {
    const data = write("d.tsv", "sentence\tlabel", "Good.\t1", "So so.\tneutral");
    await expect(evaluate(demo, { data })).rejects.toThrow(LabelError);
    await expect(evaluate(demo, { data })).rejects.toThrow(/d\.tsv, line 3: the label "neutral"/);
    const bare = write("e.tsv", "sentence", "Good.");
    await expect(evaluate(demo, { data: bare })).rejects.toThrow(/line 2: no label/);
  });

  test("a file without records, and options that are none, are errors", async () => {
    const data = write("d.tsv", "sentence\tlabel");
    await expect(evaluate(demo, { data })).rejects.toThrow(DataError);
    await expect(evaluate(demo, { data: write("e.jsonl") })).rejects.toThrow("no record in it");
    const wrong = { data, task: "translation" } as unknown as { data: string };
    await expect(evaluate(demo, wrong)).rejects.toThrow(OptionError);
  });

  test("rows that are cut are told", async () => {
    const data = write(
      "d.jsonl",
      { text: "good ".repeat(40), label: 1 },
      { text: "bad", label: 0 },
    );
    const report = await evaluate(demo, { data, maxLength: 16 });
    expect(report.truncated).toBe(1);
    expect(report.warnings.join()).toContain("1 of 2 rows were cut");
  });
});

describe("a model without a folder", () => {
  const feeds = (ids: number[], label?: number) => ({ inputs: { ids }, label });

  test("needs its task; ready inputs need no tokenizer, and are run side by side", async () => {
    const model = save("m.onnx");
    const data = write("d.jsonl", feeds([1, 2], 0), feeds([3, 4], 1), feeds([5], 1));
    await expect(evaluate(model, { data })).rejects.toThrow(TaskError);
    await expect(evaluate(model, { data })).rejects.toThrow(/--task\. Tasks are text-classi/);
    const report = await evaluate(model, { data, task: "text-classification" });
    expect(report).toMatchObject({ rows: 3, inputs: 3 });
  });

  test("that fails on one record names it", async () => {
    const model = save("m.onnx");
    const data = write("d.jsonl", feeds([1, 2], 0), feeds([3, 99], 1), feeds([5, 6], 1));
    const failed = evaluate(model, { data, task: "image-classification" });
    await expect(failed).rejects.toThrow(RuntimeFailedError);
    await expect(failed).rejects.toThrow(/d\.jsonl, line 2: /);
  });
});

describe("outputs per token, by the tokenizer of a folder", () => {
  /** Looks each token up: logits of a vocabulary, or starts and ends. */
  function lookup(name: string, width: number, outputs: readonly string[]): string {
    const build = (b: Builder) => {
      const ids = b.input("input_ids", ["batch", "length"], "int64");
      for (const [i, output] of outputs.entries()) {
        const table = b.float(`table.${i}`, [...noise(4000 * width, i + 1)], [4000, width]);
        const rows = b.op(`rows.${i}`, "Gather", [table, ids]);
        const axes = b.int(`axes.${i}`, [2]);
        b.output(
          width === 1 ? b.op(output, "Squeeze", [rows, axes]) : b.op(output, "Identity", [rows]),
        );
      }
    };
    writeFileSync(at(name), bytesOf(buildModel(build)));
    return at(name);
  }
  const texts = ["A fine film, and a long one.", "Dull.", "I would go there again any day."];

  test.each(["masked", "causal"] as const)(
    "%s language modelling: a model that knows nothing is as sure as its noise, in any batch",
    async (kind) => {
      const model = lookup("lm.onnx", 4000, ["logits"]);
      const data = write("d.jsonl", ...texts.map((text) => ({ text })));
      const options = { data, folder: demo, task: `${kind}-language-modelling` } as const;
      const { metrics, rows } = await evaluate(model, options);
      expect(rows).toBe(3);
      expect(metrics.map(({ name }) => name)).toEqual(["perplexity", "accuracy"]);
      expect(metrics[0]?.value).toBeGreaterThan(2000);
      expect(metrics[0]?.value).toBeLessThan(9000);
      const single = await evaluate(model, { ...options, batchSize: 1 });
      expect(single.metrics[0]?.value).toBeCloseTo(metrics[0]?.value ?? NaN, 6);
    },
  );

  test("question answering: long contexts are read in windows, in any batch", async () => {
    const model = lookup("qa.onnx", 1, ["start_logits", "end_logits"]);
    const context = Array.from({ length: 60 }, (_, i) => `room ${i} is fine`).join(", ");
    const data = write(
      "d.jsonl",
      { question: "which?", context, answers: { text: ["room 3"], answer_start: [0] } },
      { question: "what?", context: "The food is good.", answers: ["food", "the food"] },
    );
    const options = { data, folder: demo, task: "question-answering", maxLength: 48 } as const;
    const report = await evaluate(model, options);
    expect(report.inputs).toBeGreaterThan(4);
    expect(report.metrics.map(({ name }) => name)).toEqual(["f1", "exact-match"]);
    const single = await evaluate(model, { ...options, batchSize: 1 });
    expect(single.metrics).toEqual(report.metrics);
  });
});

describe("quantize --eval", () => {
  test("puts metrics of both models, their intervals and tests into the report", async () => {
    const { report } = await quantize(demo, {
      output: at("small.onnx"),
      evaluate: write("d.tsv", "sentence\tlabel", "Good.\t1", "Bad.\t0", "A dull, noisy place.\t0"),
    });
    const { evaluation } = report;
    expect(evaluation).toMatchObject({ task: "text-classification", rows: 3 });
    expect(evaluation?.agreement).toMatchObject({ of: 3, unit: "rows" });
    const [accuracy] = evaluation?.metrics ?? [];
    expect(accuracy).toMatchObject({ name: "accuracy", test: { name: "mcnemar-exact" } });
    expect(accuracy?.reference.value).toBe(1);
  });

  test("a wrong label is told before anything is written", async () => {
    const evaluateOn = write("d.tsv", "sentence\tlabel", "Good.\tfive stars");
    const output = at("small.onnx");
    await expect(quantize(demo, { output, evaluate: evaluateOn })).rejects.toThrow(LabelError);
    await expect(evaluate(output, { data: evaluateOn })).rejects.toThrow("Cannot read the model");
  });
});

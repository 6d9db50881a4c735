// The verb train on a small classifier: what is written, what is refused, and what goes on.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  labelledRows,
  lineOf,
  writeTrainingFiles,
  type TrainingFiles,
} from "../../test/training-files.js";
import { importModel } from "../graph/import.js";
import { print } from "../graph/print.js";
import { evaluate, train, type TrainOptions } from "../node.js";
import { decodeModel } from "../onnx/reader.js";
import { floatsOf } from "../onnx/values.js";
import { reportJson } from "../report/json.js";
import { parseReport } from "../report/schema.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-train-"));
const at = (name: string) => join(folder, name);
let files: TrainingFiles;
beforeAll(() => {
  files = writeTrainingFiles(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS = {
  task: "text-classification",
  batchSize: 8,
  rate: 0.05,
  threads: 1,
  checkpointEvery: 0,
} as const satisfies Partial<TrainOptions>;

const trained = (output: string, options: Partial<TrainOptions> = {}) =>
  train(files.model, { ...OPTIONS, data: files.data, output: at(output), ...options });

const graphIn = (path: string) => importModel(decodeModel(readFileSync(path)));
const scoreOf = async (path: string) => {
  const { metrics } = await evaluate(path, { data: files.dev, task: "text-classification" });
  return metrics[0]?.value ?? NaN;
};

test("writes the exporter's graph with other weights, which know the data better; nothing else stays behind", async () => {
  const { path, report } = await trained("tuned.onnx", { epochs: 6, evaluate: files.dev });
  expect(path).toBe(at("tuned.onnx"));
  expect(await scoreOf(path)).toBeGreaterThan((await scoreOf(files.model)) + 0.3);
  const [before, after] = [graphIn(files.model), graphIn(path)];
  // Short vectors are printed with their numbers.
  const form = ({ graph }: typeof before) => print(graph).replaceAll(/\[-?\d\.[^\]]*\]/g, "[…]");
  expect(form(after)).toBe(form(before));
  const names = [...before.graph.initializers()]
    .filter(({ dtype }) => dtype === "float32")
    .map(({ name }) => name);
  for (const name of names) {
    const [old, own] = [before, after].map(({ graph }) => graph.value(name)?.tensor);
    if (old === undefined || own === undefined) throw new Error(`no ${name}`);
    expect(own.dims).toEqual(old.dims);
    expect(floatsOf(own)).not.toEqual(floatsOf(old));
  }
  expect(existsSync(at("tuned.onnx.part"))).toBe(false);
  expect(report).toMatchObject({
    steps: 72,
    rows: 96,
    parameters: 5,
    metric: "accuracy",
    stopped: "done",
    resumed: 0,
  });
  expect(report.losses).toHaveLength(72);
  expect(report.scores.map(({ step }) => step)).toEqual([0, 12, 24, 36, 48, 60, 72]);
  expect(report.evaluation?.metrics[0]?.difference).toBeGreaterThan(0.3);
  expect(parseReport(reportJson(report))).toEqual({
    ok: true,
    report: JSON.parse(reportJson(report)) as unknown,
  });
});

test("a run that was interrupted goes on to the same bytes, and its report tells so", async () => {
  const shared = { evaluate: files.dev, evaluateEvery: 5 };
  await trained("whole.onnx", shared);
  const controller = new AbortController();
  let steps = 0;
  const interrupted = trained("cut.onnx", {
    ...shared,
    signal: controller.signal,
    onProgress: ({ step }) => {
      if (step === "training" && ++steps === 7) controller.abort(new Error("enough"));
    },
  });
  await expect(interrupted).rejects.toThrow("enough");
  expect(existsSync(at("cut.onnx"))).toBe(false);
  await expect(trained("cut.onnx", { ...shared, rate: 0.01 })).rejects.toMatchObject({
    code: "checkpoint",
    detail: "its rate is 0.05, this run's is 0.01",
  });
  await expect(trained("cut.onnx", { ...shared, data: files.dev })).rejects.toThrow("its data is ");
  const { report } = await trained("cut.onnx", shared);
  expect(report.resumed).toBe(7);
  expect(readFileSync(at("cut.onnx"))).toEqual(readFileSync(at("whole.onnx")));
  expect(existsSync(at("cut.onnx.part"))).toBe(false);
});

test("a damaged checkpoint is refused, and overwritten by --force", async () => {
  for (const bytes of ["", "abcdefghij", "\u0008\0\0\0\0\0\0\0{}      "]) {
    writeFileSync(at("damaged.onnx.part"), bytes);
    await expect(trained("damaged.onnx")).rejects.toMatchObject({ code: "checkpoint" });
  }
  await trained("damaged.onnx", { force: true });
  await trained("fresh.onnx");
  expect(readFileSync(at("damaged.onnx"))).toEqual(readFileSync(at("fresh.onnx")));
});

test("frozen weights stay as they are, by their names or those of their readers", async () => {
  const { path, report } = await trained("frozen.onnx", { freeze: ["words.*"] });
  expect(report.parameters).toBe(4);
  const table = (file: string) => graphIn(file).graph.value("words.weight")?.tensor?.data.read();
  expect(table(path)).toEqual(table(files.model));
  await expect(trained("x.onnx", { freeze: ["nothing*"] })).rejects.toMatchObject({
    code: "weight-pattern",
  });
  await expect(trained("x.onnx", { freeze: ["*"] })).rejects.toThrow("all 5 weights are frozen");
});

test("a teacher is followed without labels", async () => {
  await trained("teacher.onnx", { epochs: 6 });
  writeFileSync(
    at("texts.jsonl"),
    labelledRows(96)
      .map(({ ids }) => lineOf({ ids }))
      .join("\n"),
  );
  const { path, report } = await trained("student.onnx", {
    data: at("texts.jsonl"),
    teacher: at("teacher.onnx"),
    epochs: 10,
  });
  expect(report.loss).toBe("distillation");
  expect(await scoreOf(path)).toBeGreaterThan((await scoreOf(at("teacher.onnx"))) - 0.1);
});

test("activations that are computed twice change nothing but the memory it takes", async () => {
  const [once, twice] = [
    await trained("once.onnx"),
    await trained("twice.onnx", { recompute: true }),
  ];
  const [a, b] = [once, twice].map(({ report }) => report.losses.map(({ value }) => value ?? NaN));
  for (const [i, loss] of (a ?? []).entries()) expect(b?.[i]).toBeCloseTo(loss, 4);
});

test("the page shows how the loss fell", async () => {
  await trained("page.onnx", { evaluate: files.dev, report: at("train.html") });
  const page = readFileSync(at("train.html"), "utf8");
  expect(page).toContain('aria-label="Loss by step"');
  expect(page).toContain('aria-label="accuracy by step"');
  expect(page).toContain("octavo train ");
});

describe("refuses", () => {
  const dataOf = (name: string, rows: readonly object[]) => {
    writeFileSync(at(name), rows.map((row) => JSON.stringify(row)).join("\n"));
    return at(name);
  };
  const inputs = { input_ids: [1, 2, 3], attention_mask: [1, 1, 1] };

  test("records without labels, and labels that the model does not have", async () => {
    const rows = Array.from({ length: 8 }, () => ({ inputs, label: 1 }));
    const none = dataOf("none.jsonl", [...rows, { inputs }]);
    await expect(trained("x.onnx", { data: none })).rejects.toThrow("none.jsonl, line 9: no label");
    const wrong = dataOf("wrong.jsonl", [{ inputs, label: 3 }, ...rows]);
    await expect(trained("x.onnx", { data: wrong })).rejects.toThrow(
      `wrong.jsonl, line 1: the label "3" is not the model's. Expected the number of a class from 0 to 2`,
    );
  });

  test("less data than a batch", async () => {
    await expect(trained("x.onnx", { batchSize: 97 })).rejects.toThrow(
      "96 records, less than one batch. Expected at least 97 (--batch-size)",
    );
  });

  test("a learning rate that makes numbers overflow: what was there before is kept", async () => {
    const stopped = trained("burst.onnx", { rate: 1e38, clip: 0, warmup: 0 });
    await expect(stopped).rejects.toMatchObject({ code: "loss-not-finite", step: 2 });
    await expect(stopped).rejects.toThrow("train.jsonl, line ");
    expect(existsSync(at("burst.onnx"))).toBe(false);
    expect(existsSync(at("burst.onnx.part"))).toBe(true);
  });

  test("an output that is there, and its own model", async () => {
    writeFileSync(at("there.onnx"), "");
    await expect(trained("there.onnx")).rejects.toMatchObject({ code: "output-exists" });
    await expect(trained("model.onnx", { force: true })).rejects.toMatchObject({
      code: "output-is-input",
    });
  });
});

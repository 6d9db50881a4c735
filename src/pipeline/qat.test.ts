// quantize --mode qat on a small classifier: closer than static mode, the same bytes each time, taken up where it was cut off, never worse.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { run } from "../cli/run.js";
import { OctavoError } from "../errors.js";
import { quantize } from "../node.js";
import type { AnyQuantizeOptions } from "../options/quantize.js";
import { ofSomeMode } from "../../test/options.js";
import { ortNode } from "../runtime/ort-node.js";
import { rateFor } from "../qat/train-planned.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-qat-"));
const at = (...names: string[]) => join(folder, ...names);
afterAll(() => rmSync(folder, { recursive: true }));

const LENGTH = 6;
const WORDS = 200;

/** Words, two feed-forward blocks with norms, the mean of all tokens, two classes. */
function classifier(b: Builder): void {
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  let seed = 1;
  const weight = (name: string, rows: number, cols: number) =>
    b.float(
      name,
      [...noise(rows * cols, ++seed)].map((v) => v / 2),
      [rows, cols],
    );
  const norm = (name: string, x: ReturnType<Builder["op"]>) =>
    b.op(name, "LayerNormalization", [
      x,
      b.float(`${name}.weight`, Array<number>(32).fill(1)),
      b.float(`${name}.bias`, Array<number>(32).fill(0)),
    ]);
  const layer = (name: string, x: ReturnType<Builder["op"]>, rows: number, cols: number) =>
    b.op(`${name}.sum`, "Add", [
      b.op(`${name}.out`, "MatMul", [x, weight(`${name}.weight`, rows, cols)]),
      b.float(`${name}.bias`, [...noise(cols, ++seed)]),
    ]);
  let x = norm("first", b.op("rows", "Gather", [weight("words.weight", WORDS, 32), ids]));
  for (const name of ["a", "b"]) {
    const inner = b.op(`${name}.act`, "Relu", [layer(`${name}.up`, x, 32, 64)]);
    x = norm(name, b.op(`${name}.add`, "Add", [layer(`${name}.down`, inner, 64, 32), x]));
  }
  const mean = b.op("mean", "ReduceMean", [x, b.int("axes", [1])], { keepdims: 0 });
  b.output(b.op("logits", "MatMul", [mean, weight("classifier.weight", 32, 2)]));
}

const row = (r: number) =>
  Array.from({ length: LENGTH }, (_, i) => (r * 17 + i * 31 + ((r * i) % 13)) % WORDS);

function lines(count: number, from: number, labelled: boolean): string {
  return Array.from({ length: count }, (_, k) => {
    const ids = row(from + k);
    const label = labelled ? { label: ids.reduce((s, id) => s + id, 0) % 2 } : {};
    return JSON.stringify({ inputs: { input_ids: [ids] }, ...label });
  }).join("\n");
}

beforeAll(() => {
  mkdirSync(at("m"));
  writeFileSync(at("m", "model.onnx"), bytesOf(buildModel(classifier)));
  writeFileSync(
    at("m", "config.json"),
    JSON.stringify({
      architectures: ["SmallForSequenceClassification"],
      id2label: { 0: "even", 1: "odd" },
    }),
  );
  writeFileSync(at("texts.jsonl"), lines(320, 0, false));
  writeFileSync(at("train.jsonl"), lines(320, 0, true));
  writeFileSync(at("dev.jsonl"), lines(100, 1000, true));
});

const calibrated = {
  weightBits: 4,
  samples: 64,
  smooth: false,
  round: false,
  correct: false,
  force: true,
} as const;
const common = {
  ...calibrated,
  mode: "qat",
  trainSteps: 80,
  batchSize: 16,
  rate: 3e-4,
  scaleRateMultiplier: 20,
} as const;

const quantizedModel = (name: string, options: AnyQuantizeOptions) =>
  quantize(at("m"), ofSomeMode({ output: at(name), ...options }));

async function refused(options: AnyQuantizeOptions): Promise<OctavoError> {
  const error: unknown = await quantizedModel("never.onnx", options).catch((e: unknown) => e);
  if (!(error instanceof OctavoError)) throw error;
  expect(existsSync(at("never.onnx"))).toBe(false);
  return error;
}

describe("trained with its quantizers in place", () => {
  test.each(["cpu", "openvino", "tensorrt"] as const)(
    "a quantized model for %s is closer to the float model, without a label",
    async (target) => {
      const data = at("texts.jsonl");
      const { report: before } = await quantizedModel("static.onnx", {
        mode: "static",
        weightBits: 4,
        samples: 64,
        force: true,
        target,
        data,
        smooth: false,
        round: false,
        correct: false,
      });
      const { report } = await quantizedModel("qat.onnx", { ...common, target, data });
      const { training } = report;
      expect(training).toMatchObject({
        loss: "distill",
        metric: "divergence",
        heldOut: true,
        rows: 288,
      });
      expect(training?.losses).toHaveLength(80);
      expect(training?.best).toBeGreaterThan(0);
      expect(report.check?.snrDb).toBeGreaterThan((before.check?.snrDb ?? NaN) + 2);
      // What training saw before its first step is the static model.
      expect(training?.startSnrDb).toBeCloseTo(before.check?.snrDb ?? NaN, -1);
      expect(existsSync(`${at("qat.onnx")}.part`)).toBe(false);
    },
  );

  test("labels are learned where there are some, and the metric chooses", async () => {
    const options = { ...common, data: at("train.jsonl"), evaluate: at("dev.jsonl") };
    const { report } = await quantizedModel("labels.onnx", { ...options, loss: "task" });
    const { training, evaluation } = report;
    expect(training).toMatchObject({
      loss: "task",
      metric: "accuracy",
      heldOut: false,
      scored: 100,
    });
    const values = training?.scores.map(({ value }) => value ?? NaN) ?? [];
    const best = training?.scores.find(({ step }) => step === training.best)?.value;
    expect(best).toBe(Math.max(...values));
    expect(evaluation?.metrics[0]?.candidate.value).toBeCloseTo(best ?? NaN, 1);
    const both = await quantizedModel("both.onnx", { ...options, trainSteps: 4 });
    expect(both.report.training?.loss).toBe("both");
  });

  test("what comes closer to the float model is not written where labels say that it is worse", async () => {
    const data = at("texts.jsonl");
    const { path } = await quantizedModel("judge.onnx", {
      ...calibrated,
      mode: "static",
      data,
    });
    // Labels as the static model has them: nothing can be better.
    const session = await ortNode.load(path);
    const judged: string[] = [];
    for (let r = 5000; r < 5400; r++) {
      const ids = row(r);
      const feeds = {
        input_ids: { dtype: "int64", dims: [1, LENGTH], data: BigInt64Array.from(ids, BigInt) },
      } as const;
      const logits = (await session.run(feeds))["logits"]?.data;
      const label = Number(logits?.[1]) > Number(logits?.[0]) ? 1 : 0;
      judged.push(JSON.stringify({ inputs: { input_ids: [ids] }, label }));
    }
    await session.release();
    writeFileSync(at("judged.jsonl"), judged.join("\n"));
    const { report } = await quantizedModel("guarded.onnx", {
      ...common,
      loss: "distill",
      data,
      evaluate: at("judged.jsonl"),
    });
    const { training, warnings } = report;
    expect(training).toMatchObject({ metric: "divergence", best: 0 });
    const [before, ...after] = training?.scores.map(({ value }) => value ?? NaN) ?? [];
    expect(Math.min(...after)).toBeLessThan(before ?? NaN);
    expect(warnings.join()).toMatch(/accuracy fell, though it came closer/);
    expect(readFileSync(at("guarded.onnx")).equals(readFileSync(path))).toBe(true);
  });

  test("the same options give the same bytes, also where the run was cut off and taken up", async () => {
    const options = { ...common, data: at("texts.jsonl"), trainSteps: 12, check: false } as const;
    await quantizedModel("one.onnx", options);
    const abort = new AbortController();
    const cut = quantizedModel("two.onnx", {
      ...options,
      force: false,
      checkpointEvery: 0,
      signal: abort.signal,
      onProgress: ({ step, done }) => {
        if (step === "training" && done === 5) abort.abort();
      },
    });
    await expect(cut).rejects.toThrow("aborted");
    expect(existsSync(`${at("two.onnx")}.part`)).toBe(true);
    expect(existsSync(at("two.onnx"))).toBe(false);
    const { report } = await quantizedModel("two.onnx", { ...options, force: false });
    expect(report.training?.resumed).toBeGreaterThan(0);
    expect(readFileSync(at("two.onnx"))).toEqual(readFileSync(at("one.onnx")));
  });

  test("where training only harms, the quantized model before it is written, and that is said", async () => {
    const data = at("texts.jsonl");
    const options = { samples: 64, weightBits: 8, data, force: true, check: false } as const;
    await quantizedModel("before.onnx", { ...options, mode: "static" });
    const { report } = await quantizedModel("after.onnx", {
      ...options,
      mode: "qat",
      trainSteps: 4,
      rate: 0.5,
      scaleRateMultiplier: 1,
    });
    expect(report.training?.best).toBe(0);
    expect(report.warnings.join()).toContain("Training made it no better");
    expect(readFileSync(at("after.onnx"))).toEqual(readFileSync(at("before.onnx")));
  });
});

describe("refused, with what to do", () => {
  test.each<[string, AnyQuantizeOptions, string, string]>([
    ["no data", { mode: "qat" }, "option", 'data: "train.tsv"'],
    ["labels asked for that are not there", { loss: "task" }, "label", "label"],
    ["an ablation of calibration", { ablation: true }, "option", "static"],
    ["a loss in another mode", { mode: "static", loss: "task" }, "option", 'mode: "qat"'],
    ["few bits in blocks", { weights: "int4" }, "option", "int8"],
  ])("%s", async (_, options, code, part) => {
    const data = options.mode === "qat" ? {} : { data: at("texts.jsonl") };
    const error = await refused({ ...common, ...data, ...options });
    expect(error.code).toBe(code);
    expect(error.message).toContain(part);
  });

  test("less data than a tenth of can be held out", async () => {
    writeFileSync(at("few.jsonl"), lines(40, 0, false));
    const error = await refused({ ...common, data: at("few.jsonl") });
    expect(error.message).toMatch(/few\.jsonl.*at least 80/);
  });
});

test("the command line trains, and its page shows the curves", async () => {
  const io = { out: "", err: "" };
  const page = at("page.html");
  const more = "--train-steps 5 --lr 1e-4 --eval-every 2 --samples 64 --weight-bits 4 --report";
  const status = await run(
    [
      "quantize",
      at("m"),
      "--mode",
      "qat",
      "--data",
      at("texts.jsonl"),
      "-o",
      at("cli.onnx"),
    ].concat(more.split(" "), page),
    {
      stdout: { write: (text: string) => (io.out += text) },
      stderr: { write: (text: string) => (io.err += text) },
    } as never,
  ).catch((error: unknown) => error);
  expect(status, io.err).toBe(0);
  expect(io.out).toContain("5 steps by the float model on 288 rows");
  expect(readFileSync(page, "utf8")).toContain("what the float model says");
});

test("the louder the noise, the faster weights learn", () => {
  expect(rateFor(8)).toBe(6e-5);
  expect(rateFor(34)).toBeCloseTo(6e-7, 8);
  expect(rateFor(Infinity)).toBe(2e-7);
});

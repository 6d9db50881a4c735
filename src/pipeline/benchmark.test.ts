import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats } from "../../test/build.js";
import { OptionError, RuntimeFailedError } from "../errors.js";
import { benchmark } from "../node.js";
import { parseShape } from "../benchmark/benchmark-inputs.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** 128 positions. */
const demo = join(root, "examples", "demo-reviews");
const quick = { rounds: 3, seconds: 0, memory: false } as const;
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-benchmark-"));
  if (!existsSync(join(root, "dist", "cli", "main.js")))
    execFileSync(process.execPath, [join(root, "scripts", "build.mjs")], { cwd: root });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

function save(name: string, shape: readonly (string | number)[]): string {
  const model = buildModel((b) => {
    const x = b.input("x", [...shape, 32]);
    b.output(b.op("y", "MatMul", [x, b.graph.addInitializer("w", floats([32, 32]))]));
  });
  const path = join(folder, name);
  writeFileSync(path, bytesOf(model));
  return path;
}

describe("benchmark", () => {
  test("times each model at each shape and number of threads, and its memory in a process of its own", async () => {
    const report = await benchmark([demo, demo], {
      shapes: ["1x8", "2x16"],
      threads: [1, 2],
      rounds: 4,
    });
    expect(report.timings.map((t) => [t.threads, t.batch, t.length, t.model, t.rounds])).toEqual(
      [1, 2].flatMap((threads) =>
        [
          [1, 8],
          [2, 16],
        ].flatMap(([batch, length]) => [0, 1].map((model) => [threads, batch, length, model, 4])),
      ),
    );
    for (const timing of report.timings) {
      const { median, lower, upper, tokensPerSecond, ratio, batch, length, model } = timing;
      expect(median).toBeGreaterThan(0);
      expect(lower).toBeLessThanOrEqual(median);
      expect(upper).toBeGreaterThanOrEqual(median);
      expect(tokensPerSecond).toBe((batch * length) / median);
      expect(ratio.low).toBeLessThanOrEqual(ratio.value);
      expect(ratio.high).toBeGreaterThanOrEqual(ratio.value);
      if (model === 0) expect(ratio).toEqual({ value: 1, low: 1, high: 1 });
    }
    const size = readFileSync(join(demo, "onnx", "model.onnx")).length;
    for (const model of report.models) {
      expect(model.bytes).toBe(size);
      // It holds the weights once at least; another process's share would be far beyond.
      expect(model.peakMemoryBytes).toBeGreaterThan(size);
      expect(model.peakMemoryBytes).toBeLessThan(1e9);
    }
    expect(report.environment.runtime).toMatch(/^onnxruntime-node \d/);
    expect(report.warnings).toEqual([]);
  });

  test("a shape for which the model has too few positions is an error that names the most", async () => {
    const wrong = benchmark([demo], { ...quick, shapes: ["1x8", "4x512"] });
    await expect(wrong).rejects.toThrow(OptionError);
    await expect(wrong).rejects.toThrow(
      /"shapes" cannot be 4x512: .*model\.onnx has positions for 128 tokens\. Expected lengths up to 128, as 4x128/,
    );
  });

  test("without shapes, those are taken that the models admit; a fixed one is told", async () => {
    const { timings } = await benchmark([demo], quick);
    expect(timings.map(({ batch, length }) => `${batch}x${length}`)).toEqual([
      "1x32",
      "1x128",
      "8x128",
    ]);
    const free = await benchmark([save("free.onnx", ["batch", "length"])], {
      ...quick,
      shapes: ["3x700"],
    });
    expect(free.timings).toHaveLength(1);
    const fixed = benchmark([save("fixed.onnx", [2, "length"])], { ...quick, shapes: ["1x8"] });
    await expect(fixed).rejects.toThrow(
      /the inputs of .*fixed\.onnx are fixed\. Expected --shapes 2x/,
    );
  });

  test("the length is that of token ids: masks over earlier tokens, sounds and counts follow", async () => {
    const past = buildModel((b) => {
      const ids = b.input("input_ids", ["batch", "now"], "int64");
      const words = b.op("words", "Gather", [b.graph.addInitializer("w", floats([32, 4])), ids]);
      const earlier = b.input("past", ["batch", "before", 4]);
      const mask = b.input("mask", ["batch", "before + now"], "int64");
      const all = b.op("all", "Concat", [earlier, words], { axis: 1 });
      b.output(
        b.op("y", "Identity", [all]),
        b.op("kept", "Not", [b.op("m", "Cast", [mask], { to: 9 })]),
      );
    });
    const counted = buildModel((b) => {
      const ids = b.input("input_ids", ["batch", "now"], "int64");
      b.output(
        b.op("words", "Gather", [b.graph.addInitializer("w", floats([32, 4])), ids]),
        b.op("twice", "Add", [b.input("lengths", ["batch", 1], "int64"), b.int("one", 1)]),
      );
    });
    const sound = buildModel((b) => {
      const x = b.input("sound", ["batch", "samples"]);
      const wide = b.op("wide", "Unsqueeze", [x, b.int("axis", [1])]);
      b.output(
        b.op("y", "Conv", [wide, b.graph.addInitializer("w", floats([2, 1, 10]))], {
          strides: [5],
        }),
      );
    });
    for (const [name, model] of Object.entries({ past, counted, sound })) {
      const path = join(folder, `${name}.onnx`);
      writeFileSync(path, bytesOf(model));
      const { timings } = await benchmark([path], { ...quick, shapes: ["1x8", "2x16"] });
      expect(timings, name).toHaveLength(2);
    }
  });

  test("wrong options, a model that does not run and an abort end it", async () => {
    await expect(benchmark([demo], { threads: [0] })).rejects.toThrow(OptionError);
    await expect(benchmark([], quick)).rejects.toThrow(OptionError);
    const ended = new AbortController();
    const aborted = benchmark([demo], {
      ...quick,
      signal: ended.signal,
      onProgress: ({ step }) => step.startsWith("timing") && ended.abort(new Error("enough")),
    });
    await expect(aborted).rejects.toThrow("enough");
    const broken = join(folder, "broken.onnx");
    const model = buildModel((b) => b.output(b.op("y", "NoSuchOperator", [b.input("x", [1, 8])])));
    writeFileSync(broken, bytesOf(model));
    await expect(benchmark([broken], { ...quick, shapes: ["1x8"] })).rejects.toThrow(
      RuntimeFailedError,
    );
  });
});

test("shapes are batch × length, and nothing else", () => {
  expect(parseShape("8x128")).toEqual({ batch: 8, length: 128 });
  expect(parseShape("8×128")).toEqual({ batch: 8, length: 128 });
  for (const text of [
    "",
    "8",
    "0x8",
    "8x0",
    "x8",
    "8x",
    "-1x8",
    "1.5x8",
    "1x8x2",
    "8 x 8",
    "1x1e3",
  ])
    expect(() => parseShape(text)).toThrow(OptionError);
});

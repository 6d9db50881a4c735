import { describe, expect, test } from "vitest";
import { benchmarkReport } from "../../test/reports.js";
import { benchmarkText, modelNames } from "./benchmark-text.js";
import { styleFor } from "./style.js";

describe("benchmarkText", () => {
  test("a table for each number of threads, in 80 columns", () => {
    const text = benchmarkText(benchmarkReport(), styleFor({}));
    expect(`\n${text}`).toMatchInlineSnapshot(`
      "
      model                                 size  memory
      my-model/onnx/model.onnx            400 MB  900 MB
      my-model/onnx/model_quantized.onnx  110 MB

      1 thread
        shape    model                  median   spread  tokens/s     times as fast
        8 × 32   model.onnx             0.13 s  19.2 ms     2,000                 1
                 model_quantized.onnx  64.0 ms  9.60 ms     4,000  2.00 (1.97–2.04)
        8 × 128  model.onnx             0.51 s  76.8 ms     2,000                 1
                 model_quantized.onnx   0.26 s  38.4 ms     4,000  2.00 (1.97–2.04)

      2 threads
        shape    model                  median   spread  tokens/s     times as fast
        8 × 32   model.onnx            64.0 ms  9.60 ms     4,000                 1
                 model_quantized.onnx  32.0 ms  4.80 ms     8,000  2.00 (1.97–2.04)
        8 × 128  model.onnx             0.26 s  38.4 ms     4,000                 1
                 model_quantized.onnx   0.13 s  19.2 ms     8,000  2.00 (1.97–2.04)

      batch × length; 50 rounds, all models in turn; spread: quartile to quartile.
      Against model.onnx: median over rounds, and where 95 % of resamples lie.
      "
    `);
    for (const line of text.split("\n")) expect([...line].length).toBeLessThanOrEqual(80);
  });

  test("stays in 80 columns with names of any length, and safe with names of any letters", () => {
    const long = `${"a-very-long-name/".repeat(12)}model\u001b[2J.onnx`;
    const models = [
      { model: long, bytes: 1e9 },
      { model: `${long}x`, bytes: 1e9 },
    ];
    const text = benchmarkText(benchmarkReport({ models }), styleFor({}));
    for (const line of text.split("\n")) expect([...line].length).toBeLessThanOrEqual(80);
    expect(text).not.toContain("\u001b");
  });
});

test("names of models: as much of a path as tells them apart, numbers for the same file twice", () => {
  expect(modelNames(["a/b/model.onnx", "a/c/model.onnx"])).toEqual([
    "b/model.onnx",
    "c/model.onnx",
  ]);
  expect(modelNames(["a/x.onnx", "a/y.onnx"])).toEqual(["x.onnx", "y.onnx"]);
  expect(modelNames(["a/x.onnx", "a/x.onnx"])).toEqual(["x.onnx", "x.onnx #2"]);
  expect(modelNames([])).toEqual([]);
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { demoText } from "./demo-text.js";
import type { DemoReport, InspectReport, OptimizeReport, QuantizeReport } from "./report.js";
import { styleFor } from "./style.js";
import { inspectText, optimizeText, quantizeText, warningText } from "./text.js";

const plain = styleFor({}, {});

const quantized: QuantizeReport = {
  version: 1,
  command: "quantize",
  model: "m/model.onnx",
  output: "m/model_quantized.onnx",
  mode: "dynamic",
  target: "cpu",
  weights: "int8",
  bytesBefore: 28_269_204,
  bytesAfter: 7_207_425,
  sites: [
    {
      name: "embeddings",
      kind: "embedding",
      shape: [4000, 384],
      runs: "stored",
      reason: "rows are looked up in INT8 and scaled",
    },
    { name: "layer.0.query", kind: "linear", shape: [384, 384], runs: "int8" },
    { name: "layer.1.query", kind: "linear", shape: [384, 384], runs: "int8" },
    {
      name: "layer.0.attention",
      kind: "attention",
      shape: [],
      runs: "float",
      reason: "a product of two activations gains nothing with ranges found at run time",
    },
    {
      name: "layer.1.attention",
      kind: "attention",
      shape: [],
      runs: "float",
      reason: "a product of two activations gains nothing with ranges found at run time",
    },
    {
      name: "classifier",
      kind: "linear",
      shape: [384, 2],
      runs: "float",
      reason: "too small to gain (384 × 2)",
    },
  ],
  rewrites: { gelu: 2, "nan-guard": 0, residual: 4 },
  seconds: { read: 0.0132, plan: 0.0447, write: 0.15, check: 0.13 },
  peakMemoryBytes: 104_000_000,
  check: {
    inputs: "synthetic",
    shapes: ["1 × 16", "3 × 40"],
    outputs: [
      { name: "logits", snrDb: 24.6 },
      { name: "ids", agreement: 0.995 },
    ],
    snrDb: 24.6,
  },
  warnings: [],
};

const inspected: InspectReport = {
  version: 1,
  command: "inspect",
  model: "m/model.onnx",
  bytes: 28_269_204,
  irVersion: 10,
  opsets: { "ai.onnx": 18, "com.microsoft": 1 },
  producer: "pytorch 2.13.0",
  nodes: 1175,
  inputs: [
    { name: "input_ids", dtype: "int64", shape: ["batch", "length"] },
    { name: "attention_mask", dtype: "int64", shape: ["batch", null] },
  ],
  outputs: [{ name: "logits", dtype: "float32", shape: ["batch", 2] }],
  bytesByType: { int64: 1140, float32: 28_200_000 },
  mode: "dynamic",
  target: "cpu",
  sites: quantized.sites,
  rewrites: { gelu: 2 },
};

const optimized: OptimizeReport = {
  version: 1,
  command: "optimize",
  model: "m/model.onnx",
  output: "m/model_optimized.onnx",
  target: "cpu",
  bytesBefore: 28_269_204,
  bytesAfter: 28_259_652,
  nodesBefore: 1175,
  nodesAfter: 1169,
  rewrites: {},
  seconds: { read: 0.0676, write: 0.0388 },
  warnings: [],
};

const demo: DemoReport = {
  version: 1,
  command: "demo",
  model: "demo/model.onnx",
  sentences: 1000,
  agreement: 998,
  shapes: ["1 × 17", "32 × 17"],
  threads: 1,
  float: { bytes: 28_269_204, correct: 985, accuracy: 0.985, latency: [0.00222, 0.0768] },
  quantized: { bytes: 7_207_425, correct: 984, accuracy: 0.984, latency: [0.00096, 0.0256] },
  seconds: { quantize: 0.23, total: 10.1 },
};

describe("what the commands print", () => {
  test("quantize: form, size, sites, time, check, and why sites stay in float", () => {
    expect(`\n${quantizeText(quantized, plain)}`).toMatchInlineSnapshot(`
      "
      m/model_quantized.onnx
        form      dynamic INT8 for target cpu
        size      28.3 MB → 7.21 MB (25.5 %)
        sites     2 of 6 sites in INT8, 1 stored in INT8, 3 left in float
        rewrites  GELU × 2, residual × 4
        time      0.34 s (read 13.2 ms, plan 44.7 ms, write 0.15 s, check 0.13 s)
        memory    104 MB at most, before the check
        check     logits 24.6 dB signal-to-noise, ids 99.5 % equal; against the float
                  model on synthetic inputs 1 × 16, 3 × 40

      Left in float
        2  layer.*.attention  a product of two activations gains nothing with ranges
                              found at run time
        1  classifier         too small to gain (384 × 2)
      "
    `);
  });

  test("quantize --no-check says that nothing was compared", () => {
    const { check: _check, ...rest } = quantized;
    expect(quantizeText({ ...rest, sites: [] }, plain)).toMatch(/^ {2}check {5}not made$/m);
  });

  test("inspect: sites of all layers in one line each, reasons below", () => {
    expect(`\n${inspectText(inspected, plain)}`).toMatchInlineSnapshot(`
      "
      m/model.onnx
        size      28.3 MB
        weights   float32 28.2 MB, int64 1.14 kB
        format    IR 10, opset 18, com.microsoft 1
        producer  pytorch 2.13.0
        nodes     1,175
        inputs    input_ids int64 [batch, length]
                  attention_mask int64 [batch, ?]
        outputs   logits float32 [batch, 2]
        rewrites  GELU × 2

      Sites with --mode dynamic --target cpu
           site               kind       shape       runs in
        1  embeddings         embedding  4000 × 384  stored in INT8 (1)
        2  layer.*.query      linear     384 × 384   INT8
        2  layer.*.attention  attention              float (2)
        1  classifier         linear     384 × 2     float (3)

        (1)  rows are looked up in INT8 and scaled
        (2)  a product of two activations gains nothing with ranges found at run time
        (3)  too small to gain (384 × 2)

      Total  2 of 6 sites in INT8, 1 stored in INT8, 3 left in float
      "
    `);
  });

  test("inspect --all: a line for each site", () => {
    const text = inspectText(inspected, plain, { all: true });
    for (const { name } of inspected.sites) expect(text).toContain(` ${name} `);
  });

  test("inspect of a quantized model names its form, and no sites", () => {
    const form = `dynamic, integer operators: ${"DynamicQuantizeLinear × 13, MatMulInteger × 19, ".repeat(2)}`;
    const text = inspectText({ ...inspected, sites: [], rewrites: {}, quantized: form }, plain);
    expect(text).toContain("\nQuantized already\n  dynamic, integer operators: Dynamic");
    expect(text).not.toContain("Sites");
  });

  test("optimize: the count of nodes, and none where no rewrite applied", () => {
    expect(`\n${optimizeText(optimized, plain)}`).toMatchInlineSnapshot(`
      "
      m/model_optimized.onnx
        form      float, the same function, for target cpu
        size      28.3 MB → 28.3 MB (100.0 %)
        nodes     1,175 → 1,169
        rewrites  none applied
        time      0.11 s (read 67.6 ms, write 38.8 ms)
        check     not made
      "
    `);
  });

  test("demo: both models side by side", () => {
    expect(`\n${demoText(demo, plain)}`).toMatchInlineSnapshot(`
      "
      Sentiment of reviews, before and after
                           float     INT8
        size             28.3 MB  7.21 MB         25.5 %
        accuracy          98.5 %   98.4 %    −0.1 points
        latency 1 × 17   2.22 ms  0.96 ms  2.31× as fast
        latency 32 × 17  76.8 ms  25.6 ms  3.00× as fast

        1,000 sentences; both models agree on 998.
        Latency: sentences × tokens, median, 1 thread.
        Quantized in 0.23 s; the whole demo took 10.1 s.

      Try a sentence of your own: npm run demo -- "The soup was anything but cold."
      "
    `);
  });

  test("demo with a sentence: what both models say of it", () => {
    const sentence = {
      text: "The soup was anything but cold.",
      float: { label: "positive", probability: 0.523 },
      quantized: { label: "negative", probability: 0.501 },
    };
    const text = demoText({ ...demo, sentence }, plain);
    expect(`\n${text.slice(text.indexOf("The soup"))}`).toMatchInlineSnapshot(`
      "
      The soup was anything but cold.
        float  positive  52.3 %
        INT8   negative  50.1 %
      "
    `);
    expect(text).not.toContain("npm run demo");
  });
});

describe("whatever names a model brings", () => {
  const nasty = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });

  test("no control character reaches the terminal but the line ends of the report", () => {
    fc.assert(
      fc.property(nasty, (name) => {
        const [site] = inspected.sites;
        const value = { name, dtype: "int64", shape: [name, null] };
        const sites =
          site === undefined ? [] : [{ ...site, name, reason: name, runs: "float" as const }];
        const check = { inputs: "data" as const, shapes: [], outputs: [{ name, snrDb: 1 }] };
        const opinion = { label: name, probability: 0.5 };
        const texts = [
          quantizeText({ ...quantized, output: name, sites, check }, plain),
          optimizeText({ ...optimized, output: name, check }, plain),
          inspectText(
            {
              ...inspected,
              model: name,
              producer: name,
              opsets: { [name]: 1 },
              inputs: [value],
              outputs: [value],
              sites,
            },
            plain,
          ),
          inspectText({ ...inspected, sites: [], quantized: name }, plain),
          demoText(
            { ...demo, sentence: { text: name, float: opinion, quantized: opinion } },
            plain,
          ),
          warningText(name, plain),
        ];
        for (const text of texts)
          expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e]/u);
      }),
    );
  });

  test("a name with line ends forges no line", () => {
    const [site] = inspected.sites;
    if (site === undefined) throw new Error("no site");
    const forged = { ...site, name: "x\nTotal  99 of 99 sites in INT8" };
    expect(inspectText({ ...inspected, sites: [forged] }, plain)).not.toMatch(/^Total {2}99/m);
  });

  test("lines of the report stay within 80 letters", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9._/ -]{1,200}$/), (name) => {
        const sites = inspected.sites.map((site) => ({ ...site, name: `${name}.${site.name}` }));
        const value = { name, dtype: "int64", shape: ["batch"] };
        const text = inspectText({ ...inspected, model: "m", sites, inputs: [value] }, plain);
        for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
      }),
    );
  });
});

test("a warning is loud and one line", () => {
  expect(warningText("Output far\noff", plain)).toBe("Warning: Output far off\n");
});

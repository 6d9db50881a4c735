// Reports of all kinds, small but complete, for tests of what is made from them.
import type {
  BenchmarkReport,
  CompareReport,
  EvaluateReport,
  MetricReport,
  QuantizeReport,
  SiteReport,
} from "../src/report/report.js";

const environment = {
  octavo: "0.1.0",
  runtime: "onnxruntime-node 1.30.0",
  node: "20.19.0",
  system: "linux x64",
  cpu: "A CPU",
  cores: 2,
};

function metric(value: number, more: Partial<MetricReport> = {}): MetricReport {
  return {
    name: "accuracy",
    value,
    low: value - 0.02,
    high: value + 0.015,
    interval: "wilson",
    better: "higher",
    ...more,
  };
}

export function sites(count: number): SiteReport[] {
  return Array.from({ length: count }, (_, i): SiteReport => {
    const name = `encoder.layer.${i}.attention.self.query`;
    return i % 3 === 2
      ? { name, kind: "attention", shape: [], runs: "float", reason: "gains no speed" }
      : { name, kind: "linear", shape: [64, 64], runs: "int8" };
  });
}

export function quantizeReport(more: Partial<QuantizeReport> = {}): QuantizeReport {
  return {
    version: 1,
    command: "quantize",
    model: "my-model/onnx/model.onnx",
    output: "my-model/onnx/model_quantized.onnx",
    mode: "static",
    target: "cpu",
    weights: "int8",
    bytesBefore: 4e8,
    bytesAfter: 1.1e8,
    sites: sites(6),
    rewrites: { gelu: 2, outlier: 0 },
    seconds: { read: 0.01, plan: 2, write: 0.4, check: 1 },
    peakMemoryBytes: 5e8,
    calibration: {
      rows: 64,
      truncated: 2,
      smoothed: 3,
      activations: 4,
      rounded: 4,
      corrected: 4,
      secondTerms: 1,
      seconds: 1.5,
    },
    check: {
      inputs: "data",
      shapes: ["16 rows"],
      outputs: [
        { name: "logits", snrDb: 31.25 },
        { name: "ids", agreement: 0.98 },
      ],
      snrDb: 31.25,
    },
    clipped: [
      { site: "encoder.layer.0.attention.self.query", operand: "activation", share: 0.00002 },
    ],
    evaluation: {
      task: "text-classification",
      data: ["dev.tsv"],
      rows: 872,
      truncated: 0,
      metrics: [
        {
          name: "accuracy",
          reference: metric(0.901),
          candidate: metric(0.898),
          difference: -0.003,
          low: -0.009,
          high: 0.003,
          test: { name: "mcnemar-exact", p: 0.375, onlyReference: 4, onlyCandidate: 1 },
        },
      ],
      agreement: { share: 0.99, equal: 863, of: 872, unit: "rows" },
      confidence: 0.95,
      seed: 0,
    },
    parts: [
      { part: "embeddings", bytesBefore: 1e8, bytesAfter: 2.5e7 },
      { part: "linear layers", bytesBefore: 2.9e8, bytesAfter: 7.5e7 },
      { part: "rest", bytesBefore: 1e7, bytesAfter: 1e7 },
    ],
    ablation: [
      { step: "smoothing", withoutSnrDb: 27.5 },
      { step: "rounding", withoutSnrDb: 32 },
    ],
    ranges: [
      {
        name: "Mul_out_1",
        sites: ["encoder.layer.0.attention.self.query", "encoder.layer.1.attention.self.query"],
        operand: "activation",
        dtype: "uint8",
        count: 1000,
        lowest: -2,
        highest: 3,
        min: -2.1,
        max: 3.1,
        outside: 0,
        snrDb: 39.5,
        histogram: [1, 20, 400, 500, 70, 8, 0, 1],
      },
    ],
    commandLine: "octavo quantize my-model --mode static --data train.jsonl",
    environment,
    warnings: ["A range is wide."],
    ...more,
  };
}

export function evaluateReport(more: Partial<EvaluateReport> = {}): EvaluateReport {
  return {
    version: 1,
    command: "evaluate",
    model: "my-model/onnx/model.onnx",
    task: "text-classification",
    data: ["dev.tsv"],
    rows: 872,
    inputs: 872,
    truncated: 0,
    metrics: [
      metric(0.9),
      metric(0.8, { name: "mcc", interval: "bootstrap", low: null, high: null }),
    ],
    confidence: 0.95,
    seed: 0,
    seconds: { load: 0.1, read: 0.2, run: 3 },
    rate: 290,
    warnings: [],
    ...more,
  };
}

export function compareReport(more: Partial<CompareReport> = {}): CompareReport {
  return {
    version: 1,
    command: "compare",
    reference: "model.onnx",
    candidate: "model_quantized.onnx",
    bytes: { reference: 4e8, candidate: 1.1e8 },
    inputs: "data",
    rows: 100,
    siteRows: 16,
    outputs: [{ name: "logits", snrDb: 30, cosine: 0.9995 }],
    snrDb: 30,
    sites: sites(6).map(({ name, kind, shape }, i) => ({
      site: name,
      kind,
      shape: [...shape],
      reference: "a",
      candidate: "b",
      matched: "name" as const,
      snrDb: i === 0 ? Infinity : 45 - i,
      fallDb: 6 - i,
      cosine: 0.999,
    })),
    unmatched: [],
    seconds: { load: 1, run: 2, sites: 3 },
    warnings: [],
    ...more,
  };
}

export function benchmarkReport(more: Partial<BenchmarkReport> = {}): BenchmarkReport {
  const timing = (model: number, threads: number, length: number) => {
    const median = (0.004 * length) / (1 + model) / threads;
    return {
      model,
      threads,
      batch: 8,
      length,
      rounds: 50,
      median,
      lower: median * 0.95,
      upper: median * 1.1,
      tokensPerSecond: (8 * length) / median,
      ratio: { value: 1 + model, low: 0.97 + model, high: 1.04 + model },
    };
  };
  return {
    version: 1,
    command: "benchmark",
    models: [
      { model: "my-model/onnx/model.onnx", bytes: 4e8, peakMemoryBytes: 9e8 },
      { model: "my-model/onnx/model_quantized.onnx", bytes: 1.1e8 },
    ],
    timings: [1, 2].flatMap((threads) =>
      [32, 128].flatMap((length) => [timing(0, threads, length), timing(1, threads, length)]),
    ),
    seed: 0,
    seconds: 20,
    peakMemoryBytes: 1.5e9,
    commandLine: "octavo benchmark a.onnx b.onnx",
    environment,
    warnings: [],
    ...more,
  };
}

// Reports as JSON, written and read back: one versioned schema for each command whose report makes a page.
import * as v from "valibot";
import {
  REPORT_VERSION,
  type BenchmarkReport,
  type CompareReport,
  type EvaluateReport,
  type QuantizeReport,
  type TrainReport,
} from "./report.js";
import { NO_SIGNAL } from "./json.js";

const finite = v.pipe(v.number(), v.finite());
const count = v.pipe(finite, v.minValue(0));
const share = v.pipe(finite, v.minValue(0), v.maxValue(1));
const optional = v.exactOptional;

/** dB: null where nothing differs, text where there is no signal at all. */
const decibels = v.pipe(
  v.union([finite, v.null(), v.literal(NO_SIGNAL)]),
  v.transform((value) => (value === null ? Infinity : value === NO_SIGNAL ? -Infinity : value)),
);

const strings = v.array(v.string());
const end = v.nullable(finite);

const site = v.object({
  name: v.string(),
  kind: v.picklist(["linear", "embedding", "attention", "residual", "convolution", "opaque"]),
  shape: v.array(count),
  runs: v.picklist(["int8", "packed", "stored", "float"]),
  kernel: optional(v.string()),
  reason: optional(v.string()),
});

const check = v.object({
  inputs: v.picklist(["synthetic", "data"]),
  shapes: strings,
  outputs: v.array(
    v.object({ name: v.string(), snrDb: optional(decibels), agreement: optional(share) }),
  ),
  snrDb: optional(decibels),
  saturatedSnrDb: optional(decibels),
});

const calibration = v.object({
  rows: optional(count),
  truncated: optional(count),
  empty: optional(count),
  smoothed: count,
  activations: count,
  rounded: count,
  corrected: count,
  secondTerms: count,
  seconds: finite,
});

const operand = v.picklist(["activation", "second"]);

const clipped = v.object({ site: v.string(), operand, share });

const part = v.object({
  part: v.picklist(["embeddings", "linear layers", "convolutions", "rest"]),
  bytesBefore: count,
  bytesAfter: count,
});

const step = v.object({
  step: v.picklist([
    "outlier channels",
    "smoothing",
    "rounding",
    "bias correction",
    "a second term",
  ]),
  withoutSnrDb: decibels,
});

const activation = v.object({
  name: v.string(),
  sites: strings,
  operand,
  dtype: v.string(),
  terms: optional(v.picklist([1, 2])),
  count,
  lowest: finite,
  highest: finite,
  min: finite,
  max: finite,
  outside: share,
  snrDb: decibels,
  histogram: v.array(count),
});

const environment = v.object({
  octavo: v.string(),
  runtime: v.string(),
  node: v.string(),
  system: v.string(),
  cpu: v.string(),
  cores: count,
});

const timing = v.object({
  model: v.pipe(count, v.integer()),
  threads: count,
  batch: count,
  length: count,
  rounds: count,
  median: finite,
  lower: finite,
  upper: finite,
  tokensPerSecond: finite,
  ratio: v.object({ value: finite, low: finite, high: finite }),
});

const metric = v.object({
  name: v.string(),
  value: finite,
  low: end,
  high: end,
  interval: v.picklist(["wilson", "bootstrap"]),
  better: v.picklist(["higher", "lower"]),
});

const test = v.object({
  name: v.picklist(["mcnemar-exact", "mcnemar-continuity", "paired-bootstrap"]),
  p: end,
  onlyReference: optional(count),
  onlyCandidate: optional(count),
});

const agreement = v.object({
  share: optional(share),
  equal: optional(count),
  of: optional(count),
  unit: optional(v.string()),
  correlation: optional(end),
  largestDifference: optional(finite),
});

/** Metrics of two models on the same rows. */
const change = v.object({
  task: v.string(),
  data: strings,
  rows: count,
  truncated: count,
  metrics: v.array(
    v.object({
      name: v.string(),
      reference: metric,
      candidate: metric,
      difference: finite,
      low: end,
      high: end,
      test,
    }),
  ),
  agreement,
  confidence: share,
  seed: count,
});

const tensorError = v.object({
  name: v.string(),
  snrDb: optional(decibels),
  cosine: optional(finite),
  agreement: optional(share),
});

const siteError = v.object({
  site: v.string(),
  kind: v.string(),
  shape: v.array(count),
  reference: v.string(),
  candidate: v.string(),
  matched: v.picklist(["name", "value", "order"]),
  snrDb: decibels,
  fallDb: finite,
  cosine: finite,
});

/** Reports that a page is made from. */
export type PageReport =
  | QuantizeReport
  | EvaluateReport
  | CompareReport
  | BenchmarkReport
  | TrainReport;

const warnings = v.array(v.string());
const head = <C extends string>(command: C) => ({
  version: v.literal(REPORT_VERSION),
  command: v.literal(command),
});

const curve = v.array(v.object({ step: count, value: v.nullable(finite) }));

const training = v.object({
  loss: v.picklist(["task", "distill", "both"]),
  task: v.string(),
  rows: count,
  heldOut: v.boolean(),
  scored: count,
  rate: finite,
  startSnrDb: v.nullable(finite),
  parameters: count,
  steps: count,
  stopped: v.picklist(["done", "early"]),
  best: count,
  resumed: count,
  losses: curve,
  metric: v.string(),
  scores: curve,
  seconds: finite,
});

const quantize = v.object({
  ...head("quantize"),
  model: v.string(),
  output: v.string(),
  mode: v.string(),
  target: v.string(),
  weights: v.string(),
  bytesBefore: count,
  bytesAfter: count,
  sites: v.array(site),
  rewrites: v.record(v.string(), count),
  seconds: v.object({ read: finite, plan: finite, write: finite, check: optional(finite) }),
  peakMemoryBytes: count,
  calibration: optional(calibration),
  training: optional(training),
  nextCommand: optional(v.string()),
  check: optional(check),
  clipped: optional(v.array(clipped)),
  evaluation: optional(change),
  parts: optional(v.array(part)),
  ablation: optional(v.array(step)),
  ranges: optional(v.array(activation)),
  commandLine: optional(v.string()),
  environment: optional(environment),
  warnings,
});

const evaluate = v.object({
  ...head("evaluate"),
  model: v.string(),
  task: v.string(),
  data: v.array(v.string()),
  rows: count,
  inputs: count,
  truncated: count,
  metrics: v.array(metric),
  confidence: share,
  seed: count,
  seconds: v.object({ load: finite, read: finite, run: finite }),
  rate: finite,
  warnings,
});

const compare = v.object({
  ...head("compare"),
  reference: v.string(),
  candidate: v.string(),
  bytes: v.object({ reference: count, candidate: count }),
  inputs: v.picklist(["data", "synthetic"]),
  rows: count,
  siteRows: count,
  outputs: v.array(tensorError),
  snrDb: v.exactOptional(decibels),
  change: v.exactOptional(change),
  sites: v.array(siteError),
  unmatched: v.array(v.string()),
  sensitivity: v.exactOptional(
    v.array(
      v.object({
        site: v.string(),
        kind: v.string(),
        shape: v.array(count),
        snrDb: decibels,
        cosine: finite,
      }),
    ),
  ),
  seconds: v.object({ load: finite, run: finite, sites: finite }),
  warnings,
});

const benchmark = v.object({
  ...head("benchmark"),
  models: v.array(v.object({ model: v.string(), bytes: count, peakMemoryBytes: optional(count) })),
  timings: v.array(timing),
  seed: count,
  seconds: finite,
  peakMemoryBytes: count,
  commandLine: v.string(),
  environment,
  warnings,
});

const train = v.object({
  ...head("train"),
  model: v.string(),
  output: v.string(),
  task: v.string(),
  loss: v.picklist(["task", "distillation"]),
  data: v.array(v.string()),
  rows: count,
  truncated: count,
  parameters: count,
  weights: count,
  steps: count,
  stopped: v.picklist(["done", "early"]),
  best: count,
  resumed: count,
  losses: curve,
  scores: curve,
  metric: optional(v.string()),
  seconds: v.object({ train: finite, write: finite }),
  peakMemoryBytes: count,
  commandLine: optional(v.string()),
  environment: optional(environment),
  evaluation: optional(change),
  warnings,
});

const schema: v.GenericSchema<unknown, PageReport> = v.variant("command", [
  quantize,
  evaluate,
  compare,
  benchmark,
  train,
]);

export type Parsed =
  | { readonly ok: true; readonly report: PageReport }
  | { readonly ok: false; readonly got: string; readonly expected: string };

/** A report from its JSON. Fields that this version does not know are left out. */
export function parseReport(text: string): Parsed {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return { ok: false, got: "it is not JSON", expected: EXPECTED };
  }
  const result = v.safeParse(schema, data);
  if (result.success) return { ok: true, report: result.output };
  const [issue] = result.issues;
  const place = v.getDotPath(issue);
  return {
    ok: false,
    got: `${place === null ? "it" : `"${place}"`} is ${issue.received}`,
    expected: issue.expected === null ? EXPECTED : `${issue.expected} there`,
  };
}
const EXPECTED = "what quantize, evaluate, compare, benchmark or train print with --json";

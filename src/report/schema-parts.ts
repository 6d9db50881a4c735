// Schemas of the parts that reports are made of.
import * as v from "valibot";
import { NO_SIGNAL } from "./json.js";

export const finite = v.pipe(v.number(), v.finite());
export const count = v.pipe(finite, v.minValue(0));
export const share = v.pipe(finite, v.minValue(0), v.maxValue(1));
export const optional = v.exactOptional;

/** dB: null where nothing differs, text where there is no signal at all. */
export const decibels = v.pipe(
  v.union([finite, v.null(), v.literal(NO_SIGNAL)]),
  v.transform((value) => (value === null ? Infinity : value === NO_SIGNAL ? -Infinity : value)),
);

const strings = v.array(v.string());
const end = v.nullable(finite);

export const site = v.object({
  name: v.string(),
  kind: v.picklist(["linear", "embedding", "attention", "residual", "convolution", "opaque"]),
  shape: v.array(count),
  runs: v.picklist(["int8", "packed", "stored", "float"]),
  kernel: optional(v.string()),
  reason: optional(v.string()),
});

export const check = v.object({
  inputs: v.picklist(["synthetic", "data"]),
  shapes: strings,
  outputs: v.array(
    v.object({ name: v.string(), snrDb: optional(decibels), agreement: optional(share) }),
  ),
  snrDb: optional(decibels),
});

export const calibration = v.object({
  rows: optional(count),
  truncated: optional(count),
  empty: optional(count),
  smoothed: count,
  activations: count,
  rounded: count,
  corrected: count,
  twoTerms: count,
  seconds: finite,
});

const operand = v.picklist(["activation", "second"]);

export const clipped = v.object({ site: v.string(), operand, share });

export const part = v.object({
  part: v.picklist(["embeddings", "linear layers", "convolutions", "rest"]),
  bytesBefore: count,
  bytesAfter: count,
});

export const step = v.object({
  step: v.picklist(["outlier channels", "smoothing", "rounding", "bias correction", "two terms"]),
  withoutSnrDb: decibels,
});

export const activation = v.object({
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

export const environment = v.object({
  octavo: v.string(),
  runtime: v.string(),
  node: v.string(),
  system: v.string(),
  cpu: v.string(),
  cores: count,
});

export const timing = v.object({
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

export const metric = v.object({
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
export const change = v.object({
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

export const tensorError = v.object({
  name: v.string(),
  snrDb: optional(decibels),
  cosine: optional(finite),
  agreement: optional(share),
});

export const siteError = v.object({
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

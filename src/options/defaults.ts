// What each verb does where an option is left out. Schemas, the help of the command line and docs/REFERENCE.md take it from here; it loads nothing.

/** Of whatever is drawn at random. */
const SEED = 0;

const SITES = {
  target: "cpu",
  reduceRange: false,
  embeddings: true,
  outliers: true,
} as const;

const SAMPLE = { samples: 512, seed: SEED } as const;

const WRITING = { force: false, check: true, seed: SEED } as const;

export const QUANTIZE_BYTES_DEFAULTS = { ...SITES, mode: "dynamic" } as const;

export const QUANTIZE_DEFAULTS = {
  ...SITES,
  ...SAMPLE,
  ...WRITING,
  mode: "dynamic",
  smooth: true,
  round: true,
  correct: true,
  range: "min-max",
  accuracy: "default",
  extraProducts: 0.2,
  trainSteps: 600,
  batchSize: 32,
  scaleRateMultiplier: 200,
  temperature: 2,
  hiddenWeight: 10,
  labelScale: 1,
  checkpointEvery: 60,
  ablation: false,
  fp16: false,
} as const;

export const INSPECT_DEFAULTS = { ...SITES } as const;

export const CALIBRATE_DEFAULTS = {
  ...SAMPLE,
  mode: "static",
  target: "cpu",
  outliers: true,
  force: false,
  checkpointEvery: 10,
} as const;

export const OPTIMIZE_DEFAULTS = { ...WRITING, target: "cpu" } as const;

export const EVALUATE_DEFAULTS = { samples: "all", seed: SEED, batchSize: 32 } as const;

export const COMPARE_DEFAULTS = { ...EVALUATE_DEFAULTS, siteRows: 64, sensitivity: false } as const;

export const BENCHMARK_DEFAULTS = {
  threads: [1],
  runtime: "onnxruntime-node",
  rounds: 200,
  seconds: 10,
  memory: true,
  seed: SEED,
} as const;

export const TRAIN_DEFAULTS = {
  ...EVALUATE_DEFAULTS,
  force: false,
  temperature: 2,
  epochs: 1,
  rate: 2e-5,
  schedule: "linear",
  warmup: 0.06,
  optimizer: "adamw",
  weightDecay: 0.01,
  momentum: 0.9,
  clip: 1,
  accumulate: 1,
  labelScale: 1,
  recompute: false,
  checkpointEvery: 60,
} as const;

export const REPORT_DEFAULTS = { force: false } as const;

export const EXPORT_TRITON_DEFAULTS = { target: "cpu", maxBatch: 32, force: false } as const;

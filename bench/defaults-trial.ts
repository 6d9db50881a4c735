// Cells of `bench defaults`, in a process of their own: a model quantized in one way and held against float on rows that nothing was chosen by.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { DataRecord } from "../src/data/records.js";
import { calibrate, quantize, type QuantizeOptions } from "../src/node.js";
import { metricOf, noiseOf, scored, type Scored } from "./scored.js";

export interface Trial {
  /** A folder of a fine-tuned model. */
  readonly folder: string;
  readonly options: QuantizeOptions;
  /** A JSON file of records. */
  readonly judged: string;
  /** Where the model's statistics are kept, of all forms of a target alike. */
  readonly stats: string;
  /** Where the float model's outputs of these records are kept. */
  readonly float: string;
  readonly output: string;
  readonly result: string;
}

export interface TrialResult {
  readonly metric: string;
  readonly float: number;
  readonly score: number;
  readonly snrDb: number;
  /** Divergence from the float model along the way, on rows held out of the training data; of the last step that counted. */
  readonly distances?: readonly (number | null)[];
  readonly best?: number;
  readonly rate?: number;
  readonly seconds: number;
}

const [given] = process.argv.slice(2);
if (given !== undefined) for (const trial of JSON.parse(given) as Trial[]) await run(trial);

async function run(trial: Trial): Promise<void> {
  const { folder, options, judged, stats, float, output, result } = trial;
  const start = performance.now();
  const { data } = options;
  if (data !== undefined && !existsSync(stats)) {
    const { samples, maxLength, target } = options;
    const residual = "residual" in options ? options.residual : undefined;
    await calibrate(folder, { data, samples, maxLength, target, residual, output: stats });
  }
  const records = JSON.parse(readFileSync(judged, "utf8")) as DataRecord[];
  const { report } = await quantize(folder, {
    ...options,
    ...(data !== undefined && { stats }),
    output,
    force: true,
    check: false,
  });
  const reference = await kept(float, () => scored(folder, `${folder}/onnx/model.onnx`, records));
  const candidate = await scored(folder, output, records);
  const metric = metricOf(reference);
  const { training } = report;
  const found: TrialResult = {
    metric,
    float: reference.metrics[metric] ?? NaN,
    score: candidate.metrics[metric] ?? NaN,
    snrDb: noiseOf(reference.values, candidate.values),
    ...(training && {
      distances: training.scores.map(({ value }) => value),
      best: training.best,
      rate: training.rate,
    }),
    seconds: (performance.now() - start) / 1000,
  };
  writeFileSync(result, `${JSON.stringify(found)}\n`);
}

async function kept(path: string, make: () => Promise<Scored>): Promise<Scored> {
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as Scored;
  const { task, metrics, values } = await make();
  const made = { task, metrics, values: values.map((each) => Array.from(each)) };
  writeFileSync(path, JSON.stringify(made));
  return made;
}

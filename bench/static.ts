// How close quantized models made with data are: each way to make one, on the fine-tuned models, over their whole test splits.
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { calibrate, quantize, type QuantizeOptions } from "../src/node.js";
import { shared, sharedModels } from "../test/shared.js";
import { columns, type Bar, type Bench } from "./bench.js";
import { recordsFor, writeJsonl } from "./datasets.js";
import { scratch } from "./machine.js";
import { dataOf, metricOf, noiseOf, scored, type Scored } from "./scored.js";

/** Ways to make a quantized model from data. */
const QUANTIZED_MODELS: readonly (QuantizeOptions & { readonly name: string })[] = [
  { name: "static", mode: "static" },
  { name: "static --accuracy high", mode: "static", accuracy: "high" },
  { name: "static --no-smooth", mode: "static", smooth: false },
  { name: "moving-average", mode: "static", range: "moving-average" },
  { name: "percentile:99.99", mode: "static", range: "percentile:99.99" },
  { name: "percentile:99.9", mode: "static", range: "percentile:99.9" },
  { name: "entropy", mode: "static", range: "entropy" },
  { name: "mse", mode: "static", range: "mse" },
  { name: "dynamic with data", mode: "dynamic" },
];
const WITHOUT_DATA = { name: "dynamic", mode: "dynamic" } as const;

/** The best static file of any peer, dB. */
const BEST_PEER: Readonly<Record<string, number>> = {
  "albert-sst2": 29.7,
  "bert-sst2": 29,
  "bert-wnut17": 34.4,
  "deberta-sst2": 31.5,
  "electra-stsb": 22.9,
  "minilm-stsb": 13.4,
  "roberta-sst2": 28.8,
};
/** What is promised beyond the best peer, dB: on every model, and on average. */
const AHEAD = 2;
const AHEAD_ON_AVERAGE = 4;

interface Row {
  readonly model: string;
  readonly quantizedModel: string;
  readonly snrDb: number;
  readonly metric: string;
  readonly float: number;
  readonly quantized: number;
  readonly seconds: number;
}

export const statics: Bench = {
  name: "static",
  about:
    "signal-to-noise ratio and score of quantized models made with data, by every range estimator",
  options: "[NAME…] [--first ROWS] [--only EDITION]",
  async run(args) {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { first: { type: "string" }, only: { type: "string", multiple: true } },
    });
    const names = positionals.length > 0 ? positionals : sharedModels().map(({ name }) => name);
    const first = values.first === undefined ? undefined : Number(values.first);
    const wanted = (name: string) => values.only?.includes(name) !== false;
    const rows: Row[] = [];
    for (const name of names) rows.push(...(await measured(name, first, wanted)));
    const quantizedModels = [...new Set(rows.map(({ quantizedModel }) => quantizedModel))];
    const cells = (of: (row: Row) => string) =>
      names.map((name) => [
        name,
        ...quantizedModels.map((quantizedModel) => {
          const row = rows.find(
            (one) => one.model === name && one.quantizedModel === quantizedModel,
          );
          return row === undefined ? "–" : of(row);
        }),
      ]);
    const drawn = first === undefined ? "512 rows drawn" : `the first ${first} rows`;
    return {
      tables: [
        {
          title: `Signal-to-noise ratio, dB; data: ${drawn} of the training file`,
          columns: columns("model", ...quantizedModels),
          rows: cells(({ snrDb }) => snrDb.toFixed(1)),
        },
        {
          title: "Score less that of the float model, points",
          columns: columns("model", ...quantizedModels),
          rows: cells(({ float, quantized }) => (100 * (quantized - float)).toFixed(2)),
        },
      ],
      bars: barsOf(
        rows.filter(({ quantizedModel }) => quantizedModel === QUANTIZED_MODELS[0]?.name),
      ),
      notes: [],
      data: rows,
    };
  },
};

async function measured(
  name: string,
  first: number | undefined,
  wanted: (quantizedModel: string) => boolean,
): Promise<Row[]> {
  const folder = shared("models", name);
  const float = await scored(folder, shared("models", name, "onnx", "model.onnx"));
  const data = await trainingFile(folder, first);
  const output = scratch("static", `${name}.onnx`);
  // Every way to a range needs the same statistics, so that one calibration serves them all.
  const stats = scratch("static", `${name}.json`);
  await calibrate(folder, { data, output: stats, force: true });
  const metric = metricOf(float);
  const rows: Row[] = [];
  for (const { name: quantizedModel, ...options } of [...QUANTIZED_MODELS, WITHOUT_DATA]) {
    if (!wanted(quantizedModel)) continue;
    const given = quantizedModel === WITHOUT_DATA.name ? options : { ...options, data, stats };
    const start = performance.now();
    await quantize(folder, { ...given, output, force: true, check: false });
    const seconds = (performance.now() - start) / 1000;
    const quantized = await scored(folder, output);
    const snrDb = noiseOf(float.values, quantized.values);
    process.stderr.write(`${name}, ${quantizedModel}: ${snrDb.toFixed(1)} dB\n`);
    rows.push({
      model: name,
      quantizedModel,
      snrDb,
      metric,
      float: scoreOf(float, metric),
      quantized: scoreOf(quantized, metric),
      seconds,
    });
  }
  return rows;
}

function scoreOf({ metrics }: Scored, metric: string): number {
  return metrics[metric] ?? NaN;
}

/** The training rows of a model's data as a file that the product reads. */
async function trainingFile(folder: string, first: number | undefined): Promise<string> {
  const records = await recordsFor(dataOf(folder), "train");
  const path = scratch("static", "train.jsonl");
  mkdirSync(scratch("static"), { recursive: true });
  writeJsonl(path, records.slice(0, first));
  return path;
}

function barsOf(rows: readonly Row[]): Bar[] {
  const ahead = rows.flatMap(({ model, snrDb }) => {
    const peer = BEST_PEER[model];
    return peer === undefined ? [] : [{ model, ahead: snrDb - peer }];
  });
  if (ahead.length === 0) return [];
  const mean = ahead.reduce((sum, one) => sum + one.ahead, 0) / ahead.length;
  const bar = (what: string, value: number, least: number): Bar => ({
    what: `${what}: ahead of the best static peer`,
    value,
    bar: least,
    kind: "at least",
    unit: "dB",
  });
  return [
    ...ahead.map((one) => bar(one.model, one.ahead, AHEAD)),
    bar("average", mean, AHEAD_ON_AVERAGE),
  ];
}

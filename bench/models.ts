// What quantizing costs in accuracy: the fine-tuned models over their whole test splits, scored by their tasks and by signal-to-noise ratio.
import { mkdirSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { quantize } from "../src/node.js";
import type { Metrics } from "../src/tasks/task.js";
import { shared, sharedModels } from "../test/shared.js";
import { columns, type Bar, type Bench } from "./bench.js";
import { scratch } from "./machine.js";
import { metricOf, noiseOf, scored } from "./scored.js";

/** The best dynamic file of any peer, dB; ours may stay 0.3 below, what a different batch does to ranges found at run time. */
const BEST_PEER: Readonly<Record<string, number>> = {
  "albert-sst2": 35,
  "bert-sst2": 23.6,
  "bert-wnut17": 29.8,
  "deberta-sst2": 27.9,
  "electra-stsb": 28.4,
  "minilm-stsb": 18,
  "roberta-sst2": 23.5,
};
const SLACK = 0.3;
const LARGEST_SHARE = 0.27;
const LARGEST_LOSS = 0.5;

interface Row {
  readonly model: string;
  readonly share: number;
  readonly metric: string;
  readonly float: number;
  readonly quantized: number;
  readonly snrDb: number;
  readonly peerDb: number | undefined;
  readonly quantizeSeconds: number;
  readonly metrics: { readonly float: Metrics; readonly quantized: Metrics };
}

export const models: Bench = {
  name: "models",
  about: "accuracy, signal-to-noise ratio and size of the fine-tuned models' dynamic models",
  options: "[NAME…]",
  async run(args) {
    const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
    const all = sharedModels().map(({ name }) => name);
    const rows: Row[] = [];
    for (const name of positionals.length > 0 ? positionals : all) rows.push(await measured(name));
    return {
      tables: [
        {
          title: "Dynamic models on the test splits",
          columns: columns(
            "model",
            "÷ float",
            "metric",
            "float",
            "INT8",
            "points",
            "SNR dB",
            "peer dB",
          ),
          rows: rows.map((row) => [
            row.model,
            row.share.toFixed(3),
            row.metric,
            row.float.toFixed(4),
            row.quantized.toFixed(4),
            pointsOf(row).toFixed(2),
            row.snrDb.toFixed(1),
            row.peerDb?.toFixed(1) ?? "–",
          ]),
        },
      ],
      bars: rows.flatMap(barsOf),
      notes: [],
      data: rows,
    };
  },
};

async function measured(name: string): Promise<Row> {
  const folder = shared("models", name);
  mkdirSync(scratch("models"), { recursive: true });
  const output = scratch("models", `${name}.onnx`);
  const model = shared("models", name, "onnx", "model.onnx");
  const start = performance.now();
  await quantize(folder, { output, force: true, check: false });
  const quantizeSeconds = (performance.now() - start) / 1000;
  const float = await scored(folder, model);
  const quantized = await scored(folder, output);
  const metric = metricOf(float);
  return {
    model: name,
    share: statSync(output).size / statSync(model).size,
    metric,
    float: float.metrics[metric] ?? NaN,
    quantized: quantized.metrics[metric] ?? NaN,
    snrDb: noiseOf(float.values, quantized.values),
    peerDb: BEST_PEER[name],
    quantizeSeconds,
    metrics: { float: float.metrics, quantized: quantized.metrics },
  };
}

/** Points lost; negative where INT8 is better. */
function pointsOf({ float, quantized }: Row): number {
  return 100 * (float - quantized);
}

function barsOf(row: Row): Bar[] {
  const { model, peerDb } = row;
  const bars: Bar[] = [
    {
      what: `${model}: share of the float file`,
      value: row.share,
      bar: LARGEST_SHARE,
      kind: "at most",
      unit: "",
    },
    {
      what: `${model}: points of ${row.metric} lost`,
      value: pointsOf(row),
      bar: LARGEST_LOSS,
      kind: "at most",
      unit: "",
    },
  ];
  if (peerDb !== undefined)
    bars.push({
      what: `${model}: SNR`,
      value: row.snrDb,
      bar: peerDb - SLACK,
      kind: "at least",
      unit: "dB",
    });
  return bars;
}

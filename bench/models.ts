// What quantizing costs in accuracy: the fine-tuned models over their whole test splits, scored by their tasks and by signal-to-noise ratio.
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { readFolder } from "../src/data/folder.js";
import { poolingOf, embeddingOf } from "../src/tasks/sentence-embedding.js";
import { createTokenizer } from "../src/data/tokenize.js";
import { quantize } from "../src/node.js";
import { evaluateModel } from "../src/pipeline/evaluate.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { chooseTask } from "../src/tasks/choose.js";
import type { Metrics, OutputRow, Task } from "../src/tasks/task.js";
import { shared, sharedModels } from "../test/shared.js";
import { columns, type Bar, type Bench } from "./bench.js";
import { recordsFor } from "./datasets.js";
import { scratch } from "./machine.js";

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
/** As the peers were scored. */
const MAX_LENGTH = 128;

export interface Scored {
  readonly task: string;
  readonly metrics: Metrics;
  /** What the model gave for each record, padding left out. */
  readonly values: readonly ArrayLike<number>[];
}

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
  about: "accuracy, signal-to-noise ratio and size of the fine-tuned models' dynamic editions",
  options: "[NAME…]",
  async run(args) {
    const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
    const all = sharedModels().map(({ name }) => name);
    const rows: Row[] = [];
    for (const name of positionals.length > 0 ? positionals : all) rows.push(await measured(name));
    return {
      tables: [
        {
          title: "Dynamic editions on the test splits",
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
  // The first matters most, but peers scored sentence encoders by the order of their similarities.
  const [first = ""] = Object.keys(float.metrics);
  const metric = float.task === "sentence-embedding" ? "spearman" : first;
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

export async function scored(folder: string, path: string): Promise<Scored> {
  const files = readFolder(folder);
  const result = JSON.parse(readFileSync(`${folder}/result.json`, "utf8")) as { task: string };
  const records = await recordsFor(result.task, "test");
  const values: ArrayLike<number>[] = [];
  const session = await ortNode.load(path, { spinning: "running" });
  try {
    const pooling = files.pooling === undefined ? undefined : poolingOf(files.pooling);
    const task = listening(chooseTask(files), (rows, prediction) => {
      values.push(...rows.map((row) => compared(row, pooling)));
      return prediction;
    });
    const options = { batchSize: 32, maxLength: MAX_LENGTH };
    const { metrics } = await evaluateModel(
      session,
      createTokenizer(files),
      task,
      records,
      options,
    );
    return { task: task.name, metrics, values };
  } finally {
    await session.release();
  }
}

/** A task that also shows what it predicts from; records come in the order of their lengths, the same for every model. */
function listening<P, R>(
  task: Task<P, R>,
  seen: (rows: readonly OutputRow[], prediction: P) => P,
): Task<P, R> {
  return { ...task, predict: (rows) => seen(rows, task.predict(rows)) };
}

/** What is compared: the logits, or the pooled vector of a sentence encoder. */
function compared(row: OutputRow, pooling: ReturnType<typeof poolingOf> | undefined) {
  if (pooling !== undefined) return embeddingOf(row, pooling);
  const data = row.outputs["logits"]?.data;
  if (data === undefined) throw new Error("the model has no output named logits");
  // Rows are views of the run's outputs, which are not kept.
  return data.slice();
}

/** Over all records together, as the peers were scored. */
export function noiseOf(
  reference: readonly ArrayLike<number>[],
  candidate: readonly ArrayLike<number>[],
): number {
  let [signal, noise] = [0, 0];
  for (const [k, a] of reference.entries()) {
    const b = candidate[k];
    if (b?.length !== a.length) throw new Error(`record ${k}: outputs of different sizes`);
    for (let i = 0; i < a.length; i++) {
      const x = a[i] ?? NaN;
      signal += x * x;
      noise += (x - (b[i] ?? NaN)) ** 2;
    }
  }
  return 10 * Math.log10(signal / noise);
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

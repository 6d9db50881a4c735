// A model scored on its test split: the task's metrics, and what the model gave for each record, to be held against another quantized model's.
import { readFileSync } from "node:fs";
import { readFolder } from "../src/data/folder.js";
import type { DataRecord } from "../src/data/records.js";
import { createTokenizer } from "../src/data/tokenize.js";
import { evaluateModel } from "../src/evaluate/predictions.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { chooseTask } from "../src/tasks/choose.js";
import { embeddingOf, poolingOf } from "../src/tasks/sentence-embedding.js";
import type { Metrics, OutputRow, Task } from "../src/tasks/task.js";
import { recordsFor } from "./datasets.js";

/** As the peers were scored. */
const MAX_LENGTH = 128;

export interface Scored {
  readonly task: string;
  readonly metrics: Metrics;
  /** What the model gave for each record, padding left out. */
  readonly values: readonly ArrayLike<number>[];
}

/** The data set that a folder of ../shared/models was tuned and scored on. */
export function dataOf(folder: string): string {
  const result = JSON.parse(readFileSync(`${folder}/result.json`, "utf8")) as { task: string };
  return result.task;
}

/** A model on the test split that its folder was scored on, or on other records. */
export async function scored(
  folder: string,
  path: string,
  given?: readonly DataRecord[],
): Promise<Scored> {
  const files = readFolder(folder);
  const records = given ?? (await recordsFor(dataOf(folder), "test"));
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

/** The metric that matters most; peers scored sentence encoders by the order of their similarities. */
export function metricOf({ task, metrics }: Scored): string {
  const [first = ""] = Object.keys(metrics);
  return task === "sentence-embedding" ? "spearman" : first;
}

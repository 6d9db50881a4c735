// The rows of a batch of training as tensors: what counts, where padding is, and the outputs that losses read.
import { firstToken } from "../data/feeds.js";
import type { DataRecord } from "../data/records.js";
import type { Encoded, Padding } from "../data/tokenize.js";
import { TaskError } from "../errors.js";
import type { Feeds, Port, RuntimeTensor } from "../runtime/runtime.js";
import { TASKS } from "../tasks/read.js";
import type { Pooling } from "../tasks/sentence-embedding.js";
import type { Task } from "../tasks/task.js";
import { LABELS, WEIGHTS, type LossTerm, type PooledBy } from "./losses.js";
import type { EvaluationRow } from "../evaluate/rows.js";

/** What is learned at once: the row or rows of a record. */
export interface Example {
  readonly rows: readonly EvaluationRow[];
  readonly record: DataRecord;
}

export interface LossSetting {
  readonly task: Task;
  readonly outputs: readonly Port[];
  /** Names of the classes, empty where the model has none. */
  readonly labels: readonly string[];
  readonly pooling: Pooling;
  readonly padding: Padding;
  /** Scores of the data are divided by it. */
  readonly labelScale: number;
  readonly temperature: number;
}

/** The rows of a batch as they are fed: [batch, length], padded; rows after the examples' own only fill it. */
export interface BatchRows {
  readonly examples: readonly Example[];
  /** In the order of the batch. */
  readonly rows: readonly EvaluationRow[];
  readonly batch: number;
  readonly length: number;
}

/** A loss and what it is fed beside the model's inputs. */
export interface TaskLoss {
  readonly terms: readonly LossTerm[];
  /** Outputs that it reads. */
  readonly outputs: readonly string[];
  /** Inner values that it reads. */
  readonly hidden?: readonly string[];
  /** How many things of an example it sums over. Throws LabelError and DataError for an example that has no such. */
  counted(example: Example): number;
  feeds(batch: BatchRows): Feeds;
}

export const float = (data: Float32Array, dims: readonly number[]): RuntimeTensor => ({
  dtype: "float32",
  dims,
  data,
});

export const whole = (values: ArrayLike<number>, dims: readonly number[]): RuntimeTensor => ({
  dtype: "int64",
  dims,
  data: BigInt64Array.from(values, BigInt),
});

/** One number for each row of a batch; rows that fill it have 0. */
export function perRow<T>(
  batch: number,
  list: readonly T[],
  of: (item: T) => number,
): Float32Array {
  const values = new Float32Array(batch);
  for (const [i, item] of list.entries()) values[i] = of(item);
  return values;
}

/** [batch, length] numbers: `of` each token of each row, which stands at a place of the batch; `outside` at padding. */
export function perToken(
  { rows, batch, length }: BatchRows,
  padding: Padding,
  of: (row: Encoded, token: number, place: number) => number,
  outside = 0,
): Float32Array {
  const values = new Float32Array(batch * length).fill(outside);
  for (const [b, { encoded }] of rows.entries()) {
    if (encoded === undefined) continue;
    const first = b * length + firstToken(encoded, length, padding);
    for (let i = 0; i < encoded.ids.length; i++) values[first + i] = of(encoded, i, b);
  }
  return values;
}

export const rowWeights = ({ rows, batch }: BatchRows): Feeds => ({
  [WEIGHTS.rows]: float(
    perRow(batch, rows, () => 1),
    [batch],
  ),
});

/** What is added to the logits of padding. */
const LOW = -1e9;

export const placesOf = (batch: BatchRows, padding: Padding): Feeds => ({
  [LABELS.places]: float(
    perToken(batch, padding, () => 0, LOW),
    [batch.batch, batch.length],
  ),
});

/**
 * The name of the output that a loss reads: the first of `names` with `rank` axes, else the first with as many. Throws TaskError where there
 * is none.
 */
export function outputNamed(
  { outputs, task }: LossSetting,
  names: readonly string[],
  rank: number,
): Port {
  const fitting = outputs.filter(({ shape }) => shape?.length === rank);
  const found = names
    .map((name) => fitting.find((port) => port.name === name))
    .find((port) => port !== undefined);
  const port = found ?? fitting[0];
  if (port !== undefined) return port;
  const there = outputs.map(({ name, shape }) => `${name} [${shape?.join(", ") ?? "?"}]`);
  throw new TaskError(
    `The model has no output for ${task.name}: expected one with ${rank} axes, got ${there.join(", ")}`,
    TASKS,
  );
}

/** The output that becomes a row's vector, and how. */
export function vectorOf(setting: LossSetting): { output: string; pooling: PooledBy } {
  const own = setting.outputs.find(
    ({ name, shape }) => name === "sentence_embedding" && shape?.length === 2,
  );
  if (own !== undefined) return { output: own.name, pooling: "none" };
  const { name } = outputNamed(setting, ["last_hidden_state", "token_embeddings"], 3);
  return { output: name, pooling: setting.pooling === "max" ? "max" : "weights" };
}

export function poolingFeeds(
  batch: BatchRows,
  { padding, pooling }: LossSetting,
  pooledBy: PooledBy,
): Feeds {
  if (pooledBy === "none") return {};
  if (pooledBy === "max") return placesOf(batch, padding);
  const weight = ({ ids }: Encoded, i: number) =>
    pooling === "cls" ? Number(i === 0) : 1 / ids.length;
  return {
    [LABELS.pooling]: float(perToken(batch, padding, weight), [batch.batch, batch.length]),
  };
}

const SPAN_OUTPUTS = ["start_logits", "end_logits"] as const;

export function spanOutputs(setting: LossSetting): readonly [start: string, end: string] {
  for (const name of SPAN_OUTPUTS)
    if (!setting.outputs.some((port) => port.name === name && port.shape?.length === 2))
      outputNamed({ ...setting, outputs: [] }, [name], 2);
  return SPAN_OUTPUTS;
}

export type MakeLoss = (setting: LossSetting) => TaskLoss;

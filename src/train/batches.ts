// Data as batches that a model is trained on: the same for each epoch's number and seed, whatever ran before.
import { configurationOf } from "../data/configuration.js";
import { Digest } from "../data/digest.js";
import { fixedSizes } from "../data/feeds.js";
import { placeOf, type DataRecord } from "../data/records.js";
import type { Tokenizer } from "../data/tokenize.js";
import { DataError, OptionError } from "../errors.js";
import type { Graph } from "../graph/graph.js";
import { randomFor } from "../math/random.js";
import type { Feeds, Port, Session } from "../runtime/runtime.js";
import type { TaskName } from "../tasks/read.js";
import { poolingOf } from "../tasks/sentence-embedding.js";
import type { OutputRow, Task } from "../tasks/task.js";
import type { LossTerm } from "./losses.js";
import type { TrainingBatch, TrainingBatches } from "./training.js";
import { prepareEvaluation, type EvaluationSettings } from "../evaluate/score.js";
import type { Host, OpenedModel } from "../host/host.js";
import { feedsFor, rowsFor, type EvaluationRow } from "../evaluate/rows.js";
import { TASK_LOSSES } from "./task-losses.js";
import type { BatchRows, Example, LossSetting, TaskLoss } from "./rows.js";
import { taught, TEACHER_LOSSES, withHidden } from "./distillation.js";

export interface TrainingSettings extends EvaluationSettings {
  /** By the labels of the data, or by what a teacher says of its texts. */
  readonly loss: "task" | "distillation";
  /** Scores of the data are divided by it. */
  readonly labelScale: number;
  /** Of a teacher's probabilities. */
  readonly temperature: number;
  /** Hidden states [batch, tokens, width] of graph and teacher that are to be alike too, and how much that counts beside the outputs. */
  readonly hidden?: { readonly values: readonly string[]; readonly share: number } | undefined;
  /** The records, where not all of the data's. */
  readonly only?: readonly DataRecord[] | undefined;
}

export interface TrainingData {
  readonly task: Task;
  readonly tokenizer: Tokenizer | undefined;
  readonly terms: readonly LossTerm[];
  /** Outputs of the model that the loss reads. */
  readonly outputs: readonly string[];
  /** Records, and rows of which tokens were cut off. */
  readonly records: number;
  readonly truncated: number;
  readonly paths: readonly string[];
  /** Of all that is read of the records. */
  readonly digest: string;
  /** `teacher` has the outputs that the loss reads; needed for distillation alone. */
  batches(teacher?: Session): TrainingBatches;
}

/** Batches whose rows are sorted by length together: little padding, and each epoch others. */
const SORTED_TOGETHER = 50;
/** Lengths of batches are multiples of it: fewer different ones, for which the runtime keeps memory. */
const LENGTH_STEP = 8;

/**
 * Reads the data of a training run. Throws as `prepareEvaluation`, LabelError for labels that are missing or that the model does not have,
 * TaskError for a model without the outputs of its task, DataError for less data than a batch.
 */
export async function trainingData(
  host: Host,
  file: OpenedModel,
  graph: Graph,
  settings: TrainingSettings,
): Promise<TrainingData> {
  const prepared = await prepareEvaluation(host, file, settings);
  const { task, tokenizer, paths } = prepared;
  const records = settings.only ?? prepared.records;
  const ports = portsOf(graph);
  const files = host.folderFiles(settings.folder ?? file.folder ?? "");
  const setting: LossSetting = {
    task,
    outputs: ports.outputs,
    labels: configurationOf(files.config).labels,
    pooling: settings.pooling ?? poolingOf(files.pooling),
    padding: tokenizer?.padding ?? { id: 0, typeId: 0, side: "right" },
    labelScale: settings.labelScale,
    temperature: settings.temperature,
  };
  const losses = settings.loss === "task" ? TASK_LOSSES : TEACHER_LOSSES;
  const own = losses[task.name as TaskName](setting);
  const reading = settings.loss === "task" ? task : withoutLabels(task);
  const { rows } = rowsFor([ports], tokenizer, reading, records, settings);
  // Of ready feeds nobody says which tokens count.
  const isText = rows.every(({ encoded }) => encoded !== undefined);
  const loss = isText ? withHidden(own, settings.hidden, setting) : own;
  const examples = examplesOf(rows, records, loss);
  const batchSize = batchSizeOf(ports.inputs, settings.batchSize, examples[0]?.rows.length ?? 1);
  if (examples.length < batchSize)
    throw new DataError(
      paths.join(", "),
      undefined,
      `${examples.length} records, less than one batch`,
      `at least ${batchSize} (--batch-size)`,
    );
  const sizes = examples.map(sizeOf);
  const orderOf = (epoch: number) => epochOrder(sizes, { batchSize, seed: settings.seed, epoch });
  const perEpoch = orderOf(0).length;
  const fed: Fed = {
    ports,
    tokenizer,
    loss,
    longest: longestOf(settings, tokenizer, ports.inputs),
  };
  return {
    task,
    tokenizer,
    terms: loss.terms,
    outputs: loss.outputs,
    records: records.length,
    truncated: rows.filter(({ encoded }) => (encoded?.cut ?? 0) > 0).length,
    paths,
    digest: digestOf(records),
    batches(teacher) {
      let epochs: { epoch: number; order: readonly (readonly number[])[] } | undefined;
      return {
        perEpoch,
        async batch(epoch, index) {
          if (epochs?.epoch !== epoch) epochs = { epoch, order: orderOf(epoch) };
          const own = (epochs.order[index] ?? []).map((i) => examples[i]);
          return batchOf(
            own.filter((one) => one !== undefined),
            fed,
            teacher,
          );
        },
      };
    },
  };
}

/** A fingerprint of records and their labels. */
export function digestOf(records: readonly DataRecord[]): string {
  const digest = new Digest();
  for (const record of records) {
    digest.add(record);
    digest.addLabels(record);
  }
  return digest.hex;
}

/** Inputs and outputs as a session of the graph has them; inputs with a default are not fed. */
function portsOf(graph: Graph): Pick<Session, "inputs" | "outputs"> {
  const port = ({ name, dtype, shape }: Port): Port => ({ name, dtype, shape });
  return {
    inputs: graph.inputs.filter(({ tensor }) => tensor === undefined).map(port),
    outputs: graph.outputs.map(port),
  };
}

/** A teacher is asked about any text: pairs of similar texts are texts of their own. */
export function withoutLabels(task: Task): Task {
  if (task.name !== "sentence-embedding") return task;
  return {
    ...task,
    // What a text alone is like, nobody asked.
    predict: (rows: readonly OutputRow[]) => (rows.length === 2 ? task.predict(rows) : NaN),
    inputs: (record) =>
      "text" in record
        ? [record.text, record.textPair].flatMap((text) => (text === undefined ? [] : [{ text }]))
        : task.inputs(record),
  };
}

/** What belongs together is one example: the two texts of a pair. Windows of a long context are examples by themselves. */
function examplesOf(
  rows: readonly EvaluationRow[],
  records: readonly DataRecord[],
  loss: TaskLoss,
): Example[] {
  const paired = loss.terms.some(({ kind }) => kind === "cosine");
  const examples: Example[] = [];
  for (const row of rows) {
    const record = records[row.record];
    if (record === undefined) throw new Error("internal: a row without a record");
    const open = examples.at(-1);
    if (paired && row.place === 1 && open !== undefined)
      examples[examples.length - 1] = { record, rows: [...open.rows, row] };
    else examples.push({ record, rows: [row] });
  }
  // Labels first: a wrong one should not show after an hour. What has nothing to learn from is left out.
  return examples.filter((example) => loss.counted(example) > 0);
}

/** Examples per batch. Throws OptionError where the model fixes a batch that pairs do not fit. */
function batchSizeOf(inputs: readonly Port[], wanted: number, rowsEach: number): number {
  const { batch } = fixedSizes(inputs);
  if (batch === undefined) return wanted;
  if (batch % rowsEach === 0) return batch / rowsEach;
  throw new OptionError(
    "batchSize",
    `${batch}, which the model fixes`,
    "an even number, for pairs",
  );
}

function longestOf(
  settings: TrainingSettings,
  tokenizer: Tokenizer | undefined,
  inputs: readonly Port[],
): number {
  const limits = [settings.maxLength, tokenizer?.limit, fixedSizes(inputs).length];
  return Math.min(...limits.map((limit) => limit ?? Infinity));
}

interface Fed {
  readonly ports: Pick<Session, "inputs" | "outputs">;
  readonly tokenizer: Tokenizer | undefined;
  readonly loss: TaskLoss;
  /** Tokens of a row at most. */
  readonly longest: number;
}

async function batchOf(
  examples: readonly Example[],
  { ports, tokenizer, loss, longest }: Fed,
  teacher: Session | undefined,
): Promise<TrainingBatch> {
  // Of pairs, all first texts stand before all second ones.
  const most = Math.max(0, ...examples.map(({ rows }) => rows.length));
  const rows = Array.from({ length: most }, (_, place) =>
    examples.map((example) => example.rows[place]),
  )
    .flat()
    .filter((row) => row !== undefined);
  const tokens = Math.max(1, ...rows.map(({ encoded }) => encoded?.ids.length ?? 0));
  const rounded = Math.min(Math.ceil(tokens / LENGTH_STEP) * LENGTH_STEP, longest);
  const inputs = feedsFor(ports.inputs, tokenizer, rows, tokenizer?.positionOffset, rounded);
  const [batch = 0, length = 0] = Object.values(inputs)[0]?.dims ?? [];
  const own: BatchRows = { examples, rows, batch, length };
  const feeds: Feeds = {
    ...inputs,
    ...loss.feeds(own),
    ...(teacher === undefined ? {} : await taught(teacher, inputs, loss)),
  };
  return {
    feeds,
    counted: examples.reduce((sum, example) => sum + loss.counted(example), 0),
    place: placesOf(examples),
  };
}

/** `train.tsv, line 3, 17, 20 and 29 more` */
function placesOf(examples: readonly Example[]): string {
  const [first, ...others] = examples.map(({ record }) => record);
  if (first === undefined) return "an empty batch";
  const lines = others.map(({ place }) => place?.line).filter((line) => line !== undefined);
  const some = lines.slice(0, 3).map((line) => `, ${line}`);
  const left = others.length - some.length;
  return `${placeOf(first)}${some.join("")}${left > 0 ? ` and ${left} more` : ""}`;
}

/** What a batch puts side by side. */
interface Size {
  /** Tokens of the longest row. */
  readonly length: number;
  /** Ready feeds of other dims cannot share a batch; empty for texts, which are padded. */
  readonly dims: string;
}

function sizeOf({ rows }: Example): Size {
  const lengths = rows.map(({ encoded }) => encoded?.ids.length ?? 0);
  const dims = rows.flatMap(({ ready }) =>
    Object.entries(ready?.inputs ?? {}).map(([name, tensor]) => `${name} ${tensor.dims.join()}`),
  );
  return { length: Math.max(0, ...lengths), dims: dims.toSorted().join("\n") };
}

/** Examples of each batch of an epoch: shuffled, rows of about one length together, and the batches shuffled again. As many in each epoch. */
function epochOrder(
  sizes: readonly Size[],
  { batchSize, seed, epoch }: { batchSize: number; seed: number; epoch: number },
): number[][] {
  const numbers = randomFor("order of an epoch", seed, epoch);
  const whole = (below: number) => numbers.whole(below);
  const alike = new Map<string, number[]>();
  for (const [i, { dims }] of sizes.entries()) {
    const list = alike.get(dims) ?? [];
    list.push(i);
    alike.set(dims, list);
  }
  const together = batchSize * SORTED_TOGETHER;
  const batches: number[][] = [];
  for (const own of alike.values()) {
    const shuffled = shuffle(own, whole);
    for (let at = 0; at < shuffled.length; at += together) {
      const group = shuffled
        .slice(at, at + together)
        .toSorted((a, b) => (sizes[a]?.length ?? 0) - (sizes[b]?.length ?? 0));
      for (let k = 0; k < group.length; k += batchSize) batches.push(group.slice(k, k + batchSize));
    }
  }
  return shuffle(batches, whole);
}

/** Fisher and Yates' way, in place. */
function shuffle<T>(list: T[], whole: (below: number) => number): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const k = whole(i + 1);
    const [a, b] = [list[i], list[k]] as [T, T];
    list[i] = b;
    list[k] = a;
  }
  return list;
}

// Data as batches that a model is trained on: the same for each epoch's number and seed, whatever ran before.
import { configurationOf } from "../data/configuration.js";
import { Digest } from "../data/digest.js";
import { fixedSizes } from "../data/feeds.js";
import { placeOf, type DataRecord } from "../data/records.js";
import type { Padding, Tokenizer } from "../data/tokenize.js";
import { DataError, OptionError } from "../errors.js";
import type { Graph } from "../graph/graph.js";
import { randomFor } from "../math/random.js";
import type { Port, Session } from "../runtime/runtime.js";
import type { TaskName } from "../tasks/read.js";
import { poolingOf } from "../tasks/sentence-embedding.js";
import type { OutputRow, Task } from "../tasks/task.js";
import type { LossTerm } from "./losses.js";
import type { TrainingBatches } from "./training.js";
import { prepareEvaluation, type EvaluationSettings, type Prepared } from "../evaluate/score.js";
import type { Run } from "../host/run.js";
import { feedsFor, rowsFor, type EvaluationRow } from "../evaluate/rows.js";
import { LENGTH_STEP, SORTED_TOGETHER } from "./defaults.js";
import { TASK_LOSSES } from "./task-losses.js";
import type { Example, LossSetting, TaskLoss } from "./rows.js";
import { TEACHER_LOSSES, withHidden } from "./distillation.js";
import { TaughtRows, type TaughtBatch } from "./taught.js";

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

/**
 * Reads the data of a training run. Throws as `prepareEvaluation`, LabelError for labels that are missing or that the model does not have,
 * TaskError for a model without the outputs of its task, DataError for less data than a batch.
 */
export async function trainingData(
  run: Run,
  graph: Graph,
  settings: TrainingSettings,
): Promise<TrainingData> {
  const prepared = await prepareEvaluation(run, settings);
  const { task, tokenizer, paths } = prepared;
  const records = settings.only ?? prepared.records;
  const ports = portsOf(graph);
  const reading = settings.loss === "task" ? task : withoutLabels(task);
  const { rows } = rowsFor([ports], tokenizer, reading, records, settings);
  const loss = lossFor(run, prepared, rows, ports.outputs, settings);
  const examples = examplesOf(rows, records, loss);
  const batchSize = batchSizeOf(ports.inputs, settings.batchSize, examples[0]?.rows.length ?? 1);
  if (examples.length < batchSize)
    throw new DataError(
      paths.join(", "),
      undefined,
      `${examples.length} records, less than one batch`,
      `at least ${batchSize} (--batch-size)`,
    );
  const longest = longestOf(settings, tokenizer, ports.inputs);
  const made = new Batches(examples, { ports, tokenizer, loss, longest }, (sizes, epoch) =>
    epochOrder(sizes, { batchSize, seed: settings.seed, epoch }),
  );
  return {
    task,
    tokenizer,
    terms: loss.terms,
    outputs: loss.outputs,
    records: records.length,
    truncated: rows.filter(({ encoded }) => (encoded?.cut ?? 0) > 0).length,
    paths,
    digest: digestOf(records),
    batches: (teacher) => made.by(teacher),
  };
}

function lossFor(
  { file, data }: Run,
  { task, tokenizer }: Prepared,
  rows: readonly EvaluationRow[],
  outputs: readonly Port[],
  settings: TrainingSettings,
): TaskLoss {
  const files = data.files(settings.folder ?? file.folder ?? "");
  const setting: LossSetting = {
    task,
    outputs,
    labels: configurationOf(files.config).labels,
    pooling: settings.pooling ?? poolingOf(files.pooling),
    padding: tokenizer?.padding ?? NO_PADDING,
    labelScale: settings.labelScale,
    temperature: settings.temperature,
  };
  const losses = settings.loss === "task" ? TASK_LOSSES : TEACHER_LOSSES;
  const own = losses[task.name as TaskName](setting);
  // Of ready feeds nobody says which tokens count.
  const isText = rows.every(({ encoded }) => encoded !== undefined);
  return isText ? withHidden(own, settings.hidden, setting) : own;
}

/** Of ready feeds, which have none that anybody knows of. */
const NO_PADDING: Padding = { id: 0, typeId: 0, side: "right" };

/** The batches of a run: examples in an order of each epoch. */
class Batches {
  readonly #examples: readonly Example[];
  readonly #fed: Fed;
  readonly #orderOf: (epoch: number) => readonly (readonly number[])[];
  #latest: { readonly epoch: number; readonly order: readonly (readonly number[])[] } | undefined;

  constructor(
    examples: readonly Example[],
    fed: Fed,
    orderOf: (sizes: readonly Size[], epoch: number) => readonly (readonly number[])[],
  ) {
    const sizes = examples.map(sizeOf);
    this.#examples = examples;
    this.#fed = fed;
    this.#orderOf = (epoch) => orderOf(sizes, epoch);
  }

  by(teacher: Session | undefined): TrainingBatches {
    const fed = this.#fed;
    const first = this.#orderOf(0);
    const said =
      teacher &&
      new TaughtRows(teacher, fed.loss, {
        batches: first.length,
        first: (index) => inputsOf(this.#examplesAt(first[index] ?? []), fed),
        firstRows: (index) => rowsOf(this.#examplesAt(first[index] ?? [])),
        padding: fed.tokenizer?.padding ?? NO_PADDING,
      });
    return {
      perEpoch: first.length,
      batch: async (epoch, index) => {
        if (this.#latest?.epoch !== epoch) this.#latest = { epoch, order: this.#orderOf(epoch) };
        const own = this.#examplesAt(this.#latest.order[index] ?? []);
        const batch = inputsOf(own, fed);
        const { loss } = fed;
        const { feeds: inputs, ...rows } = batch;
        return {
          feeds: {
            ...inputs,
            ...loss.feeds({ examples: own, ...rows }),
            ...(await said?.of(batch, epoch, index)),
          },
          counted: own.reduce((sum, example) => sum + loss.counted(example), 0),
          place: placesOf(own),
        };
      },
    };
  }

  #examplesAt(order: readonly number[]): Example[] {
    return order.map((i) => this.#examples[i]).filter((example) => example !== undefined);
  }
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

/** Of pairs, all first texts stand before all second ones. */
function rowsOf(examples: readonly Example[]): EvaluationRow[] {
  const most = Math.max(0, ...examples.map(({ rows }) => rows.length));
  return Array.from({ length: most }, (_, place) => examples.map((example) => example.rows[place]))
    .flat()
    .filter((row) => row !== undefined);
}

/** The rows of a batch, and the model's inputs. */
function inputsOf(
  examples: readonly Example[],
  { ports, tokenizer, longest }: Omit<Fed, "loss">,
): TaughtBatch {
  const rows = rowsOf(examples);
  const tokens = Math.max(1, ...rows.map(({ encoded }) => encoded?.ids.length ?? 0));
  const rounded = Math.min(Math.ceil(tokens / LENGTH_STEP) * LENGTH_STEP, longest);
  const feeds = feedsFor(ports.inputs, tokenizer, rows, tokenizer?.positionOffset, rounded);
  const [batch = 0, length = 0] = Object.values(feeds)[0]?.dims ?? [];
  return { rows, feeds, batch, length };
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

// The data of quantization-aware training: batches by labels, by what the float model says of the same texts, or by both; and what the best is chosen by.
import type { DataRecord } from "../data/records.js";
import { DataError, UnsupportedError } from "../errors.js";
import type { Graph } from "../graph/graph.js";
import type { LossTerm } from "../train/losses.js";
import type { TrainingBatches } from "../train/training.js";
import { prepareEvaluation, type EvaluationSettings, type Prepared } from "../evaluate/score.js";
import type { Run } from "../host/run.js";
import type { Teacher } from "./teacher.js";
import { byDivergence, byMetric, HeldRows, holdOut } from "./scoring.js";
import {
  trainingData,
  withoutLabels,
  type TrainingData,
  type TrainingSettings,
} from "../train/batches.js";
import type { Scoring } from "../train/run.js";

export const QAT_LOSSES = ["task", "distill", "both"] as const;
export type QatLoss = (typeof QAT_LOSSES)[number];

export interface QatDataSettings extends Omit<EvaluationSettings, "data" | "samples"> {
  readonly data: string | readonly string[];
  readonly evaluate?: string | readonly string[] | undefined;
  /** Default: both where the first record has a label and the task allows it. */
  readonly loss?: QatLoss | undefined;
  readonly temperature: number;
  /** Of the loss on hidden states beside that on outputs, where the float model teaches; 0: none. */
  readonly hiddenWeight: number;
  readonly labelScale: number;
}

export interface QatData {
  readonly loss: QatLoss;
  readonly task: string;
  readonly terms: readonly LossTerm[];
  readonly outputs: readonly string[];
  /** Records that are trained on, and of these the rows that were cut. */
  readonly records: number;
  readonly truncated: number;
  readonly digest: string;
  readonly batches: TrainingBatches;
  /** What the best is chosen by. */
  readonly scoring: Scoring;
  /** What nothing that is chosen may be worse by than what there was before training; absent where it is chosen by that. */
  readonly acceptance: Scoring | undefined;
  /** What is scored. */
  readonly held: HeldRows;
  /** Whether that was held out of the data. */
  readonly heldOut: boolean;
}

/** Throws as `trainingData` and `prepareEvaluation`, and DataError where too little is left to choose by. */
export async function qatData(
  run: Run,
  graph: Graph,
  teacher: Teacher,
  settings: QatDataSettings,
): Promise<QatData> {
  const { evaluate } = settings;
  const whole = { ...settings, samples: "all" } as const;
  const prepared = await prepareEvaluation(run, whole);
  const loss = lossOf(prepared, settings);
  const { train, held } = await partsOf(run, prepared, settings);
  const each: TrainingData[] = [];
  const hidden = { values: teacher.hidden, share: settings.hiddenWeight };
  for (const kind of KINDS[loss])
    each.push(
      await trainingData(run, graph, {
        ...whole,
        loss: kind,
        only: train,
        hidden: kind === "task" || hidden.share === 0 ? undefined : hidden,
      }),
    );
  const [first, second] = each;
  if (first === undefined) throw new Error("internal: no loss");
  const outputs = [...new Set(each.flatMap((data) => data.outputs))];
  // How close the float model is says more on a few hundred rows than how many of them are right.
  const isTaught = loss === "distill";
  const rows = new HeldRows(
    isTaught ? { ...held, task: withoutLabels(held.task) } : held,
    teacher.answers,
    {
      terms: isTaught ? first.terms : [],
      outputs,
      maxLength: settings.maxLength,
      signal: settings.signal,
    },
  );
  return {
    loss,
    task: prepared.task.name,
    terms: each.flatMap(({ terms }) => terms),
    outputs,
    records: first.records,
    truncated: first.truncated,
    digest: first.digest,
    batches: merged(
      first.batches(loss === "distill" ? teacher.session : undefined),
      second?.batches(teacher.session),
    ),
    scoring: isTaught ? byDivergence(rows) : byMetric(rows, held.task),
    acceptance: isTaught && evaluate !== undefined ? byMetric(rows, held.task) : undefined,
    held: rows,
    heldOut: evaluate === undefined,
  };
}

/** Throws UnsupportedError for labels and the float model together where a task does not take both. */
function lossOf(prepared: Prepared, settings: QatDataSettings): QatLoss {
  const { name } = prepared.task;
  const apart = APART[name];
  // Labels alone let a quantized model drift away from a model that knew more of them than this data holds.
  const byLabels = apart === undefined ? "both" : "task";
  const loss = settings.loss ?? (isLabelled(prepared) ? byLabels : "distill");
  if (loss === "both" && apart !== undefined)
    throw new UnsupportedError(
      `--loss both for ${name}`,
      apart,
      "Use --loss task, or --loss distill.",
    );
  return loss;
}

/** What is trained on, and what is scored. */
async function partsOf(
  run: Run,
  prepared: Prepared,
  settings: QatDataSettings,
): Promise<{ readonly train: readonly DataRecord[]; readonly held: Prepared }> {
  const { evaluate, seed } = settings;
  if (evaluate === undefined) {
    const { train, held } = holdOut(prepared.records, seed);
    return { train, held: { ...prepared, records: held } };
  }
  const held = await prepareEvaluation(run, { ...settings, samples: "all", data: evaluate });
  return { train: prepared.records, held };
}

/** Tasks whose labels are of other inputs than those that the float model is asked about. */
const APART: Readonly<Record<string, string>> = {
  "sentence-embedding": "labels are of pairs, what the float model says is of single texts",
  "masked-language-modelling": "labels are of hidden tokens, what the float model says is of all",
};

const KINDS: Readonly<Record<QatLoss, readonly TrainingSettings["loss"][]>> = {
  task: ["task"],
  distill: ["distillation"],
  both: ["task", "distillation"],
};

function isLabelled({ task, records }: Prepared): boolean {
  return task.unlabelled === true || (records[0] !== undefined && hasLabel(records[0]));
}

function hasLabel(record: DataRecord): boolean {
  if ("inputs" in record) return record.label !== undefined;
  if ("tokens" in record) return record.labels !== undefined;
  const { label, labels, answers } = record;
  return label !== undefined || labels !== undefined || answers !== undefined;
}

/** Batches of the same records with the inputs of two losses. */
function merged(one: TrainingBatches, other: TrainingBatches | undefined): TrainingBatches {
  if (other === undefined) return one;
  return {
    perEpoch: Math.min(one.perEpoch, other.perEpoch),
    async batch(epoch, index) {
      const [a, b] = [await one.batch(epoch, index), await other.batch(epoch, index)];
      if (a.place !== b.place)
        throw new DataError(
          a.place,
          undefined,
          "records without anything to learn from by their labels",
          "labels in all of them, for --loss both",
        );
      return { ...a, feeds: { ...b.feeds, ...a.feeds } };
    },
  };
}

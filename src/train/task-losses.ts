// The loss of each task on the labels of the data, and these labels as tensors.
import { firstToken } from "../data/feeds.js";
import { placeOf, type DataRecord } from "../data/records.js";
import type { Window } from "../data/tokenize.js";
import { LabelError } from "../errors.js";
import type { Port } from "../runtime/runtime.js";
import type { TaskName } from "../tasks/read.js";
import { LABELS, WEIGHTS } from "./losses.js";
import {
  float,
  outputNamed,
  perRow,
  perToken,
  placesOf,
  poolingFeeds,
  rowWeights,
  spanOutputs,
  vectorOf,
  whole,
  type Example,
  type LossSetting,
  type MakeLoss,
  type TaskLoss,
} from "./rows.js";

/** Throws LabelError for a class that the model has no logit for. */
function withinClasses(label: number, { shape }: Port, record: DataRecord): number {
  const classes = shape?.at(-1);
  if (typeof classes !== "number" || (label >= 0 && label < classes)) return label;
  throw new LabelError(label, placeOf(record), `the number of a class from 0 to ${classes - 1}`);
}

const ofClasses: MakeLoss = (setting) => {
  const output = outputNamed(setting, ["logits"], 2);
  const classOf = ({ record }: Example) =>
    withinClasses(setting.task.reference(record) as number, output, record);
  return {
    terms: [{ kind: "cross-entropy", output: output.name, over: "rows" }],
    outputs: [output.name],
    counted: (example) => (classOf(example), 1),
    feeds: (batch) => ({
      ...rowWeights(batch),
      [LABELS.labels]: whole(perRow(batch.batch, batch.examples, classOf), [batch.batch]),
    }),
  };
};

const ofFlags: MakeLoss = (setting) => {
  const output = outputNamed(setting, ["logits"], 2);
  const classes = Number(output.shape?.at(-1) ?? setting.labels.length);
  const flagsOf = ({ record }: Example): readonly boolean[] => {
    const flags = setting.task.reference(record) as readonly boolean[];
    const last = flags.lastIndexOf(true);
    if (last >= 0) withinClasses(last, { ...output, shape: [classes] }, record);
    return flags;
  };
  return {
    terms: [{ kind: "binary-cross-entropy", output: output.name }],
    outputs: [output.name],
    counted: (example) => (flagsOf(example), 1),
    feeds(batch) {
      const values = new Float32Array(batch.batch * classes);
      for (const [b, example] of batch.examples.entries())
        for (const [k, flag] of flagsOf(example).entries()) if (flag) values[b * classes + k] = 1;
      return {
        ...rowWeights(batch),
        [LABELS.labels]: float(values, [batch.batch, classes]),
      };
    },
  };
};

const ofScores: MakeLoss = (setting) => {
  const { task, labelScale } = setting;
  const output = outputNamed(setting, ["logits"], 2);
  const scoreOf = ({ record }: Example) => (task.reference(record) as number) / labelScale;
  return {
    terms: [{ kind: "squared", output: output.name }],
    outputs: [output.name],
    counted: (example) => (scoreOf(example), 1),
    feeds: (batch) => ({
      ...rowWeights(batch),
      [LABELS.labels]: float(perRow(batch.batch, batch.examples, scoreOf), [batch.batch, 1]),
    }),
  };
};

const ofPairs: MakeLoss = (setting) => {
  const { output, pooling } = vectorOf(setting);
  const { task, labelScale } = setting;
  const similarityOf = ({ record }: Example) => {
    const label = task.reference(record) as number;
    const similarity = label / labelScale;
    if (Math.abs(similarity) <= 1) return similarity;
    throw new LabelError(
      label,
      placeOf(record),
      "a similarity from -1 to 1 once it is divided by the highest score of the data (--label-scale)",
    );
  };
  return {
    terms: [{ kind: "cosine", output, pooling }],
    outputs: [output],
    counted: (example) => (similarityOf(example), 1),
    feeds(batch) {
      const pairs = batch.batch / 2;
      return {
        ...poolingFeeds(batch, setting, pooling),
        [WEIGHTS.rows]: float(
          perRow(pairs, batch.examples, () => 1),
          [pairs],
        ),
        [LABELS.labels]: float(perRow(pairs, batch.examples, similarityOf), [pairs]),
      };
    },
  };
};

/** Cross-entropy at tokens that have a class: `classes` tells it of each token of an example, undefined where it has none. */
function ofTokens(
  setting: LossSetting,
  classes: (example: Example) => readonly (number | undefined)[],
): TaskLoss {
  const output = outputNamed(setting, ["logits"], 3);
  const checked = (example: Example) =>
    classes(example).map((label) =>
      label === undefined ? undefined : withinClasses(label, output, example.record),
    );
  return {
    terms: [{ kind: "cross-entropy", output: output.name, over: "labelled" }],
    outputs: [output.name],
    counted: (example) => checked(example).filter((label) => label !== undefined).length,
    feeds(batch) {
      const dims = [batch.batch, batch.length];
      const known = batch.examples.map(checked);
      const at = (token: number, place: number) => known[place]?.[token];
      return {
        [LABELS.labels]: whole(
          perToken(batch, setting.padding, (_, token, place) => at(token, place) ?? 0),
          dims,
        ),
        [WEIGHTS.labelled]: float(
          perToken(batch, setting.padding, (_, token, place) =>
            Number(at(token, place) !== undefined),
          ),
          dims,
        ),
      };
    },
  };
}

const ofWords: MakeLoss = (setting) =>
  ofTokens(setting, ({ rows: [row], record }) => {
    const names = setting.task.reference(record) as readonly string[];
    // The first token of a word speaks for it.
    let last: number | undefined;
    return (row?.encoded?.words ?? []).map((word) => {
      const begins = word !== undefined && word !== last;
      last = word;
      return begins ? setting.labels.indexOf(names[word] ?? "") : undefined;
    });
  });

const ofHidden: MakeLoss = (setting) =>
  ofTokens(setting, ({ rows: [row] }) => {
    const { encoded } = row ?? {};
    const hidden =
      encoded !== undefined && "hidden" in encoded
        ? (encoded.hidden as ReadonlyMap<number, number>)
        : new Map<number, number>();
    return (encoded?.ids ?? []).map((_, i) => hidden.get(i));
  });

const ofNext: MakeLoss = (setting) =>
  ofTokens(setting, ({ rows: [row] }) => {
    const { ids = [] } = row?.encoded ?? {};
    return ids.map((_, i) => ids[i + 1]);
  });

const ofAnswers: MakeLoss = (setting) => {
  const outputs = spanOutputs(setting);
  const { padding, task } = setting;
  const spanOf = (example: Example) => {
    const answers = task.reference(example.record) as readonly string[];
    const { encoded } = example.rows[0] ?? {};
    return encoded === undefined ? undefined : answerIn(encoded as Read, answers);
  };
  return {
    terms: [{ kind: "span", outputs }],
    outputs,
    counted: (example) => (spanOf(example), 1),
    feeds(batch) {
      const { examples, rows, length } = batch;
      const at = (end: 0 | 1) =>
        perRow(batch.batch, examples, (example) => {
          const row = rows[examples.indexOf(example)]?.encoded;
          return row === undefined
            ? 0
            : firstToken(row, length, padding) + (spanOf(example)?.[end] ?? 0);
        });
      return {
        ...rowWeights(batch),
        ...placesOf(batch, padding),
        [LABELS.starts]: whole(at(0), [batch.batch]),
        [LABELS.ends]: whole(at(1), [batch.batch]),
      };
    },
  };
};

type Read = Window & { readonly context: string };

/**
 * The tokens at which the first of the answers starts and ends that a window holds, by its first occurrence in the context; undefined where it
 * holds none: then the first token is what is right, as in SQuAD 2.
 */
function answerIn(
  { spans, context }: Read,
  answers: readonly string[],
): readonly [start: number, end: number] | undefined {
  for (const answer of answers) {
    const from = answer === "" ? -1 : context.indexOf(answer);
    if (from < 0) continue;
    const to = from + answer.length;
    const start = spans.findIndex(
      (span) => span !== undefined && span[0] <= from && from < span[1],
    );
    const end = spans.findLastIndex((span) => span !== undefined && span[0] < to && to <= span[1]);
    if (start >= 0 && end >= start) return [start, end];
  }
  return undefined;
}

/** By the data's labels. */
export const TASK_LOSSES: Readonly<Record<TaskName, MakeLoss>> = {
  "text-classification": ofClasses,
  "image-classification": ofClasses,
  "multi-label-classification": ofFlags,
  regression: ofScores,
  "sentence-embedding": ofPairs,
  "token-classification": ofWords,
  "question-answering": ofAnswers,
  "masked-language-modelling": ofHidden,
  "causal-language-modelling": ofNext,
};

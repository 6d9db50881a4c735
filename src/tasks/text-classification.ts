// One class for a text or a pair of texts.
import { TaskError } from "../errors.js";
import { accuracy, argmax, softmax } from "./metrics.js";
import { classOf, outputOf, TASKS, textRecord } from "./read.js";
import type { Task } from "./task.js";

const NAME = "text-classification";

export interface Classification {
  /** Number of the likeliest class. */
  readonly class: number;
  /** Its name; its number as text where the model names no classes. */
  readonly label: string;
  /** Probability of each class. */
  readonly probabilities: readonly number[];
}

/** `labels`: the names of the classes by number, empty where the model has none. */
export function textClassification(labels: readonly string[]): Task<Classification, number> {
  return {
    name: NAME,
    inputs: (record) => [textRecord(record, NAME)],
    predict([row]) {
      if (row === undefined) throw new Error("internal: no row to predict from");
      const { data } = outputOf(row, ["logits"], 1, NAME);
      if (labels.length > 0 && data.length !== labels.length)
        throw new TaskError(
          `The model gives ${data.length} logits, its config.json names ${labels.length} classes`,
          TASKS,
        );
      const best = argmax(data);
      return { class: best, label: labels[best] ?? String(best), probabilities: softmax(data) };
    },
    reference: (record) => classOf(textRecord(record, NAME).label, labels, record),
    metrics: (scored) => ({
      accuracy: accuracy(
        scored.map(({ prediction }) => prediction.class),
        scored.map(({ reference }) => reference),
      ),
    }),
  };
}

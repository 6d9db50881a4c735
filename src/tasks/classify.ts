// One class for a record, whatever it holds: what texts and images have in common.
import { argmax, softmax } from "./metrics.js";
import { measuresOfClasses } from "./measure.js";
import { onlyRow, outputOf, requireClasses, type TaskName } from "./read.js";
import { equalRows, type Task } from "./task.js";

export interface Classification {
  /** Number of the likeliest class; -1 where the model gave NaN alone. */
  readonly class: number;
  /** Its name; its number as text where the model names no classes. */
  readonly label: string;
  /** Probability of each class. */
  readonly probabilities: readonly number[];
}

type Classifying = Pick<
  Task<Classification, number>,
  "name" | "predict" | "measures" | "agreement"
>;

/** `labels`: the names of the classes by number, empty where the model has none. */
export function classifying(name: TaskName, labels: readonly string[]): Classifying {
  return {
    name,
    predict(rows) {
      const { data } = outputOf(onlyRow(rows), ["logits"], 1, name);
      requireClasses(data.length, labels);
      const best = argmax(data);
      return { class: best, label: labels[best] ?? String(best), probabilities: softmax(data) };
    },
    measures: (scored) =>
      measuresOfClasses(
        scored.map(({ prediction }) => prediction.class),
        scored.map(({ reference }) => reference),
        scored[0]?.prediction.probabilities.length ?? labels.length,
      ),
    agreement: (left, right) => equalRows(left, right, (a, b) => a.class === b.class),
  };
}

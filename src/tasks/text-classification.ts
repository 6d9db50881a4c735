// One class for a text or a pair of texts.
import { classifying, type Classification } from "./classify.js";
import { classOf, inputsOf, textOrFeeds } from "./read.js";
import type { Task } from "./task.js";

const NAME = "text-classification";

export type { Classification } from "./classify.js";

/** `labels`: the names of the classes by number, empty where the model has none. */
export function textClassification(labels: readonly string[]): Task<Classification, number> {
  return {
    ...classifying(NAME, labels),
    inputs: (record) => inputsOf(record, NAME),
    reference: (record) => classOf(textOrFeeds(record, NAME).label, labels, record),
  };
}

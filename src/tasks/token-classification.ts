// A class for each word: entities in BIO labels. The first token of a word speaks for it.
import { DataError, TaskError } from "../errors.js";
import type { DataRecord, TokensRecord } from "../data/records.js";
import { countsOf, entityCounts, measureOfSums, measuresOfCounts } from "./measure.js";
import { argmax } from "./metrics.js";
import { classOf, outputOf, TASKS } from "./read.js";
import type { Task } from "./task.js";

const NAME = "token-classification";
/** The class of words that are no part of an entity. */
const OUTSIDE = "O";

/** Label of each word; undefined where the model did not see the word (it was cut off, or has no token). */
export type WordLabels = readonly (string | undefined)[];

/** `labels`: the names of the classes by number, as `B-person`. */
export function tokenClassification(
  labels: readonly string[],
): Task<WordLabels, readonly string[]> {
  if (labels.length === 0)
    throw new TaskError(`For ${NAME} config.json must name the classes (id2label)`, TASKS);
  return {
    name: NAME,
    inputs: (record) => [{ words: tokensRecord(record).tokens }],
    predict([row]) {
      if (row?.words === undefined) throw new Error("internal: no row of words to predict from");
      const { data, dims } = outputOf(row, ["logits"], 2, NAME);
      const [, width = 0] = dims;
      if (width !== labels.length)
        throw new TaskError(
          `The model gives ${width} logits per token, its config.json names ${labels.length} classes`,
          TASKS,
        );
      const predicted: (string | undefined)[] = [];
      for (const [token, word] of row.words.entries()) {
        if (word === undefined || predicted[word] !== undefined) continue;
        predicted[word] =
          labels[argmax(data.subarray(token * width, (token + 1) * width))] ?? OUTSIDE;
      }
      return Array.from(predicted);
    },
    reference(record) {
      const { labels: given, tokens } = tokensRecord(record);
      if (given === undefined) classOf(undefined, labels, record);
      return tokens.map((_, i) => labels[classOf(given?.[i], labels, record)] ?? OUTSIDE);
    },
    measures(scored) {
      // Words that the model did not see do not count, as is the custom.
      const seen = scored.map(({ prediction, reference }) => ({
        predicted: prediction.filter((label) => label !== undefined),
        expected: reference.filter((_, i) => prediction[i] !== undefined),
      }));
      const entities = countsOf(seen, 3, ({ predicted, expected }) =>
        entityCounts(predicted, expected),
      );
      const words = countsOf(seen, 2, ({ predicted, expected }) => [
        predicted.filter((label, i) => label === expected[i]).length,
        predicted.length,
      ]);
      return [
        ...measuresOfCounts(entities),
        measureOfSums("accuracy", words, 2, ([right = 0, all = 0]) => right / all),
      ];
    },
    agreement(left, right) {
      let [equal, of] = [0, 0];
      for (const [i, labels] of left.entries()) {
        of += labels.length;
        equal += labels.filter((label, word) => label === right[i]?.[word]).length;
      }
      return { equal, of, unit: "words" };
    },
  };
}

function tokensRecord(record: DataRecord): TokensRecord {
  if ("tokens" in record) return record;
  throw new DataError(
    record.place?.path ?? "A record",
    record.place?.line,
    `a text for ${NAME}`,
    '"tokens" and "labels"',
  );
}

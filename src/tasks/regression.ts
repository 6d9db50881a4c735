// A score for a text or a pair of texts.
import { pearson, spearman } from "./metrics.js";
import { outputOf, scoreOf, textRecord } from "./read.js";
import type { Metrics, Scored, Task } from "./task.js";

const NAME = "regression";

/** The model's one logit is the score. */
export function regression(): Task<number, number> {
  return {
    name: NAME,
    inputs: (record) => [textRecord(record, NAME)],
    predict([row]) {
      if (row === undefined) throw new Error("internal: no row to predict from");
      return outputOf(row, ["logits"], 1, NAME).data[0] ?? NaN;
    },
    reference: (record) => scoreOf(textRecord(record, NAME)),
    metrics: correlations,
  };
}

/** Correlations of scores, which need not be on one scale. */
export function correlations(scored: readonly Scored<number, number>[]): Metrics {
  const predicted = scored.map(({ prediction }) => prediction);
  const expected = scored.map(({ reference }) => reference);
  return { pearson: pearson(predicted, expected), spearman: spearman(predicted, expected) };
}

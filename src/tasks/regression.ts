// A score for a text or a pair of texts.
import { measuresOfScores, type Measure } from "./measure.js";
import { inputsOf, onlyRow, outputOf, scoreOf, textOrFeeds } from "./read.js";
import type { Agreement, Scored, Task } from "./task.js";

const NAME = "regression";

/** The model's one logit is the score. */
export function regression(): Task<number, number> {
  return {
    name: NAME,
    inputs: (record) => inputsOf(record, NAME),
    predict: (rows) => outputOf(onlyRow(rows), ["logits"], 1, NAME).data[0] ?? NaN,
    reference: (record) => scoreOf(textOrFeeds(record, NAME)),
    measures: (scored) => {
      const { pearson, spearman } = correlations(scored);
      return [pearson, spearman];
    },
    agreement: scoresSideBySide,
  };
}

/** Correlations of scores, which need not be on one scale. */
export function correlations(
  scored: readonly Scored<number, number>[],
): Readonly<Record<"pearson" | "spearman", Measure>> {
  return measuresOfScores(
    Float64Array.from(scored, ({ prediction }) => prediction),
    Float64Array.from(scored, ({ reference }) => reference),
  );
}

export function scoresSideBySide(left: readonly number[], right: readonly number[]): Agreement {
  return { left: Float64Array.from(left), right: Float64Array.from(right) };
}

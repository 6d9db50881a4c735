// Measures of scored records: each metric as a function of how often every record counts, so that resamples of the records need no second reading.
import { pearson, spansOf, countSpans, type SpanCounts } from "./metrics.js";

/** How often each record counts. Absent: once. */
export type Weights = ArrayLike<number>;

export interface Measure {
  readonly name: string;
  /** Of perplexity and the like a lower value is the better one. */
  readonly better: "higher" | "lower";
  /** Where the measure is a share of records: 1 for those that are right, 0 for others. */
  readonly hits?: Uint8Array;
  value(weights?: Weights): number;
}

/** Share of records that are right. */
export function shareOf(name: string, hits: Uint8Array): Measure {
  return { name, better: "higher", hits, value: (weights) => meanOf(hits, weights) };
}

/** Mean of a number per record. */
export function averageOf(name: string, values: Float64Array): Measure {
  return { name, better: "higher", value: (weights) => meanOf(values, weights) };
}

function meanOf(values: ArrayLike<number>, weights: Weights | undefined): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const w = weights?.[i] ?? 1;
    if (w === 0) continue;
    sum += w * (values[i] ?? NaN);
    count += w;
  }
  return sum / count;
}

/**
 * A function of sums over records: `counts` holds `width` numbers for each record, `of` makes the metric of their sums. F1, perplexity and
 * whatever else counts things across records.
 */
export function measureOfSums(
  name: string,
  counts: Float64Array,
  width: number,
  of: (sums: Float64Array) => number,
  better: Measure["better"] = "higher",
): Measure {
  return {
    name,
    better,
    value(weights) {
      const sums = new Float64Array(width);
      for (let i = 0, at = 0; at < counts.length; i++, at += width) {
        const w = weights?.[i] ?? 1;
        if (w === 0) continue;
        for (let k = 0; k < width; k++) sums[k] = (sums[k] ?? 0) + w * (counts[at + k] ?? 0);
      }
      return of(sums);
    },
  };
}

/** Counts per record side by side, for `measureOfSums`. */
export function countsOf<T>(
  records: readonly T[],
  width: number,
  of: (record: T) => readonly number[],
): Float64Array {
  const counts = new Float64Array(records.length * width);
  for (const [i, record] of records.entries()) counts.set(of(record), i * width);
  return counts;
}

/**
 * Accuracy, F1 and Matthews' correlation of classes, as scikit-learn computes them: with two classes the F1 of class 1, with others the
 * mean over the classes that are predicted or expected (macro).
 */
export function measuresOfClasses(
  predicted: readonly number[],
  expected: readonly number[],
  classes: number,
): Measure[] {
  const hits = Uint8Array.from(predicted, (value, i) => (value === expected[i] ? 1 : 0));
  // A prediction without a class (NaN outputs) is wrong, and a class of its own.
  const most = (values: readonly number[]) => values.reduce((top, k) => Math.max(top, k + 1), 2);
  const size = Math.max(classes, most(predicted), most(expected)) + 1;
  const confusion = (of: (table: Float64Array) => number) => (weights?: Weights) => {
    const table = new Float64Array(size * size);
    for (const [i, value] of predicted.entries()) {
      const p = value < 0 ? size - 1 : value;
      const at = (expected[i] ?? 0) * size + p;
      table[at] = (table[at] ?? 0) + (weights?.[i] ?? 1);
    }
    return of(table);
  };
  const binary = size === 3;
  return [
    shareOf("accuracy", hits),
    {
      name: binary ? "f1" : "f1-macro",
      better: "higher",
      value: confusion((table) => (binary ? f1Of(table, size, 1).f1 : macroF1(table, size))),
    },
    { name: "matthews", better: "higher", value: confusion((table) => matthews(table, size)) },
  ];
}

/** Of one class of a table expected × predicted. */
function f1Of(table: Float64Array, size: number, k: number): { f1: number; there: boolean } {
  let [row, column] = [0, 0];
  for (let i = 0; i < size; i++) {
    row += table[k * size + i] ?? 0;
    column += table[i * size + k] ?? 0;
  }
  const both = table[k * size + k] ?? 0;
  return { f1: both === 0 ? 0 : (2 * both) / (row + column), there: row + column > 0 };
}

function macroF1(table: Float64Array, size: number): number {
  const classes = Array.from({ length: size }, (_, k) => f1Of(table, size, k)).filter(
    (c) => c.there,
  );
  return classes.reduce((sum, { f1 }) => sum + f1, 0) / classes.length;
}

/** Matthews' correlation for any number of classes; 0 where one side has a single class. */
function matthews(table: Float64Array, size: number): number {
  let [all, correct, cross, rows, columns] = [0, 0, 0, 0, 0];
  for (let k = 0; k < size; k++) {
    let [row, column] = [0, 0];
    for (let i = 0; i < size; i++) {
      row += table[k * size + i] ?? 0;
      column += table[i * size + k] ?? 0;
    }
    all += row;
    correct += table[k * size + k] ?? 0;
    cross += row * column;
    rows += row * row;
    columns += column * column;
  }
  const scale = Math.sqrt(all * all - rows) * Math.sqrt(all * all - columns);
  return scale === 0 ? 0 : (correct * all - cross) / scale;
}

/** Pearson's and Spearman's correlations of two lists of scores. */
export function measuresOfScores(
  predicted: Float64Array,
  expected: Float64Array,
): { readonly pearson: Measure; readonly spearman: Measure } {
  const ranked = { predicted: rankerOf(predicted), expected: rankerOf(expected) };
  return {
    pearson: {
      name: "pearson",
      better: "higher",
      value: (weights) =>
        weights === undefined
          ? pearson(predicted, expected)
          : weightedPearson(predicted, expected, weights),
    },
    spearman: {
      name: "spearman",
      better: "higher",
      value(weights = new Uint8Array(predicted.length).fill(1)) {
        const [a, b] = [ranked.predicted(weights), ranked.expected(weights)];
        return weightedPearson(a, b, weights);
      },
    },
  };
}

function weightedPearson(a: Float64Array, b: Float64Array, weights: Weights): number {
  const [meanA, meanB] = [meanOf(a, weights), meanOf(b, weights)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const w = weights[i] ?? 0;
    if (w === 0) continue;
    const x = (a[i] ?? NaN) - meanA;
    const y = (b[i] ?? NaN) - meanB;
    ab += w * x * y;
    aa += w * x * x;
    bb += w * y * y;
  }
  return Math.max(-1, Math.min(1, ab / Math.sqrt(aa * bb)));
}

/** Ranks from 1 under weights, equal values sharing their mean rank; sorted once for all weights. NaN has no place, and leaves none to others. */
function rankerOf(values: Float64Array): (weights: Weights) => Float64Array {
  if (values.some(Number.isNaN)) return () => new Float64Array(values.length).fill(NaN);
  const order = Uint32Array.from(values.keys());
  order.sort((i, j) => (values[i] ?? 0) - (values[j] ?? 0));
  return (weights) => {
    const ranks = new Float64Array(values.length);
    let before = 0;
    for (let start = 0; start < order.length;) {
      let end = start;
      let own = 0;
      const value = values[order[start] ?? 0];
      for (; end < order.length && values[order[end] ?? 0] === value; end++)
        own += weights[order[end] ?? 0] ?? 0;
      for (let k = start; k < end; k++) ranks[order[k] ?? 0] = before + (own + 1) / 2;
      before += own;
      start = end;
    }
    return ranks;
  };
}

/** F1, precision and recall from sums of found, wrongly found and missed; 0 where nothing was found, as is the custom. */
export function measuresOfCounts(
  counts: Float64Array,
  names: readonly [f1: string, precision: string, recall: string] = ["f1", "precision", "recall"],
): Measure[] {
  const [f1, precision, recall] = names;
  const share = (tp: number, other: number) => (tp === 0 ? 0 : tp / (tp + other));
  return [
    measureOfSums(f1, counts, 3, ([tp = 0, fp = 0, fn = 0]) =>
      tp === 0 ? 0 : (2 * tp) / (2 * tp + fp + fn),
    ),
    measureOfSums(precision, counts, 3, ([tp = 0, fp = 0]) => share(tp, fp)),
    measureOfSums(recall, counts, 3, ([tp = 0, , fn = 0]) => share(tp, fn)),
  ];
}

/** Entities of one sentence, counted: found, wrongly found, missed. */
export function entityCounts(
  predicted: readonly string[],
  expected: readonly string[],
): readonly number[] {
  const counts: SpanCounts = countSpans(spansOf(predicted), spansOf(expected));
  return [counts.truePositives, counts.falsePositives, counts.falseNegatives];
}

/** The values of measures by name. */
export function valuesOf(measures: readonly Measure[]): Readonly<Record<string, number>> {
  return Object.fromEntries(measures.map((measure) => [measure.name, measure.value()]));
}

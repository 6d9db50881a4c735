// Metrics as their fields define them. Pure numbers: what they measure is the tasks' business.

/** Share of equal pairs, 0…1; NaN for no pairs. */
export function accuracy(predicted: readonly number[], expected: readonly number[]): number {
  const correct = predicted.filter((value, i) => value === expected[i]).length;
  return correct / predicted.length;
}

/** Pearson's correlation, -1…1; NaN where one side is constant. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  const meanA = mean(a);
  const meanB = mean(b);
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < n; i++) {
    const x = (a[i] ?? NaN) - meanA;
    const y = (b[i] ?? NaN) - meanB;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  // Rounding can lead a little beyond.
  return Math.max(-1, Math.min(1, ab / Math.sqrt(aa * bb)));
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? NaN;
  return sum / values.length;
}

/** Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return pearson(ranks(a), ranks(b));
}

/** Ranks from 1; equal values share the mean of theirs. All are NaN where a value is: it has no place among others. */
function ranks(values: ArrayLike<number>): Float64Array {
  if (Array.from(values).some(Number.isNaN)) return new Float64Array(values.length).fill(NaN);
  const order = Array.from({ length: values.length }, (_, i) => i);
  order.sort((i, j) => (values[i] ?? 0) - (values[j] ?? 0));
  const result = new Float64Array(values.length);
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && values[order[end] ?? 0] === values[order[start] ?? 0]) end++;
    for (let k = start; k < end; k++) result[order[k] ?? 0] = (start + 1 + end) / 2;
    start = end;
  }
  return result;
}

/** A run of words that make one entity: words start … end (exclusive). */
export interface Span {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Entities in a sequence of BIO (or BIOES) labels, as seqeval reads them in its default mode: `B-x` opens an entity, so does an `I-x` that
 * continues none of its type; `E-x` and `S-x` end theirs.
 */
export function spansOf(labels: readonly string[]): Span[] {
  const spans: Span[] = [];
  let open: { type: string; start: number } | undefined;
  const close = (end: number) => {
    if (open !== undefined) spans.push({ ...open, end });
    open = undefined;
  };
  for (const [i, label] of labels.entries()) {
    const [, tag = "O", type = "_"] = /^([BIES])(?:-(.*))?$/s.exec(label) ?? [];
    const continues = (tag === "I" || tag === "E") && open?.type === type;
    if (!continues) {
      close(i);
      if (tag !== "O") open = { type, start: i };
    }
    if (tag === "E" || tag === "S") close(i + 1);
  }
  close(labels.length);
  return spans;
}

/** Entities found, wrongly found, and missed. */
export interface SpanCounts {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
}

/** Counts entities that agree in type, start and end. */
export function countSpans(predicted: readonly Span[], expected: readonly Span[]): SpanCounts {
  const key = ({ type, start, end }: Span) => `${start}:${end}:${type}`;
  const wanted = new Set(expected.map(key));
  const truePositives = predicted.filter((span) => wanted.has(key(span))).length;
  return {
    truePositives,
    falsePositives: predicted.length - truePositives,
    falseNegatives: expected.length - truePositives,
  };
}

/** F1 of counted entities, 0…1; 0 where nothing was found and nothing was there, as seqeval has it. */
export function f1(counts: SpanCounts): number {
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn } = counts;
  return tp === 0 ? 0 : (2 * tp) / (2 * tp + fp + fn);
}

/** Cosine of two vectors, as products of unit vectors; 0 where one has no length. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? NaN;
    const y = b[i] ?? NaN;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}

/** Probabilities of logits. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const top = Math.max(...values);
  const weights = values.map((value) => Math.exp(value - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Place of the largest value, the first of equal ones; -1 for none. NaN is never the largest. */
export function argmax(values: ArrayLike<number>): number {
  let best = -1;
  let top = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? NaN;
    if (value > top || (best < 0 && value === top)) {
      best = i;
      top = value;
    }
  }
  return best;
}

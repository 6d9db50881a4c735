// How far a row of outputs is from a teacher's, as the losses of distillation have it: what training is scored by where there are no labels.
import type { RowValues } from "../tasks/task.js";
import type { LossTerm } from "../train/losses.js";

type Outputs = Readonly<Record<string, RowValues>>;

/**
 * Kullback and Leibler's divergence of probabilities, teacher first (a mean over tokens, or over start and end of a span), or the mean square of
 * differences. 0 for terms that have no teacher.
 */
export function divergence(term: LossTerm, teacher: Outputs, outputs: Outputs): number {
  const of = (name: string, each: Compare): number => {
    const [a, b] = [teacher[name], outputs[name]];
    if (a === undefined || b === undefined) throw new Error(`internal: no output "${name}"`);
    return each(a, b);
  };
  switch (term.kind) {
    case "soft":
      return of(term.output, (a, b) => alongLast(a, b, softmaxDivergence));
    case "soft-flags":
      return of(term.output, (a, b) => flagDivergence(a.data, b.data));
    case "soft-span": {
      const [start, end] = term.outputs;
      const each: Compare = (a, b) => softmaxDivergence(a.data, b.data);
      return (of(start, each) + of(end, each)) / 2;
    }
    case "match":
    case "match-pooled":
      return of(term.output, (a, b) => meanSquare(a.data, b.data));
    default:
      return 0;
  }
}

type Compare = (a: RowValues, b: RowValues) => number;
type CompareData = (a: Float32Array, b: Float32Array) => number;

/** The mean over all but the last axis. */
function alongLast(
  { data: a, dims }: RowValues,
  { data: b }: RowValues,
  each: CompareData,
): number {
  const width = dims.at(-1) ?? a.length;
  let sum = 0;
  for (let at = 0; at < a.length; at += width)
    sum += each(a.subarray(at, at + width), b.subarray(at, at + width));
  return sum / (a.length / width);
}

/** Σ p · (ln p − ln q) of p = eᵃ / Σ eᵃ and q = eᵇ / Σ eᵇ: Σ p · (a − b) − ln Σ eᵃ + ln Σ eᵇ. Vocabularies are long, so plain loops. */
function softmaxDivergence(a: Float32Array, b: Float32Array): number {
  const [mostA, mostB] = [largest(a), largest(b)];
  let [sumA, sumB, weighted] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    // Below the largest of each: what large logits have in common would take the digits away.
    const [left, right] = [(a[i] as number) - mostA, (b[i] as number) - mostB];
    const share = Math.exp(left);
    sumA += share;
    sumB += Math.exp(right);
    // A class at minus infinity has no part in it.
    if (share > 0) weighted += share * (left - right);
  }
  return weighted / sumA - Math.log(sumA) + Math.log(sumB);
}

function largest(values: Float32Array): number {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) most = Math.max(most, values[i] as number);
  return most;
}

function flagDivergence(a: Float32Array, b: Float32Array): number {
  const pair = (v: number): Float32Array => Float32Array.of(v, 0);
  return a.reduce((sum, v, i) => sum + softmaxDivergence(pair(v), pair(b[i] as number)), 0);
}

function meanSquare(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, v, i) => sum + (v - (b[i] as number)) ** 2, 0) / a.length;
}

// Distances between a teacher's outputs and a model's, against their definitions.
import fc from "fast-check";
import { expect, test } from "vitest";
import { divergence } from "./divergence.js";

const logits = (length: number) =>
  fc.array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: length, maxLength: length });
const pairs = fc.integer({ min: 2, max: 9 }).chain((n) => fc.tuple(logits(n), logits(n)));

const between = (a: readonly number[], b: readonly number[], dims = [a.length]): number => {
  const outputs = (list: readonly number[]) => ({ y: { data: Float32Array.from(list), dims } });
  const term = { kind: "soft", output: "y", over: "rows", temperature: 2 } as const;
  return divergence(term, outputs(a), outputs(b));
};

function softmax(list: readonly number[]): number[] {
  const most = Math.max(...list);
  const powers = list.map((v) => Math.exp(v - most));
  const sum = powers.reduce((x, y) => x + y, 0);
  return powers.map((v) => v / sum);
}

test("Kullback and Leibler's divergence of what the logits stand for", () => {
  fc.assert(
    fc.property(pairs, ([a, b]) => {
      const [p, q] = [softmax(a), softmax(b)];
      const expected = p.reduce(
        (sum, share, i) => sum + (share === 0 ? 0 : share * Math.log(share / (q[i] as number))),
        0,
      );
      expect(between(a, b)).toBeCloseTo(expected, 9);
      expect(between(a, a)).toBeCloseTo(0, 12);
      const moved = b.map((v) => v + 8);
      expect(between(a, moved)).toBeCloseTo(expected, 4);
    }),
  );
});

test("large logits that differ in nothing but a constant are no distance, and never less than none", () => {
  for (const far of [1e6, -1e6, 1e30, -1e30])
    expect(between([1, 2, 3], [far, far, far])).toBeGreaterThan(0.1);
  expect(between([1e6, 1e6 + 1], [1, 2])).toBeCloseTo(0, 6);
});

test("a mean over tokens; a class that is ruled out by both counts for nothing", () => {
  const one = between([1, 2], [2, 1]);
  expect(between([1, 2, 0, 0], [2, 1, 5, 5], [2, 2])).toBeCloseTo(one / 2, 12);
  expect(between([1, 2, -Infinity], [2, 1, -Infinity])).toBeCloseTo(one, 12);
});

test("scores and vectors: the mean square of differences", () => {
  const outputs = (...list: number[]) => ({ y: { data: Float32Array.from(list), dims: [2] } });
  const term = { kind: "match", output: "y", over: "rows" } as const;
  expect(divergence(term, outputs(1, 2), outputs(3, 3))).toBe(2.5);
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  accuracy,
  argmax,
  cosine,
  countSpans,
  f1,
  pearson,
  softmax,
  spansOf,
  spearman,
  type Span,
} from "./metrics.js";

const scores = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 3, maxLength: 30 });

describe("correlations", () => {
  const a = [1.5, 2, 2, 3.25, -1, 0.5, 7, 2];
  const b = [0.2, 1, 3, 3, -2, 0.1, 4, 0.9];

  test("are scipy's, ties included", () => {
    expect(pearson(a, b)).toBeCloseTo(0.8750993820706974, 14);
    expect(spearman(a, b)).toBeCloseTo(0.9572173526639411, 14);
    expect(spearman(a, b)).toBe(pearson([3, 5, 5, 7, 1, 2, 8, 5], [3, 5, 6.5, 6.5, 1, 2, 8, 4]));
  });

  test("stay within -1…1 and are symmetric", () => {
    fc.assert(
      fc.property(scores, (x) => {
        const y = x.map((value, i) => value * ((i % 3) - 1) + i);
        for (const r of [pearson(x, y), spearman(x, y)])
          if (!Number.isNaN(r)) expect(Math.abs(r)).toBeLessThanOrEqual(1);
        expect(pearson(y, x)).toBeCloseTo(pearson(x, y), 12);
      }),
    );
  });

  test("Pearson's keeps through scale and shift, Spearman's through anything that keeps the order", () => {
    fc.assert(
      fc.property(scores, (x) => {
        const y = x.map((value, i) => value + (i % 4));
        fc.pre(new Set(x).size > 1 && new Set(y).size > 1);
        const moved = x.map((value) => 3 * value - 7);
        expect(pearson(moved, y)).toBeCloseTo(pearson(x, y), 9);
        const cubes = x.map((value) => value ** 3);
        expect(spearman(cubes, y)).toBe(spearman(x, y));
      }),
    );
  });

  test("have no value where one side is constant or holds NaN", () => {
    expect(pearson([1, 1, 1], [1, 2, 3])).toBeNaN();
    expect(spearman([1, 2, 3], [4, 4, 4])).toBeNaN();
    expect(spearman([1, NaN, 3], [1, 2, 3])).toBeNaN();
    expect(pearson([1, NaN, 3], [1, 2, 3])).toBeNaN();
  });
});

describe("classes", () => {
  test("accuracy is the share of equal pairs", () => {
    expect(accuracy([0, 1, 1, 2], [0, 1, 0, 2])).toBe(0.75);
    expect(accuracy([], [])).toBeNaN();
  });

  test("argmax takes the first of equal values and never NaN", () => {
    expect(argmax([1, 3, 2])).toBe(1);
    expect(argmax([2, 5, 5])).toBe(1);
    expect(argmax([NaN, -1, NaN])).toBe(1);
    expect(argmax([-Infinity, -Infinity])).toBe(0);
    expect(argmax([NaN, NaN])).toBe(-1);
    expect(argmax([])).toBe(-1);
  });

  test("softmax gives probabilities, for large logits too", () => {
    expect(softmax([0, 0])).toEqual([0.5, 0.5]);
    expect(softmax([1000, 0])).toEqual([1, 0]);
    expect(softmax([1, 2, 3])[2]).toBeCloseTo(0.6652409557748218, 15);
  });

  test("cosine is 1 along, 0 across and 0 without a length", () => {
    expect(cosine([1, 2], [2, 4])).toBeCloseTo(1, 15);
    expect(cosine([1, 0], [0, 3])).toBe(0);
    expect(cosine([0, 0], [1, 1])).toBe(0);
  });
});

describe("entities", () => {
  const read = (labels: string) =>
    spansOf(labels.split(" ")).map(({ type, start, end }) => `${type} ${start}-${end}`);

  test("are read from BIO labels as seqeval reads them in its default mode", () => {
    expect(read("B-PER I-PER O B-LOC")).toEqual(["PER 0-2", "LOC 3-4"]);
    expect(read("B-PER B-PER")).toEqual(["PER 0-1", "PER 1-2"]);
    expect(read("O I-PER I-PER")).toEqual(["PER 1-3"]);
    expect(read("B-PER I-LOC O")).toEqual(["PER 0-1", "LOC 1-2"]);
    expect(read("S-PER B-LOC E-LOC I-LOC")).toEqual(["PER 0-1", "LOC 1-3", "LOC 3-4"]);
    expect(read("B-a-b I-a-b")).toEqual(["a-b 0-2"]);
    expect(read("O O")).toEqual([]);
  });

  test("the F1 of seqeval's own example is one half", () => {
    const expected = ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"];
    const predicted = ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"];
    const totals = { truePositives: 0, falsePositives: 0, falseNegatives: 0 };
    for (const [i, labels] of expected.entries()) {
      const counts = countSpans(
        spansOf((predicted[i] ?? "").split(" ")),
        spansOf(labels.split(" ")),
      );
      totals.truePositives += counts.truePositives;
      totals.falsePositives += counts.falsePositives;
      totals.falseNegatives += counts.falseNegatives;
    }
    expect(totals).toEqual({ truePositives: 1, falsePositives: 1, falseNegatives: 1 });
    expect(f1(totals)).toBe(0.5);
  });

  test("F1 is 0 where nothing was found, even if nothing was there", () => {
    expect(f1({ truePositives: 0, falsePositives: 0, falseNegatives: 0 })).toBe(0);
    expect(f1({ truePositives: 2, falsePositives: 1, falseNegatives: 0 })).toBe(0.8);
  });

  test("are those of seqeval's rules, whatever the labels", () => {
    const label = fc.constantFrom("O", ..."BIES".split("").flatMap((t) => [`${t}-x`, `${t}-y`]));
    fc.assert(
      fc.property(fc.array(label, { maxLength: 12 }), (labels) => {
        expect(spansOf(labels)).toEqual(conlleval(labels));
      }),
    );
  });

  /** seqeval's get_entities: where a chunk ends and where one begins, from two labels side by side. */
  function conlleval(labels: readonly string[]): Span[] {
    const split = (label = "O") => [label[0] ?? "O", label.slice(2)] as const;
    const ends = ([a, x]: readonly [string, string], [b, y]: readonly [string, string]) =>
      "ES".includes(a) || ("BI".includes(a) && "BSO".includes(b)) || (a !== "O" && x !== y);
    const begins = ([a, x]: readonly [string, string], [b, y]: readonly [string, string]) =>
      "BS".includes(b) || ("ESO".includes(a) && "EI".includes(b)) || (b !== "O" && x !== y);
    const spans: Span[] = [];
    let start = 0;
    for (let i = 0; i <= labels.length; i++) {
      const [before, now] = [split(i === 0 ? "O" : labels[i - 1]), split(labels[i])];
      if (ends(before, now)) spans.push({ type: before[1], start, end: i });
      if (begins(before, now)) start = i;
    }
    return spans;
  }
});

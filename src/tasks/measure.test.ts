// Expected values: scikit-learn 1.9, scipy 1.18 and seqeval 1.2.2 on the same numbers.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  countsOf,
  entityCounts,
  measuresOfClasses,
  measuresOfCounts,
  measuresOfScores,
  valuesOf,
  type Measure,
} from "./measure.js";

const near = (
  measures: readonly Measure[],
  expected: Record<string, number>,
  weights?: number[],
) => {
  for (const [name, value] of Object.entries(expected)) {
    const measure = measures.find((each) => each.name === name);
    expect(measure?.value(weights), name).toBeCloseTo(value, 14);
  }
};

describe("classes", () => {
  test("two: accuracy, F1 of class 1 and Matthews' correlation are scikit-learn's", () => {
    const measures = measuresOfClasses(
      [0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1],
      [0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1],
      2,
    );
    expect(measures.map(({ name }) => name)).toEqual(["accuracy", "f1", "matthews"]);
    near(measures, { accuracy: 0.75, f1: 0.7692307692307693, matthews: 0.50709255283711 });
  });

  test("more: the F1 is the mean of those of the classes, under weights as where rows are repeated", () => {
    const measures = measuresOfClasses(
      [0, 2, 2, 2, 1, 0, 3, 1, 2, 1, 1, 2],
      [0, 1, 2, 2, 1, 0, 3, 3, 2, 1, 0, 2],
      4,
    );
    near(measures, {
      accuracy: 0.75,
      "f1-macro": 0.7317460317460317,
      matthews: 0.6671798820364896,
    });
    near(
      measures,
      { accuracy: 11 / 12, "f1-macro": 0.7222222222222222, matthews: 0.8884955150986626 },
      [2, 0, 1, 1, 3, 1, 0, 1, 1, 1, 0, 1],
    );
  });

  test("a prediction without a class is wrong and harms no other class", () => {
    const measures = measuresOfClasses([-1, 1, 0], [0, 1, 0], 2);
    expect(valuesOf(measures)).toMatchObject({ accuracy: 2 / 3, f1: 1 });
    expect(measures[0]?.hits).toEqual(Uint8Array.of(0, 1, 1));
  });

  test("one class alone has no correlation", () => {
    expect(valuesOf(measuresOfClasses([1, 1], [1, 0], 2))["matthews"]).toBe(0);
  });
});

describe("scores", () => {
  const a = Float64Array.of(1.5, 2, 2, 3.25, -1, 0.5, 7, 2);
  const b = Float64Array.of(0.2, 1, 3, 3, -2, 0.1, 4, 0.9);

  test("correlations are scipy's, under weights as where rows are repeated", () => {
    const { pearson, spearman } = measuresOfScores(a, b);
    near([pearson, spearman], { pearson: 0.8750993820706974, spearman: 0.9572173526639411 });
    near(
      [pearson, spearman],
      { pearson: 0.8752830123470661, spearman: 0.951266237483665 },
      [1, 0, 2, 1, 1, 3, 0, 2],
    );
  });

  test("whatever the weights, they are those of the repeated rows", () => {
    const score = fc.integer({ min: -5, max: 5 });
    const rows = fc.array(fc.tuple(score, score, fc.nat({ max: 3 })), { minLength: 3 });
    fc.assert(
      fc.property(rows, (list) => {
        const column = (of: readonly (readonly [number, number, number])[], k: 0 | 1) =>
          Float64Array.from(of, (row) => row[k]);
        const repeated = list.flatMap((row) => Array.from({ length: row[2] }, () => row));
        const weighted = measuresOfScores(column(list, 0), column(list, 1));
        const plain = measuresOfScores(column(repeated, 0), column(repeated, 1));
        for (const name of ["pearson", "spearman"] as const) {
          const [got, wanted] = [
            weighted[name].value(list.map(([, , w]) => w)),
            plain[name].value(),
          ];
          if (Number.isNaN(wanted)) continue;
          expect(got).toBeCloseTo(wanted, 9);
        }
      }),
    );
  });

  test("NaN leaves no correlation", () => {
    const { pearson, spearman } = measuresOfScores(Float64Array.of(1, NaN, 3), a.slice(0, 3));
    expect([pearson.value(), spearman.value()]).toEqual([NaN, NaN]);
  });
});

test("entities are counted over all sentences, as seqeval does", () => {
  const expected = ["O B-PER I-PER O", "B-LOC O B-PER O", "B-ORG I-ORG I-ORG"];
  const predicted = ["O B-PER I-PER O", "B-LOC I-LOC B-PER B-LOC", "B-ORG I-ORG O"];
  const counts = countsOf(expected, 3, (labels) =>
    entityCounts((predicted[expected.indexOf(labels)] ?? "").split(" "), labels.split(" ")),
  );
  near(measuresOfCounts(counts), { f1: 0.4444444444444445, precision: 0.4, recall: 0.5 });
  expect(valuesOf(measuresOfCounts(new Float64Array(3)))).toEqual({
    f1: 0,
    precision: 0,
    recall: 0,
  });
});

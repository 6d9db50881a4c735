// Choosing a quantized model while it is trained: what labels refuse is passed over, the next best is not.
import { describe, expect, test } from "vitest";
import type { DataRecord } from "../data/records.js";
import { KeptAnswers } from "../evaluate/answers.js";
import type { LossTerm } from "../train/losses.js";
import type { Feeds, Session } from "../runtime/runtime.js";
import { textClassification } from "../tasks/text-classification.js";
import { beyond, byDivergence, byMetric, fewOf, holdOut, isCloser, HeldRows } from "./scoring.js";
import type { Scoring } from "../train/run.js";

interface QuantizedModel {
  readonly distance: number;
  readonly accuracy: number;
}

const quantizedModels = new Map<Session, QuantizedModel>();
function session(quantizedModel: QuantizedModel): Session {
  const made = { inputs: [], outputs: [] } as unknown as Session;
  quantizedModels.set(made, quantizedModel);
  return made;
}

function scoring(metric: string, of: (quantizedModel: QuantizedModel) => number): Scoring {
  const sign = metric === "accuracy" ? 1 : -1;
  return {
    metric,
    better: sign === 1 ? "higher" : "lower",
    digest: metric,
    score: (own) => Promise.resolve(sign * of(quantizedModels.get(own) as QuantizedModel)),
    shown: ({ step, value }) => ({ step, value: sign * value }),
  };
}

const closeness = scoring("divergence", ({ distance }) => distance);
const acceptance = scoring("accuracy", ({ accuracy }) => accuracy);

/** Scores of quantized models in an order that must be the order of their scores, and their distances as they are shown. */
async function ordered(
  judge: Scoring | undefined,
  start: QuantizedModel,
  order: readonly QuantizedModel[],
) {
  const { score, shown } = await beyond({ scoring: closeness, acceptance: judge }, session(start));
  const scores = await Promise.all(
    order.map((each) => score(session(each), each === start ? 0 : 1)),
  );
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(new Set(scores).size).toBe(order.length);
  for (const [i, { distance }] of order.entries())
    expect(shown({ step: 1, value: scores[i] as number }).value).toBeCloseTo(distance, 9);
}

const quantizedModel = (distance: number, accuracy: number): QuantizedModel => ({
  distance,
  accuracy,
});
const start = quantizedModel(0.5, 0.9);

test("of the quantized models that are no worse by the labels than the start, the closest counts", async () => {
  const better = [quantizedModel(0.3, 0.9), quantizedModel(0.39, 0.95)];
  const none = [quantizedModel(0.6, 0.8), quantizedModel(0.2, 0.89)];
  await ordered(acceptance, start, [...better, start, ...none]);
});

test("what is less than a fifth closer does not count, with labels to judge by and without", async () => {
  const order = [
    quantizedModel(0.39, 0.9),
    start,
    quantizedModel(0.51, 1),
    quantizedModel(0.42, 1),
  ];
  await ordered(acceptance, start, order);
  await ordered(undefined, start, order);
});

test("closer is what takes a fifth of the distance away", () => {
  expect(isCloser(0.8, 1)).toBe(true);
  expect(isCloser(0.81, 1)).toBe(false);
});

describe("records to choose by", () => {
  const records = (count: number): DataRecord[] =>
    Array.from({ length: count }, (_, i) => ({ text: `record ${i}` }));

  test("are a tenth of all, drawn by the seed; the others are trained on", () => {
    const all = records(250);
    const { train, held } = holdOut(all, 3);
    expect([train.length, held.length]).toEqual([225, 25]);
    expect(new Set([...train, ...held])).toEqual(new Set(all));
    expect(holdOut(all, 3).held).toEqual(held);
    expect(holdOut(all, 4).held).not.toEqual(held);
    // A draw, not the first or the last.
    const places = held.map((record) => all.indexOf(record));
    expect(Math.max(...places) - Math.min(...places)).toBeGreaterThan(100);
  });

  test("are a thousand at most, and eight at least", () => {
    expect(holdOut(records(12_000), 0).held).toHaveLength(1000);
    expect(holdOut(records(80), 0).held).toHaveLength(8);
    expect(() => holdOut(records(79), 0)).toThrow(/79 records.*at least 80/);
  });

  test("few of them are spread over all", () => {
    expect(fewOf(10, 4)).toEqual([0, 2, 5, 7]);
    expect(fewOf(3, 40)).toEqual([0, 1, 2]);
  });
});

describe("a score", () => {
  const logits = (rows: readonly (readonly number[])[]) =>
    ({
      inputs: [{ name: "x", dtype: "float32", shape: ["batch", 1] }],
      outputs: [{ name: "logits", dtype: "float32", shape: ["batch", 2] }],
      run: ({ x }: Feeds) => {
        const asked = Array.from(x?.data as Float32Array, (row) => rows[row] ?? []);
        const data = Float32Array.from(asked.flat());
        return Promise.resolve({ logits: { dtype: "float32", dims: [asked.length, 2], data } });
      },
      release: () => Promise.resolve(),
    }) as unknown as Session;
  const labels = [0, 1, 1, 0];
  const prepared = {
    task: textClassification(["a", "b"]),
    tokenizer: undefined,
    paths: [],
    records: labels.map((label, row) => ({
      label,
      inputs: { x: { dtype: "float32", dims: [1, 1], data: Float32Array.of(row) } } as const,
    })),
  };
  const teacher = logits([
    [2, 0],
    [0, 2],
    [1, 0],
    [3, 0],
  ]);

  const held = (terms: readonly LossTerm[]) =>
    new HeldRows(prepared, new KeptAnswers(teacher), { terms, outputs: ["logits"] });

  test("by a metric counts what is right; of equal ones the closer to the float model counts", async () => {
    const { score, shown, metric } = byMetric(held([]), prepared.task);
    expect(metric).toBe("accuracy");
    const same = await score(teacher, 1);
    const near = await score(
      logits([
        [1.9, 0],
        [0, 2],
        [1, 0],
        [3, 0],
      ]),
      1,
    );
    const far = await score(
      logits([
        [9, 0],
        [0, 1],
        [1, 0],
        [1, 0],
      ]),
      1,
    );
    const better = await score(
      logits([
        [9, 0],
        [0, 9],
        [0, 9],
        [9, 0],
      ]),
      1,
    );
    expect([better, same, near, far]).toEqual([better, same, near, far].toSorted((a, b) => b - a));
    expect(same).toBeGreaterThan(near);
    expect(near).toBeGreaterThan(far);
    expect(same - far).toBeLessThan(1e-5);
    for (const value of [same, near, far]) expect(shown({ step: 1, value }).value).toBe(0.75);
    expect(shown({ step: 1, value: NaN }).value).toBeNull();
  });

  test("by divergence is the mean over records of how far the outputs are", async () => {
    const term = { kind: "match", output: "logits", over: "rows" } as const;
    const { score, shown } = byDivergence(held([term]));
    const own = logits([
      [3, 0],
      [0, 2],
      [1, 2],
      [3, 0],
    ]);
    const value = await score(own, 1);
    expect(value).toBeCloseTo(-(0.5 + 2) / 4, 9);
    expect(shown({ step: 1, value }).value).toBeCloseTo(0.625, 9);
    expect(shown({ step: 1, value: -Infinity }).value).toBeNull();
  });
});

// Choosing an edition while it is trained: what labels refuse is passed over, the next best is not.
import { expect, test } from "vitest";
import type { Session } from "../runtime/runtime.js";
import { notBelow } from "./qat-scoring.js";
import type { Scoring } from "./training-run.js";

interface Edition {
  readonly distance: number;
  readonly accuracy: number;
}

const editions = new Map<Session, Edition>();
const edition = (distance: number, accuracy: number): Session => {
  const session = { inputs: [], outputs: [] } as unknown as Session;
  editions.set(session, { distance, accuracy });
  return session;
};

function scoring(metric: string, of: (edition: Edition) => number): Scoring {
  const sign = metric === "accuracy" ? 1 : -1;
  return {
    metric,
    better: sign === 1 ? "higher" : "lower",
    digest: metric,
    score: (session) => Promise.resolve(sign * of(editions.get(session) as Edition)),
    shown: ({ step, value }) => ({ step, value: sign * value }),
  };
}

const closeness = scoring("divergence", ({ distance }) => distance);
const guard = scoring("accuracy", ({ accuracy }) => accuracy);

test("of the editions that are no worse by the labels than the start, the closest counts", async () => {
  const start = edition(0.5, 0.9);
  const { score, shown } = await notBelow({ scoring: closeness, guard }, start);
  const order = [
    edition(0.3, 0.9),
    edition(0.4, 0.95),
    start,
    edition(0.6, 0.8),
    edition(0.2, 0.89),
  ];
  const scores = await Promise.all(order.map((session) => score(session)));
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(new Set(scores).size).toBe(order.length);
  const values = scores.map((value) => shown({ step: 1, value }).value);
  for (const [i, distance] of [0.3, 0.4, 0.5, 0.6, 0.2].entries())
    expect(values[i]).toBeCloseTo(distance, 9);
});

test("without labels to judge by, scores stay what they are", async () => {
  const plain = await notBelow({ scoring: closeness, guard: undefined }, edition(0.5, 0.9));
  expect(plain).toBe(closeness);
});

// Choosing an edition while it is trained: what labels refuse is passed over, the next best is not.
import { expect, test } from "vitest";
import type { Session } from "../runtime/runtime.js";
import { beyond } from "./scoring.js";
import type { Scoring } from "../train/run.js";

interface Edition {
  readonly distance: number;
  readonly accuracy: number;
}

const editions = new Map<Session, Edition>();
function session(edition: Edition): Session {
  const made = { inputs: [], outputs: [] } as unknown as Session;
  editions.set(made, edition);
  return made;
}

function scoring(metric: string, of: (edition: Edition) => number): Scoring {
  const sign = metric === "accuracy" ? 1 : -1;
  return {
    metric,
    better: sign === 1 ? "higher" : "lower",
    digest: metric,
    score: (own) => Promise.resolve(sign * of(editions.get(own) as Edition)),
    shown: ({ step, value }) => ({ step, value: sign * value }),
  };
}

const closeness = scoring("divergence", ({ distance }) => distance);
const guard = scoring("accuracy", ({ accuracy }) => accuracy);

/** Scores of editions in an order that must be the order of their scores, and their distances as they are shown. */
async function ordered(judge: Scoring | undefined, start: Edition, order: readonly Edition[]) {
  const { score, shown } = await beyond({ scoring: closeness, guard: judge }, session(start));
  const scores = await Promise.all(
    order.map((each) => score(session(each), each === start ? 0 : 1)),
  );
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(new Set(scores).size).toBe(order.length);
  for (const [i, { distance }] of order.entries())
    expect(shown({ step: 1, value: scores[i] as number }).value).toBeCloseTo(distance, 9);
}

const edition = (distance: number, accuracy: number): Edition => ({ distance, accuracy });
const start = edition(0.5, 0.9);

test("of the editions that are no worse by the labels than the start, the closest counts", async () => {
  const better = [edition(0.3, 0.9), edition(0.39, 0.95)];
  const none = [edition(0.6, 0.8), edition(0.2, 0.89)];
  await ordered(guard, start, [...better, start, ...none]);
});

test("what is less than a fifth closer does not count, with labels to judge by and without", async () => {
  const order = [edition(0.39, 0.9), start, edition(0.51, 1), edition(0.42, 1)];
  await ordered(guard, start, order);
  await ordered(undefined, start, order);
});

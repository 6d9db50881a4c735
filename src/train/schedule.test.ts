// The learning rate by the step.
import { expect, test } from "vitest";
import { rateFactor, type Schedule } from "./schedule.js";

const factors = (schedule: Schedule, steps: number, warmup: number): number[] =>
  Array.from({ length: steps }, (_, step) => rateFactor(step, { schedule, steps, warmup }));

test("the rate rises in equal steps, and is whole right after", () => {
  for (const schedule of ["constant", "linear", "cosine"] as const)
    expect(factors(schedule, 8, 3).slice(0, 4)).toEqual([0.25, 0.5, 0.75, 1]);
});

test("then it stays, or falls linearly or along a cosine, above 0 for the last step", () => {
  expect(factors("constant", 4, 0)).toEqual([1, 1, 1, 1]);
  expect(factors("linear", 4, 0)).toEqual([1, 0.75, 0.5, 0.25]);
  const cosine = factors("cosine", 4, 0);
  expect(cosine.map((x) => Number(x.toFixed(4)))).toEqual([1, 0.8536, 0.5, 0.1464]);
});

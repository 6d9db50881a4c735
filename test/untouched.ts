// Holds that a rewrite leaves a graph alone.
import { expect } from "vitest";
import type { Model } from "../src/graph/model.js";
import { print } from "../src/graph/print.js";
import { inferTypes } from "../src/ops/infer.js";

/** The rewrite counts no change, and the printed graph stays what it was. */
export function expectUntouched(model: Model, rewrite: (model: Model) => number): void {
  // Rewrites fill in types on their way: that is no change.
  inferTypes(model);
  const before = print(model);
  expect(rewrite(model)).toBe(0);
  expect(print(model)).toBe(before);
}

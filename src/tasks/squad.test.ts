// Expected values: SQuAD's own script (version 2.0) on the same answers.
import { expect, test } from "vitest";
import { answerScores, normalized } from "./squad.js";

test.each([
  ["the Eiffel Tower.", ["Eiffel Tower", "a tower in Paris"], true, 1],
  ["Denver Broncos won", ["Denver Broncos", "The Broncos"], false, 0.8],
  ["$1.5 billion", ["1.5 billion dollars"], false, 0.8],
  ["", ["a"], true, 1],
  ["none at all", [], false, 0],
  ["", [], true, 1],
  ["in 1990–1991", ["1990-1991", "1990"], false, 0],
  ["Naïve  THE\tcafé, an O'Neill", ["naïve café ONeill"], true, 1],
  ["to be to be", ["to be or not to be"], false, 0.8],
  ["theatre analyst", ["a theatre analyst"], true, 1],
] as const)("%j against %j", (answer, right, exact, f1) => {
  const scores = answerScores(answer, right);
  expect(scores.exact).toBe(exact);
  expect(scores.f1).toBeCloseTo(f1, 14);
});

test("articles are words of their own only", () => {
  expect(normalized("The atheist ate an ananas; Élan, thé")).toBe("atheist ate ananas élan thé");
});

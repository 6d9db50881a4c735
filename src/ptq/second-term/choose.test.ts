import { expect, test } from "vitest";
import { buildModel, noise } from "../../../test/build.js";
import { findSites, type LinearSite } from "../../quant/sites.js";
import { inferTypes } from "../../ops/infer.js";
import { worthSecondTerms } from "./choose.js";

/** Four layers 8 → 8, and one 8 → 32. */
function layers(): LinearSite[] {
  const model = buildModel((b) => {
    for (const [i, cols] of [8, 8, 8, 8, 32].entries()) {
      const weight = b.float(`w${i}`, [...noise(8 * cols)], [8, cols]);
      b.output(b.op(`y${i}`, "MatMul", [b.input(`x${i}`, ["n", 8]), weight]));
    }
  });
  inferTypes(model);
  return findSites(model).filter((site): site is LinearSite => site.kind === "linear");
}

const namesOf = (chosen: ReturnType<typeof worthSecondTerms>) =>
  chosen.flatMap(({ sites }) => sites.map(({ name }) => name));

test("the loudest come first, as many as the share of multiplications allows", () => {
  const all = layers();
  const candidates = all.map((site, i) => ({ sites: [site], noise: [1, 5, 3, 2, 9][i] as number }));
  // The loudest would take half of all multiplications.
  expect(namesOf(worthSecondTerms(candidates, all, 0.25))).toEqual(["w1", "w2"]);
  expect(namesOf(worthSecondTerms(candidates, all, 0.7))).toEqual(["w4", "w1"]);
  expect(worthSecondTerms(candidates, all, 0)).toEqual([]);
});

test("what makes hardly any noise is not worth a product", () => {
  const all = layers();
  const candidates = all.map((site, i) => ({ sites: [site], noise: i === 0 ? 1 : 0.001 }));
  expect(namesOf(worthSecondTerms(candidates, all, 1))).toEqual(["w0"]);
  const silent = all.map((site) => ({ sites: [site], noise: 0 }));
  expect(worthSecondTerms(silent, all, 1)).toEqual([]);
});

test("a hundredth of all noise is where it begins to be worth it", () => {
  const all = layers();
  const candidates = all.map((site, i) => ({
    sites: [site],
    noise: [0.9, 0.07, 0.011, 0.009, 0.01][i] as number,
  }));
  expect(namesOf(worthSecondTerms(candidates, all, 2))).toEqual(["w0", "w1", "w2"]);
});

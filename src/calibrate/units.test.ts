import fc from "fast-check";
import { expect, test } from "vitest";
import { hasUnit, missingOf, overlapOf, spansOf, spansText, withUnit } from "./units.js";

const set = fc.uniqueArray(fc.nat(30)).map((units) => new Set(units));
const spans = (units: Iterable<number>) => spansOf([...units].map((unit) => [unit, unit + 1]));
const unitsIn = (list: readonly (readonly [number, number])[]) =>
  list.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
const ascending = (units: Iterable<number>) => [...units].toSorted((a, b) => a - b);

test("ranges of units are the sets that they stand for", () => {
  fc.assert(
    fc.property(set, set, (a, b) => {
      expect(unitsIn(spans(a))).toEqual(ascending(a));
      expect(unitsIn(overlapOf(spans(a), spans(b)))).toEqual(
        ascending(a).filter((unit) => b.has(unit)),
      );
      expect(unitsIn(missingOf(spans(a), 31))).toEqual(
        Array.from({ length: 31 }, (_, i) => i).filter((unit) => !a.has(unit)),
      );
      expect([...b].reduce(withUnit, [])).toEqual(spans(b));
      for (const unit of b) expect(hasUnit(spans(a), unit)).toBe(a.has(unit));
    }),
  );
});

test("ranges read as a person counts", () => {
  expect(spansText(spans([0, 1, 2, 7]))).toBe("0–2, 7");
  expect(spansText(spans(Array.from({ length: 10 }, (_, i) => 2 * i)))).toBe(
    "0, 2, 4, 6, 8, 10, 12, 14 and 2 more ranges",
  );
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OptionError } from "../errors.js";
import { shardOf, unitsOf } from "./units.js";

const lengths = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 });
const size = fc.integer({ min: 1, max: 100 });

describe("units", () => {
  test("hold each row once, by length, within both limits", () => {
    fc.assert(
      fc.property(lengths, size, size, (list, tokens, rows) => {
        const units = unitsOf(list, { tokens, rows });
        const order = units.flat();
        expect(order.toSorted((a, b) => a - b)).toEqual(list.map((_, i) => i));
        expect(order.map((i) => list[i])).toEqual(list.toSorted((a, b) => a - b));
        for (const unit of units) {
          expect(unit.length).toBeGreaterThan(0);
          expect(unit.length).toBeLessThanOrEqual(rows);
          const longest = Math.max(...unit.map((i) => list[i] ?? NaN));
          expect(unit.length === 1 || unit.length * longest <= tokens).toBe(true);
        }
      }),
    );
  });

  test("rows of one length keep their order, a long row stands alone", () => {
    expect(unitsOf([2, 1, 2, 1, 9], { tokens: 4, rows: 8 })).toEqual([[1, 3], [0, 2], [4]]);
    expect(unitsOf([1, 1, 1], { tokens: Infinity, rows: 2 })).toEqual([[0, 1], [2]]);
    expect(unitsOf([], { tokens: 4, rows: 8 })).toEqual([]);
  });
});

describe("shards", () => {
  test("share the units: each is in exactly one", () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 9 }), (units, count) => {
        const shards = Array.from({ length: count }, (_, i) =>
          shardOf([...units.keys()], i, count),
        );
        expect(shards.flat().toSorted((a, b) => a - b)).toEqual([...units.keys()]);
        const sizes = shards.map((shard) => shard.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("that there are not are refused", () => {
    for (const [i, n] of [
      [2, 2],
      [-1, 2],
      [0, 0],
      [0.5, 2],
      [0, NaN],
    ] as const)
      expect(() => shardOf([1], i, n)).toThrow(OptionError);
  });
});

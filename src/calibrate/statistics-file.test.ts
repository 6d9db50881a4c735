import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noise } from "../../test/build.js";
import { StatisticsError } from "../errors.js";
import { observe } from "./observe.js";
import {
  emptyStatistics,
  mergeStatistics,
  parseStatistics,
  statisticsToJson,
  type Statistics,
} from "./statistics-file.js";
import { spansOf } from "./units.js";

const NAMES = ["a", "__proto__", "constructor"];
const FACTS = { model: "sha256:1", options: { samples: 8, seed: 0, maxLength: null }, units: 8 };

/** Statistics of some of the units of a sample of 8. */
function statisticsOf(units: readonly number[], facts = FACTS): Statistics {
  const empty = emptyStatistics(facts, NAMES);
  for (const [i, tensor] of [...empty.tensors.values()].entries())
    for (const unit of units)
      observe(
        tensor,
        noise(12, unit * 7 + i).map((x) => x * (unit + 1)),
        [4, 3],
        undefined,
        unit,
      );
  return { ...empty, covered: spansOf(units.map((unit) => [unit, unit + 1])) };
}

const ALL = [0, 1, 2, 3, 4, 5, 6, 7];
const text = statisticsToJson(statisticsOf(ALL));

describe("a statistics file", () => {
  test("is the same after it was read and written", () => {
    expect(statisticsToJson(parseStatistics(text))).toBe(text);
    const none = statisticsToJson(emptyStatistics(FACTS, NAMES));
    expect(statisticsToJson(parseStatistics(none))).toBe(none);
  });

  test("keeps names that objects treat in their own way", () => {
    const read = parseStatistics(text);
    expect([...read.tensors.keys()]).toEqual(["__proto__", "a", "constructor"]);
    expect(read.tensors.get("__proto__")?.count).toBe(8 * 12);
  });

  test("of any shards, merged in any order, is that of the whole run, to the byte", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(4), { minLength: 8, maxLength: 8 }),
        fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
        (shards, order) => {
          const files = order.map((shard) =>
            statisticsToJson(statisticsOf(ALL.filter((unit) => shards[unit] === shard))),
          );
          const parts = files.map((file) => parseStatistics(file));
          expect(statisticsToJson(mergeStatistics(parts, { complete: true }))).toBe(text);
          // The parts stay as they are.
          expect(parts.map(statisticsToJson)).toEqual(files);
        },
      ),
      { numRuns: 30 },
    );
  });

  const edited = (edit: (file: Record<string, unknown>) => void): string => {
    const file = JSON.parse(text) as Record<string, unknown>;
    edit(file);
    return JSON.stringify(file);
  };
  /** Edits the first tensor, or what is seen of it. */
  const tensor = (changes: object) =>
    edited((file) => Object.assign((file["tensors"] as object[])[0] ?? {}, changes));
  const seen = (changes: object) =>
    edited((file) => {
      const [first] = file["tensors"] as { seen: object }[];
      Object.assign(first?.seen ?? {}, changes);
    });
  const floats = Buffer.from(Float32Array.of(NaN, 0, 0).buffer).toString("base64");

  test.each([
    ["no JSON", "{", /not JSON/],
    ["another format", edited((file) => (file["format"] = "octavo-plan")), /format: .*plan/],
    ["another version", edited((file) => (file["version"] = 2)), /version: .*2/],
    ["a number as text", edited((file) => (file["units"] = "8")), /units: .*number/],
    ["a key nobody knows", edited((file) => (file["more"] = 1)), /more/],
    ["a count that is none", tensor({ count: 1e300 }), /count/],
    ["NaN, which JSON writes as null", seen({ min: null }), /min: .*null/],
    ["NaN within the bytes", seen({ even: { min: floats, max: floats } }), /extremes/],
    ["what is no base64", seen({ even: { min: "?", max: "?" } }), /base64/i],
    ["fewer channels than the shape has", tensor({ shape: [4, 2] }), /2 channels/],
    ["more channels than there can be", tensor({ shape: [4, 9e15] }), /channels/],
    ["another count than the histogram's", tensor({ count: 93 }), /histogram/],
    ["another min than the channels'", seen({ min: -1 }), /histogram/],
    ["no content where there is a count", tensor({ seen: undefined }), /count of 96/],
    ["no shape", tensor({ shape: undefined }), /channels|shape/],
    ["units beyond the last", edited((file) => (file["covered"] = [[0, 9]])), /none of the 8/],
    ["units that are not covered", edited((file) => (file["covered"] = [[0, 7]])), /units/],
    ["ranges out of order", edited((file) => (file["covered"] = [[4, 8], [0, 4]])), /order/], // prettier-ignore
    [
      "a tensor twice",
      edited((file) => (file["tensors"] as unknown[]).push((file["tensors"] as unknown[])[0])),
      /twice/,
    ],
  ])("with %s is an error that says so", (_, text, message) => {
    expect(() => parseStatistics(text, "stats.json")).toThrow(StatisticsError);
    expect(() => parseStatistics(text, "stats.json")).toThrow(message);
    expect(() => parseStatistics(text, "stats.json")).toThrow(/stats\.json/);
  });

  test("that is damaged anywhere never throws anything but StatisticsError", () => {
    fc.assert(
      fc.property(
        fc.nat(text.length - 1),
        fc.constantFrom("0", "A", "9", "-", '"', "{", "[", ",", "null", ""),
        (at, by) => {
          try {
            parseStatistics(text.slice(0, at) + by + text.slice(at + 1));
          } catch (error) {
            expect(error).toBeInstanceOf(StatisticsError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("merging refuses", () => {
  const merging =
    (...parts: Statistics[]) =>
    () =>
      mergeStatistics(parts, {
        complete: true,
        shardOf: (unit) => `${unit % 4}/4`,
      });
  const named = (source: string, units: number[], facts = FACTS) => ({
    ...statisticsOf(units, facts),
    source,
  });

  test("nothing at all", () => {
    expect(merging()).toThrow(StatisticsError);
  });

  test("another model, other options, other data, other tensors", () => {
    const a = named("a.json", [0, 1]);
    const withFacts = (facts: object) => named("b.json", [2, 3], { ...FACTS, ...facts });
    expect(merging(a, withFacts({ model: "sha256:2" }))).toThrow(
      /b\.json has model sha256:2\. Expected sha256:1 as a\.json has/,
    );
    expect(merging(a, withFacts({ options: { ...FACTS.options, seed: 1 } }))).toThrow(
      /b\.json has option seed 1\. Expected 0/,
    );
    expect(merging(a, withFacts({ options: { samples: 8, seed: 0 } }))).toThrow(
      /option maxLength none\. Expected null/,
    );
    expect(merging(a, withFacts({ units: 9 }))).toThrow(/number of units 9\. Expected 8/);
    const fewer = { ...a, covered: [], tensors: new Map(), source: "b.json" };
    expect(merging(a, fewer)).toThrow(/tensor "a" is in a\.json only/);
  });

  test("a unit that is in two files, and names both", () => {
    expect(merging(named("a.json", [0, 1]), named("b.json", [4]), named("c.json", [1, 4]))).toThrow(
      /unit 1 is in a\.json and in c\.json/,
    );
    const twice = named("a.json", [0, 1, 2]);
    expect(merging(twice, twice)).toThrow(/unit 0–2 is in a\.json and in a\.json/);
  });

  test("a sample that is not whole, and names the units and their shard", () => {
    expect(merging(named("a.json", [0, 2, 4, 6]), named("b.json", [1, 5]))).toThrow(
      /unit 3, 7 is missing \(shard 3\/4\)/,
    );
    expect(() => mergeStatistics([statisticsOf([0])])).not.toThrow();
  });
});

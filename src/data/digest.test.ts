import fc from "fast-check";
import { expect, test } from "vitest";
import { Digest } from "./digest.js";
import type { DataRecord } from "./records.js";

function digestOf(...records: DataRecord[]): string {
  const digest = new Digest();
  for (const record of records) digest.add(record);
  return digest.hex;
}

const feed = (name: string, ids: number[], dims = [ids.length]): DataRecord => ({
  inputs: { [name]: { dtype: "int64", dims, data: BigInt64Array.from(ids, BigInt) } },
});

test("the same records have the same digest, wherever they stand and whatever their labels are", () => {
  const a = digestOf({ text: "a", label: 1, place: { path: "x", line: 1 } }, { tokens: ["b"] });
  expect(a).toBe(digestOf({ text: "a" }, { tokens: ["b"], place: { path: "y", line: 7 } }));
  expect(a).toMatch(/^[0-9a-f]{16}$/);
});

test.each<[string, DataRecord[], DataRecord[]]>([
  ["order", [{ text: "a" }, { text: "b" }], [{ text: "b" }, { text: "a" }]],
  ["where one text ends", [{ text: "ab", textPair: "c" }], [{ text: "a", textPair: "bc" }]],
  ["where one record ends", [{ text: "a", textPair: "b" }], [{ text: "a" }, { text: "b" }]],
  ["words", [{ tokens: ["a", "b"] }], [{ tokens: ["a b"] }]],
  ["the names of feeds", [feed("a", [1])], [feed("b", [1])]],
  ["the dims of feeds", [feed("a", [1, 2])], [feed("a", [1, 2], [2, 1])]],
  ["the values of feeds", [feed("a", [1, 2])], [feed("a", [2, 1])]],
])("%s changes it", (_, one, other) => {
  expect(digestOf(...one)).not.toBe(digestOf(...other));
});

test("different texts have different digests", () => {
  const texts = fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 50 });
  fc.assert(
    fc.property(texts, (all) => {
      expect(new Set(all.map((text) => digestOf({ text }))).size).toBe(all.length);
    }),
  );
});

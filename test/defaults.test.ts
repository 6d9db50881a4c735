// Tuned numbers stand in the defaults of their technique, each with what it rests on; what `bench defaults` varies is there.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
/** The user's own, which are options with documents of their own. */
const OPTIONS = "options/";

const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => name.endsWith("/defaults.ts") && !name.startsWith(OPTIONS));

function numbersOf(file: string): { readonly name: string; readonly comment: string }[] {
  const text = readFileSync(join(root, "src", file), "utf8");
  const pattern = /(?:\/\*\*(?<comment>(?:(?!\*\/)[\s\S])*)\*\/\n)?^export const (?<name>\w+)\b/gm;
  return [...text.matchAll(pattern)].map(({ groups = {} }) => ({
    name: groups["name"] ?? "",
    comment: groups["comment"] ?? "",
  }));
}

test("each number in a defaults.ts says where it was measured, or that it was not", () => {
  const all = files.flatMap((file) => numbersOf(file).map((number) => ({ file, ...number })));
  expect(all.length).toBeGreaterThan(50);
  const silent = all.filter(({ comment }) => !/\bmeasured\b/i.test(comment));
  expect(silent.map(({ file, name }) => `${file} ${name}`)).toEqual([]);
});

test("each number that the bench of defaults varies is in the defaults of its folder", () => {
  const bench = readFileSync(join(root, "bench/defaults.ts"), "utf8");
  const varied = [...bench.matchAll(/"(?<folder>[a-z][\w/-]*)\/(?<name>[A-Z][A-Z_]+)"/g)];
  expect(varied.length).toBeGreaterThan(5);
  const unknown = varied.filter(
    ({ groups = {} }) =>
      !numbersOf(`${groups["folder"]}/defaults.ts`).some(({ name }) => name === groups["name"]),
  );
  expect(unknown.map(([place]) => place)).toEqual([]);
});

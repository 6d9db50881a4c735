// The pictures of docs/: the script that draws them runs, and the committed ones are those of today's code and model.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { pictures } from "../scripts/pictures.js";

const folder = fileURLToPath(new URL("../docs/pictures", import.meta.url));
const pages = ["THEORY", "ARCHITECTURE"]
  .map((name) => fileURLToPath(new URL(`../docs/${name}.md`, import.meta.url)))
  .map((path) => readFileSync(path, "utf8"))
  .join("\n");
/** Sums of floats differ in their last bits from CPU to CPU: a tenth of a pixel, a digit of a figure. */
const PIXELS = 1.5;
/** A code that falls to the other side takes those behind it along. */
const LOOSE: Readonly<Record<string, number>> = { rounding: 20 };

let drawn: Readonly<Record<string, string>> = {};
beforeAll(async () => {
  drawn = await pictures();
});

const committed = readdirSync(folder).map((file) => file.replace(/\.svg$/, ""));

test("all that are drawn are committed and shown, and no others", () => {
  expect(Object.keys(drawn).toSorted()).toEqual(committed.toSorted());
  for (const name of committed) expect(pages).toContain(`(pictures/${name}.svg)`);
});

describe.each(committed)("%s", (name) => {
  const file = readFileSync(`${folder}/${name}.svg`, "utf8");

  test("is what the script draws, up to the last bits of floats (npm run docs draws it)", () => {
    const numbers = /-?\d+(?:\.\d+)?/g;
    const now = drawn[name] ?? "";
    const [a, b] = [file, now].map((text) => text.match(numbers)?.map(Number) ?? []);
    expect(now.replaceAll(numbers, "#")).toBe(file.replaceAll(numbers, "#"));
    const farthest = Math.max(...(a ?? []).map((value, i) => Math.abs(value - (b?.[i] ?? NaN))));
    expect(farthest).toBeLessThan(LOOSE[name] ?? PIXELS);
  });

  test("stays within its frame", () => {
    const [, width = "", height = ""] = /viewBox="0 0 (\d+) (\d+)"/.exec(file) ?? [];
    for (const [, x = ""] of file.matchAll(/ (?:x|x1|x2|cx)="([^"]+)"/g)) {
      expect(Number(x)).toBeGreaterThanOrEqual(0);
      expect(Number(x)).toBeLessThanOrEqual(Number(width));
    }
    for (const [, y = ""] of file.matchAll(/ (?:y|y1|y2|cy)="([^"]+)"/g)) {
      expect(Number(y)).toBeGreaterThanOrEqual(0);
      expect(Number(y)).toBeLessThanOrEqual(Number(height));
    }
  });
});

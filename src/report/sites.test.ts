import fc from "fast-check";
import { expect, test } from "vitest";
import type { SiteReport } from "./report.js";
import { groupSites, totals } from "./sites.js";

const site = (name: string, more: Partial<SiteReport> = {}): SiteReport => ({
  name,
  kind: "linear",
  shape: [4, 4],
  runs: "int8",
  ...more,
});

const patterns = (...sites: SiteReport[]) =>
  groupSites(sites).map(({ pattern, count }) => `${count} ${pattern}`);

test("sites of all layers are one line, in the order of the first", () => {
  expect(
    patterns(
      site("embeddings"),
      ...[0, 1, 2].flatMap((i) => [site(`layer.${i}.query`), site(`layer.${i}.key`)]),
    ),
  ).toEqual(["1 embeddings", "3 layer.*.query", "3 layer.*.key"]);
});

test("sites that differ in shape, fate or reason stay apart", () => {
  expect(
    patterns(
      site("layer.0.out"),
      site("layer.1.out", { shape: [4, 8] }),
      site("layer.2.out", { runs: "float", reason: "excluded" }),
      site("layer.3.out", { runs: "float", reason: "too small" }),
    ),
  ).toEqual(["1 layer.0.out", "1 layer.1.out", "1 layer.2.out", "1 layer.3.out"]);
});

test("numbers that are the same in all stay, numbers within words too", () => {
  expect(patterns(site("group.0.layer.0.w1"), site("group.0.layer.1.w1"))).toEqual([
    "2 group.0.layer.*.w1",
  ]);
});

test("a weight that layers share counts once for each of its uses", () => {
  expect(patterns(site("layer.0.dense"), site("layer.0.dense#2"), site("layer.0.dense#3"))).toEqual(
    ["3 layer.0.dense*"],
  );
});

test("no site is lost, and the pattern of a group fits each of its sites", () => {
  const names = fc.stringMatching(/^(layer|block|dense)([._/]([0-3]|query|out)){0,3}([#_][1-9])?$/);
  fc.assert(
    fc.property(fc.uniqueArray(names, { minLength: 1, maxLength: 12 }), (list) => {
      const groups = groupSites(list.map((name) => site(name)));
      expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(list.length);
      for (const name of list) {
        const fitting = groups.filter(({ pattern }) => fits(pattern, name));
        expect(fitting.length, name).toBeGreaterThan(0);
      }
    }),
  );
});

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\/]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

test("totals count by where the sites run", () => {
  const sites = [site("a"), site("b", { runs: "stored" }), site("c", { runs: "float" }), site("d")];
  expect(totals(sites)).toEqual({ int8: 2, packed: 0, stored: 1, float: 1 });
});

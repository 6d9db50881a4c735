// Sites of a model in few lines: those of all layers together that have one name but for a number.
import type { SiteReport } from "./report.js";

export interface SiteGroup {
  /** The name with `*` where the sites differ; as a pattern it fits all of them. */
  readonly pattern: string;
  readonly count: number;
  /** The first of the sites: kind, shape, fate and reason are the same for all. */
  readonly site: SiteReport;
}

/** Groups of sites alike, in the order of their first. */
export function groupSites(sites: readonly SiteReport[]): SiteGroup[] {
  const groups = new Map<string, [SiteReport, ...SiteReport[]]>();
  for (const site of sites) {
    const { kind, shape, runs, reason } = site;
    const key = JSON.stringify([mask(site.name), kind, shape, runs, reason]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [site]);
    else group.push(site);
  }
  return [...groups.values()].map((group) => ({
    pattern: patternOf(group.map((site) => site.name)),
    count: group.length,
    site: group[0],
  }));
}

/** Numbers that stand alone, and the number that tells repeated names apart. */
const NUMBER = /(?<=^|[./_])\d+(?=[./_#]|$)/g;
const REPEATED = /[#_]\d+$/;

function mask(name: string): string {
  return name.replace(REPEATED, "").replaceAll(NUMBER, "*");
}

function patternOf(names: readonly string[]): string {
  const [first = ""] = names;
  if (names.every((name) => name === first)) return first;
  const stems = names.map((name) => name.replace(REPEATED, ""));
  const numbers = stems.map((stem) => stem.match(NUMBER) ?? []);
  let at = 0;
  const stem = (stems[0] ?? "").replaceAll(NUMBER, (number) => {
    const same = numbers.every((list) => list[at] === number);
    at++;
    return same ? number : "*";
  });
  const repeated = names.some((name, i) => name !== stems[i]);
  return repeated && !stem.endsWith("*") ? `${stem}*` : stem;
}

export interface SiteTotals {
  readonly int8: number;
  readonly packed: number;
  readonly stored: number;
  readonly float: number;
}

export function totals(sites: readonly SiteReport[]): SiteTotals {
  const count = (runs: SiteReport["runs"]) => sites.filter((site) => site.runs === runs).length;
  return {
    int8: count("int8"),
    packed: count("packed"),
    stored: count("stored"),
    float: count("float"),
  };
}

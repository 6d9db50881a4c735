// Sites and their fates as the report tells them.
import type { Dim } from "../graph/graph.js";
import type { Site } from "../quant/sites.js";
import type { SiteReport } from "../report/report.js";
import type { Fate } from "../targets/target.js";

export function siteReports(
  sites: readonly Site[],
  fates: ReadonlyMap<string, Fate>,
): SiteReport[] {
  return sites.map((site): SiteReport => {
    const fate = fates.get(site.name);
    if (fate === undefined) throw new Error(`internal: site "${site.name}" has no fate`);
    const { name, kind } = site;
    const reason = fate.runs === "int8" ? {} : { reason: fate.reason };
    return { name, kind, shape: shapeOf(site), runs: fate.runs, ...reason };
  });
}

function shapeOf(site: Site): readonly number[] {
  switch (site.kind) {
    case "linear":
      return [site.weight.rows, site.weight.cols];
    case "embedding":
      return [site.table.rows, site.table.cols];
    case "convolution":
      return (site.weight.shape ?? []).filter(isNumber);
    case "attention":
    case "residual":
    case "opaque":
      return [];
  }
}

function isNumber(dim: Dim): dim is number {
  return typeof dim === "number";
}

// Words for what reports hold, the same in a terminal and on a page.
import type { QuantizeReport, SiteReport } from "./report.js";

const REWRITES: Readonly<Record<string, string>> = {
  gelu: "GELU",
  "nan-guard": "NaN guard",
  residual: "residual",
  "attention-scale": "attention scale",
  outlier: "outlier channel",
};

export const RUNS: Readonly<Record<SiteReport["runs"], string>> = {
  int8: "INT8",
  packed: "packed weights",
  stored: "stored in INT8",
  float: "float",
};

const FORMS: Readonly<Record<string, string>> = {
  int4: "4-bit weights, float activations",
  "int8-only": "8-bit weights, float activations",
};

export function formOf({
  mode,
  weights,
  target,
}: Pick<QuantizeReport, "mode" | "weights" | "target">): string {
  return `${FORMS[weights] ?? `${mode} INT8`}, for target ${target}`.replace("INT8,", "INT8");
}

export function rewrites(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${REWRITES[name] ?? name} × ${count}`)
    .join(", ");
}

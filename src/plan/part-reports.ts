// Where the bytes of a model go, before and after: by what its constants are for.
import type { Value } from "../graph/graph.js";
import { BITS } from "../quant/blocks.js";
import type { Plan, SitePlan } from "../quant/plan.js";
import type { Site } from "../quant/sites.js";
import type { PartReport } from "../report/report.js";

const PARTS: Partial<Record<Site["kind"], PartReport["part"]>> = {
  embedding: "embeddings",
  linear: "linear layers",
  convolution: "convolutions",
};

/**
 * Bytes of the constants of sites: as the model holds them, and as the plan writes them (codes alone: scales count as the rest). A constant
 * that several sites share counts once before, and once for each form after. `sites`: not lowered yet.
 */
export function partsOf(
  sites: readonly Site[],
  plan: Plan,
  { fp16 }: { readonly fp16: boolean },
): (bytesBefore: number, bytesAfter: number) => PartReport[] {
  const sums = new Map<PartReport["part"], { before: number; after: number }>();
  const before = new Set<Value>();
  const after = new Map<Value, Set<string>>();
  for (const site of sites) {
    const part = PARTS[site.kind];
    const constant = constantOf(site);
    const bytes = constant?.tensor?.data.byteLength;
    if (part === undefined || constant === undefined || bytes === undefined) continue;
    const sum = sums.get(part) ?? { before: 0, after: 0 };
    sums.set(part, sum);
    if (!before.has(constant)) sum.before += bytes;
    before.add(constant);
    const form = formOf(plan.sites.get(site.name));
    const forms = after.get(constant) ?? new Set();
    const own = form === "float" ? "" : site.kind;
    if (!forms.has(form + own)) sum.after += bytesAs(form, constant, bytes, fp16);
    after.set(constant, forms.add(form + own));
  }
  return (bytesBefore, bytesAfter) => {
    const all = [...sums].map(([part, sum]) => ({
      part,
      bytesBefore: sum.before,
      bytesAfter: sum.after,
    }));
    const rest = (total: number, of: (part: PartReport) => number) =>
      Math.max(0, total - all.reduce((sum, part) => sum + of(part), 0));
    return [
      ...all,
      {
        part: "rest",
        bytesBefore: rest(bytesBefore, (part) => part.bytesBefore),
        bytesAfter: rest(bytesAfter, (part) => part.bytesAfter),
      },
    ];
  };
}

function constantOf(site: Site): Value | undefined {
  switch (site.kind) {
    case "linear":
      return site.weight.initializer;
    case "embedding":
      return site.table.initializer;
    case "convolution":
      return site.weight;
    case "attention":
    case "residual":
    case "opaque":
      return undefined;
  }
}

function formOf(plan: SitePlan | undefined): keyof typeof BITS | "float" {
  return plan?.quantize === true && plan.weight !== undefined ? plan.weight.dtype : "float";
}

function bytesAs(
  form: ReturnType<typeof formOf>,
  { tensor, dtype }: Value,
  bytes: number,
  fp16: boolean,
): number {
  if (form === "float") return fp16 && dtype === "float32" ? bytes / 2 : bytes;
  const elements = (tensor?.dims ?? []).reduce((product, dim) => product * dim, 1);
  return Math.ceil((elements * BITS[form]) / 8);
}

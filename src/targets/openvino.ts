// OpenVINO on CPUs: the Q/DQ placement that its compiler turns into INT8, without operators that it cannot fold.
import { PlanError } from "../errors.js";
import type { SitePlan } from "../quant/plan.js";
import type { AttentionSite, EmbeddingSite, LinearSite, Site } from "../quant/sites.js";
import { cpu, fateOf } from "./cpu.js";
import { lowerQdq } from "./lower-qdq.js";
import { lowerSites } from "./lower-sites.js";
import { proposeAttention, S8, U8 } from "./operand-plans.js";
import type { Fate, Target } from "./target.js";

export const openvino: Target = {
  name: "openvino",
  about: "OpenVINO on x86-64 CPUs",
  modes: ["static", "qat"],
  weightForms: ["int8"],
  secondTerms: true,
  rewrites: ["gelu", "nan-guard"],
  choices: { attention: ["none", "values", "all"] },
  opset: { static: 13, qat: 13 },
  propose(site, mode, options) {
    const inFloat = (reason: string): SitePlan => ({ kind: site.kind, quantize: false, reason });
    switch (site.kind) {
      case "attention":
        return proposeAttention(
          site,
          options,
          // With a zero point on either side the product stays in float.
          { probability: U8, other: S8 },
          "a product of two activations gains little speed and costs accuracy",
        );
      case "linear":
      case "embedding":
        return site.constantInput
          ? inFloat("no input reaches it: computed once, on loading")
          : cpu.propose(site, mode, options);
      case "residual":
        return inFloat("sums run in float on this target, in any form");
      default:
        return cpu.propose(site, mode, options);
    }
  },
  fate: fateInOpenvino,
  lower(model, sites, plan, weights) {
    const attention: AttentionSite[] = [];
    const others: (LinearSite | EmbeddingSite)[] = [];
    for (const site of sites) {
      const sitePlan = plan.sites.get(site.name);
      if (sitePlan?.quantize !== true) continue;
      fateInOpenvino(site, sitePlan);
      if (site.kind === "attention") attention.push(site);
      if (site.kind === "linear" || site.kind === "embedding") others.push(site);
    }
    lowerQdq(model, attention, plan);
    lowerSites(model, others, plan, weights);
  },
};

function fateInOpenvino(site: Site, plan: SitePlan): Fate {
  if (!plan.quantize || (site.kind !== "attention" && !site.constantInput))
    return fateOf(site, plan, openvino);
  if (site.kind !== "attention")
    throw new PlanError(
      `site "${site.name}" has no input that reaches it, and OpenVINO does not fold an INT8 path of constants; set "quantize": false`,
    );
  for (const spec of [plan.activation, plan.second]) {
    const known = spec !== undefined && spec.range !== "dynamic" ? spec.range : undefined;
    if (known === undefined || (spec?.symmetric !== true && known.min < 0))
      throw new PlanError(
        `site "${site.name}" needs an "activation" and a "second" without a zero point on target openvino: "symmetric": true, or a range from 0`,
      );
  }
  return { runs: "int8" };
}

// TensorRT on Nvidia GPUs: explicit quantization, symmetric INT8 throughout, and what its builder fuses.
import { PlanError } from "../errors.js";
import type { Value } from "../graph/graph.js";
import type { ActivationSpec, SitePlan } from "../quant/plan.js";
import type { AttentionSite, LinearSite, ResidualSite, Site } from "../quant/sites.js";
import { lintTensorrt } from "./lint-tensorrt.js";
import { lowerQdq, withSharedRanges } from "./lower-qdq.js";
import { proposeAttention, proposeResidual, S8 } from "./operand-plans.js";
import type { Fate, LoweringOptions, Target } from "./target.js";
import { PER_CHANNEL, takesWeight, channelWeight } from "./weight-forms.js";
import { trtexecCommand } from "./trtexec.js";

/** INT8 kernels need sides of at least this. */
const SMALLEST_SIDE = 16;

export const tensorrt: Target = {
  name: "tensorrt",
  about: "TensorRT on Nvidia GPUs, as explicit Q/DQ",
  modes: ["static", "qat"],
  weightForms: ["int8"],
  secondTerms: false,
  rewrites: ["nan-guard", "attention-scale"],
  choices: { attention: ["none", "all"], residual: ["skip", "none", "both"], fp16: true },
  opset: { static: 13, qat: 13 },
  propose(site, _mode, options) {
    const reason = whyFloat(site);
    if (reason !== undefined) return { kind: site.kind, quantize: false, reason };
    switch (site.kind) {
      case "attention":
        return proposeAttention(
          site,
          options,
          { probability: S8, other: S8 },
          "a mask is added between the two products, where TensorRT gains little and accuracy is lost",
        );
      case "residual":
        return proposeResidual(site, options, S8);
      default:
        return proposeLinear(site, options);
    }
  },
  fate(site, plan): Fate {
    if (!plan.quantize) return { runs: "float", reason: plan.reason };
    checkLegal(site, plan);
    return { runs: "int8" };
  },
  lint: lintTensorrt,
  settle: withSharedRanges,
  lower(model, sites, plan, weights) {
    const chosen = sites.filter((site): site is LinearSite | AttentionSite | ResidualSite => {
      const sitePlan = plan.sites.get(site.name);
      if (sitePlan?.quantize !== true) return false;
      checkLegal(site, sitePlan);
      return true;
    });
    lowerQdq(model, chosen, withSharedRanges(chosen, plan), weights);
  },
  command: trtexecCommand,
};

function proposeLinear(site: Site, { rangeOf, ...options }: LoweringOptions): SitePlan {
  const range = rangeOf?.(site, "activation", S8);
  if (range === undefined)
    return { kind: site.kind, quantize: false, reason: "calibration saw no value of its input" };
  return {
    kind: site.kind,
    quantize: true,
    weight: channelWeight(options),
    activation: { ...S8, range },
  };
}

function whyFloat(site: Site): string | undefined {
  switch (site.kind) {
    case "linear": {
      const { rows, cols } = site.weight;
      if (site.constantInput)
        return "no input reaches it: computed once, while the engine is built";
      if (Math.min(rows, cols) < SMALLEST_SIDE) return `too small to gain (${rows} × ${cols})`;
      return rowsOf(site.output) === 1 ? "a single row: INT8 gains nothing" : undefined;
    }
    case "attention": {
      const [m, k] = [site.left.shape?.at(-2), site.left.shape?.at(-1)];
      const n = site.right.shape?.at(-1);
      if (m === 1 || n === 1) return "a product with a vector: INT8 gains nothing";
      const small = [k, n].some((dim) => typeof dim === "number" && dim < SMALLEST_SIDE);
      return small ? `too small to gain (${k ?? "?"} × ${n ?? "?"})` : undefined;
    }
    case "residual":
      return undefined;
    case "embedding":
      return "a lookup copies rows: INT8 gains nothing on a GPU";
    case "convolution":
      return "convolutions stay in float on this target";
    case "opaque":
      return site.reason;
  }
}

/** Rows of a product's result, where all its dims are known. */
function rowsOf({ shape }: Value): number | undefined {
  let rows = 1;
  for (const dim of shape?.slice(0, -1) ?? [null]) {
    if (typeof dim !== "number") return undefined;
    rows *= dim;
  }
  return rows;
}

function checkLegal(site: Site, plan: SitePlan & { quantize: true }): void {
  const { weight, activation, second } = plan;
  const wrong = (what: string): never => {
    throw new PlanError(`site "${site.name}" ${what} on target tensorrt`);
  };
  for (const spec of [activation, second]) if (spec !== undefined && !isLegal(spec)) wrong(NEEDED);
  if (activation === undefined) wrong('needs an "activation"');
  switch (site.kind) {
    case "linear":
      if (weight === undefined) wrong('needs a "weight"');
      if (!takesWeight(tensorrt, weight)) wrong(PER_CHANNEL);
      if (second !== undefined) wrong('takes no "second"');
      if (site.constantInput)
        wrong("has nothing to quantize, no input reaches it; it stays in float");
      return;
    case "attention":
      if (second === undefined) wrong('needs a "second": both operands are quantized or none');
      return;
    case "residual":
      return;
    default:
      wrong(`is of kind ${site.kind}, which stays in float; set "quantize": false`);
  }
}

const NEEDED = 'needs ranges found beforehand with "dtype": "int8" and "symmetric": true';

function isLegal({ dtype, symmetric, range }: ActivationSpec): boolean {
  return dtype === "int8" && symmetric === true && range !== "dynamic";
}

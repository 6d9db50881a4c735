// onnxruntime's CPU provider: which sites gain from 8 bits there, and the forms that it turns into integer kernels.
import { PlanError } from "../errors.js";
import {
  WEIGHT_FORMS,
  type ActivationSpec,
  type BlockWeight,
  type Mode,
  type SitePlan,
} from "../quant/plan.js";
import { BITS } from "../quant/blocks.js";
import { FULL_RANGE } from "../quant/scales.js";
import type { AttentionSite, EmbeddingSite, Site } from "../quant/sites.js";
import { lintCpu } from "./lint-cpu.js";
import { blockWeight, PER_CHANNEL, takesWeight, channelWeight } from "./weight-forms.js";
import { lowerSites } from "./lower-sites.js";
import { lowerQdq } from "./lower-qdq.js";
import { proposeAttention, U8 } from "./operand-plans.js";
import type { Fate, LoweringOptions, Target } from "./target.js";

interface Smallest {
  /** Below this many inputs or outputs a product is all overhead (a classifier's two logits), and its error reaches the output unmixed. */
  readonly side: number;
  /** Tables with fewer elements (segment embeddings) are not worth two more operators. */
  readonly table: number;
}
const GAINING: Smallest = { side: 16, table: 4096 };
const ANY: Smallest = { side: 3, table: 1 };

const COMPUTED_ONCE = "no input reaches it: computed once, on loading";
const UNSEEN = "calibration saw no value of its input";
const ROWS_DEQUANTIZED = "rows are looked up in INT8 and scaled";

export const cpu: Target = {
  name: "cpu",
  about: "onnxruntime on CPUs (x86-64, ARM64)",
  modes: ["dynamic", "static", "qat"],
  runsInHost: true,
  weightForms: WEIGHT_FORMS,
  secondTerms: true,
  rewrites: ["gelu", "nan-guard", "residual"],
  choices: { attention: ["none", "values", "all"] },
  opset: { dynamic: 11, static: 13, qat: 13 },
  propose(site, mode, options) {
    if (site.kind === "attention") {
      const reason =
        mode === "dynamic"
          ? "a product of two activations gains nothing with ranges found at run time"
          : "a product of two activations gains no speed and costs accuracy";
      return proposeAttention(site, options, { probability: U8, other: U8 }, reason);
    }
    const reason = whyFloat(site, mode, options);
    if (reason !== undefined) return { kind: site.kind, quantize: false, reason };
    const { weights = "int8", weightRange, blockSize: block } = options;
    if (site.kind === "linear" && weights !== "int8") {
      const weight = blockWeight(weights, site.weight.rows, { block, range: weightRange });
      return { kind: site.kind, quantize: true, weight };
    }
    const weight = channelWeight(options, weightOnly(site) ? FULL_RANGE : undefined);
    if (site.kind === "embedding" && fitsBlocks(site))
      return { kind: site.kind, quantize: true, weight: { ...weight, block: TABLE_BLOCK } };
    if (weightOnly(site)) return { kind: site.kind, quantize: true, weight };
    const range = mode === "dynamic" ? mode : options.rangeOf?.(site);
    if (range === undefined) return { kind: site.kind, quantize: false, reason: UNSEEN };
    const activation = { dtype: "uint8", granularity: "per-tensor", range } as const;
    return { kind: site.kind, quantize: true, weight, activation };
  },
  fate(site, plan) {
    return fateOf(site, plan, this);
  },
  lint: lintCpu,
  lower(model, sites, plan, weights) {
    const chosen = sites.filter((site) => {
      const sitePlan = plan.sites.get(site.name);
      if (sitePlan?.quantize !== true) return false;
      checkLegal(site, sitePlan, this);
      if (plan.mode === "dynamic" && site.kind === "attention")
        throw new PlanError(`site "${site.name}" stays in float in mode dynamic`);
      return true;
    });
    const ofKind = <Kind extends Site["kind"]>(...kinds: readonly Kind[]) =>
      chosen.filter((site): site is Extract<Site, { kind: Kind }> => isIn(site.kind, kinds));
    lowerQdq(model, ofKind("attention"), plan);
    lowerSites(model, ofKind("linear", "embedding"), plan, weights);
  },
};

/** Values of a row of a table that share a scale: 3 dB closer than a scale per row, for an eighth more bytes. */
const TABLE_BLOCK = 32;

/** Whether a row of the table can be cut into blocks where it is looked up. */
function fitsBlocks({ table, tied, indices }: EmbeddingSite, block = TABLE_BLOCK): boolean {
  return (
    !tied &&
    !table.transposed &&
    table.cols > block &&
    table.cols % block === 0 &&
    indices.rank !== undefined
  );
}

function packedAs({ dtype, block }: BlockWeight): string {
  return `${BITS[dtype]}-bit weights in blocks of ${block}, float activations: kernel MatMulNBits`;
}

/** Sites whose activation never becomes 8 bits. */
function weightOnly(site: Site): boolean {
  return site.kind === "embedding" || site.constantInput;
}

function whyFloat(
  site: Exclude<Site, AttentionSite>,
  mode: Mode,
  options: LoweringOptions,
): string | undefined {
  const smallest = options.small === true ? ANY : GAINING;
  switch (site.kind) {
    case "linear": {
      const { rows, cols } = site.weight;
      return Math.min(rows, cols) < smallest.side
        ? `too small to gain (${rows} × ${cols})`
        : undefined;
    }
    case "embedding": {
      const { rows, cols } = site.table;
      if (!options.embeddings) return "embeddings are switched off";
      return cols < smallest.side || rows * cols < smallest.table
        ? `too small to gain (${rows} × ${cols})`
        : undefined;
    }
    case "residual":
      return "a sum in 8 bits gains no speed and costs accuracy";
    case "convolution":
      return mode === "dynamic"
        ? "convolutions are slower with ranges found at run time"
        : "convolutions stay in float on this target";
    case "opaque":
      return site.reason;
  }
}

function isIn<Item extends string>(item: string, items: readonly Item[]): item is Item {
  return items.some((one) => one === item);
}

/** For targets that run layers and tables as onnxruntime does. */
export function fateOf(site: Site, plan: SitePlan, target: Target): Fate {
  if (!plan.quantize) return { runs: "float", reason: plan.reason };
  checkLegal(site, plan, target);
  if (site.kind === "embedding") return { runs: "stored", reason: ROWS_DEQUANTIZED };
  const { weight } = plan;
  if (weight?.granularity === "block-wise") return { runs: "packed", reason: packedAs(weight) };
  return weightOnly(site) ? { runs: "stored", reason: COMPUTED_ONCE } : { runs: "int8" };
}

function checkLegal(site: Site, plan: SitePlan & { quantize: true }, target: Target): void {
  const { weight, activation, second } = plan;
  const wrong = (what: string): never => {
    throw new PlanError(`site "${site.name}" ${what} on target ${target.name}`);
  };
  const isFree = (spec: ActivationSpec | undefined) =>
    spec?.dtype === "uint8" && spec.symmetric !== true;
  if (site.kind === "attention") {
    for (const spec of [activation, second])
      if (!isFree(spec) || spec?.range === "dynamic")
        wrong('needs "activation" and "second" of "dtype": "uint8" with ranges found beforehand');
    return;
  }
  if (site.kind !== "linear" && site.kind !== "embedding")
    throw new PlanError(
      `site "${site.name}" is ${site.kind === "opaque" ? "a product" : `a ${site.kind}`} that target ${target.name} keeps in float; set "quantize": false`,
    );
  const inBlocks = weight?.granularity === "block-wise";
  if (weight === undefined) wrong('needs a "weight"');
  if (second !== undefined) wrong('takes no "second"');
  if (inBlocks && site.kind === "embedding")
    wrong('is a table, whose rows need a weight with "granularity": "per-channel"');
  if (weight?.granularity === "per-channel" && weight.block !== undefined) {
    if (site.kind !== "embedding") wrong('takes no "block": only the rows of a table are cut');
    else if (!fitsBlocks(site, weight.block))
      wrong(`cannot cut its rows into blocks of ${weight.block}`);
  }
  if (!takesWeight(target, weight)) wrong(PER_CHANNEL);
  const needed = !weightOnly(site) && !inBlocks;
  if (needed !== (activation !== undefined))
    wrong(
      needed
        ? 'needs an "activation"'
        : `takes no "activation"${inBlocks ? " with weights in blocks" : ""}`,
    );
  if (needed && !isFree(activation)) wrong('needs "dtype": "uint8" with a free zero point');
}

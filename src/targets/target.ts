// What a target is: where the model will run, hence what is legal, how it is lowered, and what will run in INT8 there.
import type { Model } from "../graph/model.js";
import type { Mode, Plan, Range, SitePlan, WeightForm, WeightRange } from "../quant/plan.js";
import type { RoundedWeights } from "../quant/rounded.js";
import type { Site } from "../quant/sites.js";
import type { Finding } from "./lint.js";

/** Exact float rewrites that a runtime profits from; the pipeline knows the passes by these names. */
export type Rewrite = "gelu" | "nan-guard" | "residual";

/** What the user may choose. */
export interface LoweringOptions {
  /** Codes of weights within ±64: for x86 CPUs without VNNI, whose 8-bit products saturate. */
  readonly reduceRange: boolean;
  /** How weights of products are written; INT8 with 8-bit activations where left out. */
  readonly weights?: WeightForm | undefined;
  /** What scales of weights span; all values where left out. */
  readonly weightRange?: WeightRange | undefined;
  /** Values along K that share a scale, for weights in blocks. */
  readonly blockSize?: number | undefined;
  /** Store embedding tables in INT8. */
  readonly embeddings: boolean;
  /** The calibrated range of a site's activation; undefined where none was seen. For static. */
  readonly rangeOf?: ((site: Site) => Range | undefined) | undefined;
  /** Take sites, too, that are too small to gain. */
  readonly small?: boolean;
}

/** Where a site will run. */
export type Fate =
  /** An integer kernel. */
  | { readonly runs: "int8" }
  /** Weights of few bits that a kernel reads as they are, activations in float. */
  | { readonly runs: "packed"; readonly reason: string }
  /** 8 bits in the file, floats at run time (an embedding row, a product of constants). */
  | { readonly runs: "stored"; readonly reason: string }
  | { readonly runs: "float"; readonly reason: string };

export interface Target {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  readonly modes: readonly Mode[];
  /** Forms of weights that it writes. */
  readonly weightForms: readonly WeightForm[];
  readonly rewrites: readonly Rewrite[];
  /** Lowest version of the default operator set that the lowered form needs. */
  readonly opset: Partial<Record<Mode, number>>;
  /** The default plan of one site. */
  propose(site: Site, mode: Mode, options: LoweringOptions): SitePlan;
  /** What will become of a site under a plan; throws PlanError where the plan asks for what the target has not. */
  fate(site: Site, plan: SitePlan): Fate;
  /** Where each product and look-up of a model that is quantized already runs; absent where the target cannot tell. Types must have been inferred. */
  readonly lint?: (model: Model) => readonly Finding[];
  /** Writes the plan into the graph. Weights are read when the result is written, one at a time. */
  lower(model: Model, sites: readonly Site[], plan: Plan, weights?: RoundedWeights): void;
}

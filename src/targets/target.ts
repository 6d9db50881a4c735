// What a target is: where the model will run, hence what is legal, how it is lowered, and what will run in INT8 there.
import type { Model } from "../graph/model.js";
import type { Operand } from "../quant/operands.js";
import type {
  ActivationSpec,
  Mode,
  Plan,
  Range,
  SitePlan,
  WeightForm,
  WeightRange,
} from "../quant/plan.js";
import type { RoundedWeights } from "../quant/rounded.js";
import type { Site } from "../quant/sites.js";
import type { Finding } from "./lint.js";

/** Exact float rewrites that a runtime profits from; the pipeline knows the passes by these names. */
export type Rewrite = "gelu" | "nan-guard" | "residual" | "attention-scale";

/** Which products of two activations run in 8 bits: none, those of probabilities with the values, all. */
export const ATTENTION = ["none", "values", "all"] as const;
export type AttentionChoice = (typeof ATTENTION)[number];

/** Which operands of residual sums are 8 bits: none, what goes around the block, both. */
export const RESIDUAL = ["none", "skip", "both"] as const;
export type ResidualChoice = (typeof RESIDUAL)[number];

/** What a target lets the user choose beside the sites: the first of each list is the default; absent where there is no choice. */
export interface TargetChoices {
  readonly attention?: readonly [AttentionChoice, ...AttentionChoice[]];
  readonly residual?: readonly [ResidualChoice, ...ResidualChoice[]];
  /** The float rest may be written in FP16. */
  readonly fp16?: true;
}

/** What was chosen. */
export interface Choices {
  readonly attention: AttentionChoice;
  readonly residual: ResidualChoice;
  readonly fp16: boolean;
}

/** What the user may choose. */
export interface LoweringOptions extends Partial<Choices> {
  /** Codes of weights within ±64: for x86 CPUs without VNNI, whose 8-bit products saturate. */
  readonly reduceRange: boolean;
  /** Bits that codes of products' weights use, of the 8 that they are stored in; 8 where left out. */
  readonly weightBits?: number | undefined;
  /** How weights of products are written; INT8 with 8-bit activations where left out. */
  readonly weights?: WeightForm | undefined;
  /** What scales of weights span; all values where left out. */
  readonly weightRange?: WeightRange | undefined;
  /** Values along K that share a scale, for weights in blocks. */
  readonly blockSize?: number | undefined;
  /** Store embedding tables in INT8. */
  readonly embeddings: boolean;
  /** The calibrated range of an operand of a site, its activation by default, for codes of that form, with a free zero point by default; undefined where none was seen. For static. */
  readonly rangeOf?:
    | ((
        site: Site,
        operand?: Operand,
        form?: Pick<ActivationSpec, "symmetric">,
      ) => Range | undefined)
    | undefined;
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

/** The dims of each input that is fed, by name, for a batch of texts of a length; 0 tokens of earlier runs are never asked for. */
export type DimsOf = (size: {
  readonly batch: number;
  readonly length: number;
}) => Readonly<Record<string, readonly number[]>>;

export interface WrittenModel {
  readonly path: string;
  readonly dimsOf: DimsOf;
  readonly fp16: boolean;
  /** Rows of the largest batch; default: what is usual. */
  readonly maxBatch?: number | undefined;
}

export interface Target {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  readonly modes: readonly Mode[];
  /** Whether its quantized models run as they are checked: on a CPU like this one, in the same runtime. */
  readonly runsInHost?: boolean;
  /** Whether an activation may have a second term. */
  readonly secondTerms: boolean;
  /** Forms of weights that it writes. */
  readonly weightForms: readonly WeightForm[];
  readonly rewrites: readonly Rewrite[];
  /** In static mode; with ranges found at run time there is nothing to choose. */
  readonly choices?: TargetChoices;
  /** Lowest version of the default operator set that the lowered form needs. */
  readonly opset: Partial<Record<Mode, number>>;
  /** The default plan of one site. */
  propose(site: Site, mode: Mode, options: LoweringOptions): SitePlan;
  /** What will become of a site under a plan; throws PlanError where the plan asks for what the target has not. */
  fate(site: Site, plan: SitePlan): Fate;
  /** Where each product and look-up of a model that is quantized already runs; absent where the target cannot tell. Types must have been inferred. */
  readonly lint?: (model: Model) => readonly Finding[];
  /** The plan as it is lowered, where that is not the plan as it is: training must see it so. */
  settle?(sites: readonly Site[], plan: Plan): Plan;
  /** Writes the plan into the graph. Weights are read when the result is written, one at a time. */
  lower(model: Model, sites: readonly Site[], plan: Plan, weights?: RoundedWeights): void;
  /** The command that makes what the runtime loads out of the file, where it does not load the file itself. */
  command?(quantizedModel: WrittenModel): string;
}

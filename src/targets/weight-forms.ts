// Forms of weights: what a form needs of the target and the mode, and how a product's weight is written in it.
import { UnsupportedError } from "../errors.js";
import type { Value } from "../graph/graph.js";
import { COARSE } from "../quant/defaults.js";
import {
  BLOCK_SIZES,
  type BlockWeight,
  type Mode,
  type Plan,
  type WeightForm,
  type WeightRange,
  type WeightSpec,
} from "../quant/plan.js";
import type { MatrixFormat } from "../quant/quantized-matrix.js";
import { FULL_RANGE, REDUCED_RANGE } from "../quant/scales.js";
import type { Site } from "../quant/sites.js";
import type { LoweringOptions, Target } from "./target.js";

/** Values per scale. Four bits gain 3 dB and more by 32; eight are close anyway, and run faster by 128. */
const BLOCK = { int4: 32, "int8-only": 128 } as const;

/** Throws UnsupportedError, which says what to use instead. */
export function requireWeightForm(target: Target, mode: Mode, form: WeightForm): void {
  if (form === "int8") return;
  if (!target.weightForms.includes(form))
    throw new UnsupportedError(
      `--weights ${form} with --target ${target.name}`,
      "this version of Octavo does not write that form for it",
      "Use --target cpu, or --weights int8.",
    );
  if (mode !== "dynamic")
    throw new UnsupportedError(
      `--weights ${form} with --mode ${mode}`,
      "its activations stay in float, so there are no ranges to find",
      `Leave --mode out, or use --weights int8 with --mode ${mode}.`,
    );
}

/** The largest code of a product's weight. */
function weightLimit({
  reduceRange,
  weightBits = 8,
}: Pick<LoweringOptions, "reduceRange" | "weightBits">): number {
  return Math.min(2 ** (weightBits - 1) - 1, reduceRange ? REDUCED_RANGE : FULL_RANGE);
}

/** A weight with a scale per channel; `limit` by the options where left out. */
export function channelWeight(
  { weightRange, ...options }: Pick<LoweringOptions, "reduceRange" | "weightBits" | "weightRange">,
  limit: number = weightLimit(options),
) {
  const range = weightRange ?? (limit <= COARSE ? "mse" : undefined);
  return {
    dtype: "int8",
    granularity: "per-channel",
    limit,
    ...(range === undefined ? {} : { range }),
  } as const;
}

export const PER_CHANNEL = 'needs a weight with "granularity": "per-channel"';

/** Whether the target writes such a weight; none at all is no weight that it refuses. */
export function takesWeight(
  { weightForms }: Pick<Target, "weightForms">,
  weight: WeightSpec | undefined,
): boolean {
  if (weight?.granularity !== "block-wise") return true;
  return weightForms.includes(weight.dtype === "int4" ? "int4" : "int8-only");
}

export interface ChannelFormat extends Pick<MatrixFormat, "limit" | "range"> {
  /** Of a table in blocks. */
  readonly block?: number | undefined;
}

/** How each constant is written that has a scale per channel. One set of codes serves every site that shares it, so the narrowest of their limits does. */
export function channelFormats(sites: readonly Site[], plan: Plan): Map<Value, ChannelFormat> {
  const formats = new Map<Value, ChannelFormat>();
  for (const site of sites) {
    if (site.kind !== "linear" && site.kind !== "embedding") continue;
    const sitePlan = plan.sites.get(site.name);
    if (sitePlan?.quantize !== true || sitePlan.weight?.granularity !== "per-channel") continue;
    const { initializer } = site.kind === "embedding" ? site.table : site.weight;
    const known = formats.get(initializer);
    formats.set(initializer, {
      limit: Math.min(sitePlan.weight.limit, known?.limit ?? FULL_RANGE),
      range: sitePlan.weight.range ?? known?.range,
      ...(sitePlan.weight.block === undefined ? {} : { block: sitePlan.weight.block }),
    });
  }
  return formats;
}

/** The default of a product with a weight [depth, N]; short columns get short blocks, which hold less padding. */
export function blockWeight(
  form: Exclude<WeightForm, "int8">,
  depth: number,
  {
    block = BLOCK[form],
    range = "min-max",
  }: { block?: number | undefined; range?: WeightRange | undefined },
): BlockWeight {
  const fitting = BLOCK_SIZES.filter((size) => size <= Math.max(depth, BLOCK_SIZES[0]));
  return {
    dtype: form === "int4" ? "int4" : "int8",
    granularity: "block-wise",
    block: Math.min(block, fitting.at(-1) ?? block),
    scheme: "symmetric",
    range,
  };
}

// From trained values back to what targets lower: initializers of the model, codes and scales of weights, ranges of the plan.
import type { Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { tensorOf } from "../onnx/tensor.js";
import type { Operand } from "../quant/operands.js";
import type { ActivationSpec, Plan, Range, SitePlan } from "../quant/plan.js";
import { roundHalfEven } from "../quant/round.js";
import type { RoundedWeight, RoundedWeights } from "../quant/rounded.js";
import { WIDTH } from "./fake-quantize.js";
import { codesOf } from "./latent-weights.js";
import type { ActivationQuantizer, Quantizers, WeightQuantizer } from "./quantizers.js";

export interface FoldedBack {
  readonly plan: Plan;
  readonly weights: RoundedWeights;
}

/**
 * Puts trained values (by name) into `model`, the one that the training graph was copied from, in place, and gives its plan with the trained ranges and the codes of its weights:
 * lowered, it computes what the training graph does.
 */
export function foldBack(
  model: Model,
  plan: Plan,
  { activations, weights, parameters }: Quantizers,
  trained: ReadonlyMap<string, Float32Array>,
): FoldedBack {
  const own = new Set(parameters.map(({ name }) => name));
  for (const [name, values] of trained) {
    if (own.has(name)) continue;
    const initializer = model.graph.value(name);
    if (initializer?.tensor === undefined)
      throw new Error(`internal: the model has no "${name}", which was trained`);
    initializer.tensor = tensorOf("float32", initializer.tensor.dims, values);
  }
  const rounded = new Map<Value, RoundedWeight>();
  for (const weight of weights) {
    const initializer = model.graph.value(weight.name);
    if (initializer === undefined) throw new Error(`internal: no weight "${weight.name}"`);
    rounded.set(initializer, weightOf(weight, trained));
  }
  const ranges = new Map<string, Partial<Record<Operand, Range>>>();
  for (const activation of activations) {
    const range = rangeOf(activation, trained);
    for (const { site, operand } of activation.readers)
      ranges.set(site, { ...ranges.get(site), [operand]: range });
  }
  const sites = [...plan.sites].map(([name, site]): [string, SitePlan] => [
    name,
    site.quantize ? withRanges(site, ranges.get(name) ?? {}) : site,
  ]);
  return { plan: { ...plan, sites: new Map(sites) }, weights: rounded };
}

function weightOf(
  weight: WeightQuantizer,
  trained: ReadonlyMap<string, Float32Array>,
): RoundedWeight {
  const values = valueOf(trained, weight.name);
  const ratio = valueOf(trained, weight.ratio);
  const scales = weight.base.map((base, n) => base * (ratio[n] as number));
  return { codes: codesOf(values, weight, scales, weight.limit), scales };
}

function valueOf(trained: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const values = trained.get(name);
  if (values === undefined) throw new Error(`internal: "${name}" was not trained`);
  return values;
}

/** The range whose scale and zero point are exactly those that were trained. */
function rangeOf(
  { spec, form, base, ratio, shift }: ActivationQuantizer,
  trained: ReadonlyMap<string, Float32Array>,
): Range {
  const factor = ratio === undefined ? 1 : (valueOf(trained, ratio)[0] ?? 1);
  const moved = shift === undefined ? 0 : (valueOf(trained, shift)[0] ?? 0);
  const step = Math.fround(base * factor);
  const free = roundHalfEven(Math.fround(form.zero + Math.fround(moved * WIDTH)));
  const zero = Math.min(form.high, Math.max(form.low, free));
  // Products of a float32 and a whole number below 256 are exact.
  if (spec.symmetric !== true)
    return { min: (form.low - zero) * step, max: (form.high - zero) * step };
  return spec.dtype === "int8"
    ? { min: -127 * step, max: 127 * step }
    : { min: 0, max: form.high * step };
}

function withRanges(
  site: SitePlan & { readonly quantize: true },
  ranges: Partial<Record<Operand, Range>>,
): SitePlan {
  const trained = (operand: Operand): Partial<Record<Operand, ActivationSpec>> => {
    const spec = site[operand];
    const range = ranges[operand];
    return spec === undefined || range === undefined ? {} : { [operand]: { ...spec, range } };
  };
  return { ...site, ...trained("activation"), ...trained("second") };
}

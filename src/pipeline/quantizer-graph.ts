// The graph that quantization-aware training works on: a copy of a planned model, with the quantizers that its target will write.
import type { Model } from "../graph/model.js";
import type { Plan } from "../quant/plan.js";
import type { RoundedWeights } from "../quant/rounded.js";
import { findSites } from "../quant/sites.js";
import type { Target } from "../targets/target.js";
import { channelFormats } from "../targets/weight-forms.js";
import { addQuantizers, type Quantizers } from "../train/quantizers.js";
import { copyOf } from "./float-copy.js";

export interface QuantizerGraph {
  readonly model: Model;
  readonly quantizers: Quantizers;
  /** The plan that the quantizers are of. */
  readonly plan: Plan;
}

/** `weights`: codes that were chosen for weights of `model`; all others are rounded to the nearest. Throws WeightNotFiniteError. */
export function quantizerGraph(
  model: Model,
  given: Plan,
  target: Target,
  { weights = new Map(), stepRate }: { weights?: RoundedWeights | undefined; stepRate: number },
): QuantizerGraph {
  const copy = copyOf(model);
  const sites = findSites(copy);
  const plan = target.settle?.(sites, given) ?? given;
  const rounded = new Map([...weights].map(([{ name }, weight]) => [name, weight]));
  const quantizers = addQuantizers(copy, sites, plan, {
    stepRate,
    formats: channelFormats(sites, plan),
    roundedOf: (name) => rounded.get(name),
  });
  return { model: copy, quantizers, plan };
}

// The graph that quantization-aware training works on: a copy of a planned model, with the quantizers that its target will write.
import type { Model } from "../graph/model.js";
import type { Plan } from "../quant/plan.js";
import type { RoundedWeights } from "../quant/rounded.js";
import { FULL_RANGE } from "../quant/scales.js";
import { findSites } from "../quant/sites.js";
import type { Target } from "../targets/target.js";
import { prepareQuantizers } from "../passes/training.js";
import { channelFormats } from "../targets/weight-forms.js";
import { trainableParameters, type Parameter } from "../train/parameters.js";
import { PACE } from "./defaults.js";
import { addQuantizers, type Quantizers } from "./quantizers.js";
import { copyOf } from "../calibrate/float-copy.js";

export interface QuantizerGraph {
  readonly model: Model;
  readonly quantizers: Quantizers;
  /** All that learns: weights, biases, norms, steps and zero points. */
  readonly parameters: readonly Parameter[];
  /** The plan that the quantizers are of. */
  readonly plan: Plan;
}

export interface QuantizerGraphOptions {
  /** Codes that were chosen for weights of the model; all others are rounded to the nearest. */
  readonly weights?: RoundedWeights | undefined;
  /** Multiple of the learning rate, for steps and zero points. */
  readonly scaleRateMultiplier: number;
  /** Those that the loss reads. */
  readonly outputs: readonly string[];
}

/** Throws WeightNotFiniteError. */
export function quantizerGraph(
  model: Model,
  given: Plan,
  target: Target,
  { weights = new Map(), scaleRateMultiplier, outputs }: QuantizerGraphOptions,
): QuantizerGraph {
  const copy = copyOf(model);
  prepareQuantizers(copy);
  const { graph } = copy;
  const reached = outputs.map((name) => graph.value(name)).filter((value) => value !== undefined);
  const float = trainableParameters(graph, reached);
  const sites = findSites(copy);
  const lost = [...given.sites.keys()].find((name) => !sites.some((site) => site.name === name));
  if (lost !== undefined) throw new Error(`internal: site "${lost}" is lost in training`);
  const plan = target.settle?.(sites, given) ?? given;
  const rounded = new Map([...weights].map(([{ name }, weight]) => [name, weight]));
  const quantizers = addQuantizers(copy, sites, plan, {
    scaleRateMultiplier,
    formats: channelFormats(sites, plan),
    roundedOf: (name) => rounded.get(name),
  });
  const pace = new Map(quantizers.weights.map(({ name, limit }) => [name, paceOf(limit)]));
  const learned = float
    .filter(({ name }) => !quantizers.frozen.has(name))
    .map((each) => ({ ...each, rate: each.rate * (pace.get(each.name) ?? 1) }));
  return { model: copy, quantizers, plan, parameters: [...learned, ...quantizers.parameters] };
}

/** How much faster weights learn whose codes go up to `limit`. */
function paceOf(limit: number): number {
  return (FULL_RANGE / limit) ** PACE;
}

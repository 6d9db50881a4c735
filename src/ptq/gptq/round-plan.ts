// Rounds the weights of a plan against the covariance of their inputs, and corrects their biases: the last step before a plan is lowered.
import { WeightNotFiniteError } from "../../errors.js";
import type { Value } from "../../graph/graph.js";
import type { Model } from "../../graph/model.js";
import { addToBias, biasOf, meanError } from "../bias-correction.js";
import { groupsOf, weightOf, type Group } from "../groups.js";
import type { Products } from "../products.js";
import { roundAgainst, roundingOrder } from "./round-matrix.js";
import type { RunBatches } from "../../data/run-batches.js";
import type { Plan, ActivationSpec } from "../../quant/plan.js";
import type { RoundedWeight } from "../../quant/rounded.js";
import { cutValues, mseScales } from "../../quant/mse.js";
import { channelScales, encodeChannels, refineScales, FULL_RANGE } from "../../quant/scales.js";
import { findSites, type LinearSite, type Site } from "../../quant/sites.js";
import type { MatrixView } from "../../quant/weight-view.js";
import { channelFormats } from "../../targets/weight-forms.js";
import type { OnProgress } from "../../report/progress.js";
import { runtimeProducts } from "../../runtime/products.js";
import type { Run } from "../../host/run.js";
import { MOST_BYTES, MOST_TOKENS } from "./defaults.js";
import { gramMatricesOf, type GramMatrices } from "./gram.js";
import type { Means } from "../ranges.js";

export interface RoundingOptions {
  /** Against covariances; needs data. */
  readonly round: boolean;
  readonly correct: boolean;
  readonly onProgress: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

export interface Rounded {
  /** Sites of the model as it is now. */
  readonly sites: readonly Site[];
  readonly weights: ReadonlyMap<Value, RoundedWeight>;
  /** Weights that were rounded against covariances, and biases that were corrected. */
  readonly rounded: number;
  readonly corrected: number;
}

/** What is planned, and what there is to round it by. */
export interface RoundingOf {
  readonly sites: readonly Site[];
  readonly plan: Plan;
  /** The mean per channel of an activation as calibration saw it. */
  readonly meansOf: (activation: Value) => Means | undefined;
  readonly batches: RunBatches | undefined;
}

/**
 * Chooses the codes of the plan's weights, and changes biases of `model` in place. Throws RuntimeFailedError, WeightNotFiniteError, and the reason of
 * an abort.
 */
export async function roundPlan(
  run: Run,
  model: Model,
  of: RoundingOf,
  options: RoundingOptions,
): Promise<Rounded> {
  const { sites, plan } = of;
  if (!options.correct && !(options.round && of.batches !== undefined))
    return { sites, weights: new Map(), rounded: 0, corrected: 0 };
  const groups = groupsOf(
    model,
    sites.filter((site) => isQuantized(site, plan)),
  );
  const weights = new Map<Value, RoundedWeight>();
  let corrected = 0;
  const products = runtimeProducts(run.host.runtime);
  try {
    const chunks = chunksOf(groups);
    const gramMatricesFor = sampler(run, model, of, {
      ...options,
      products,
      chunks: chunks.length,
    });
    for (const chunk of chunks) {
      const moments = await gramMatricesFor(chunk);
      for (const [g, group] of chunk.entries()) {
        const moment = moments?.[g];
        const found = await roundGroup(group, plan, moment, products);
        if (moment !== undefined)
          for (const [view, weight] of found.weights) weights.set(view.initializer, weight);
        if (options.correct) corrected += correct(model, group, found.weights, moment, of.meansOf);
        options.signal?.throwIfAborted();
      }
    }
  } finally {
    await products.release();
  }
  return {
    sites: corrected === 0 ? sites : findSites(model),
    weights,
    rounded: weights.size,
    corrected,
  };
}

/** The moments of groups, run over the batches; undefined where nothing is rounded against them. */
function sampler(
  run: Run,
  model: Model,
  { sites, plan, batches }: RoundingOf,
  options: RoundingOptions & { readonly products: Products; readonly chunks: number },
): (groups: readonly Group[]) => Promise<GramMatrices[] | undefined> {
  const { round, products, chunks, onProgress, signal } = options;
  if (!round || batches === undefined) return () => Promise.resolve(undefined);
  const picked = thinned(batches);
  const total = chunks * picked.length;
  let done = 0;
  return (groups) =>
    gramMatricesOf(run, model, groups, {
      specOf: (activation) => specOf(activation, sites, plan),
      batches: pick(batches, picked),
      products,
      onBatch: () => onProgress({ step: "rounding", done: ++done, total, unit: "batches" }),
      signal,
    });
}

function isQuantized(site: Site, plan: Plan): boolean {
  const sitePlan = plan.sites.get(site.name);
  return sitePlan?.quantize === true && sitePlan.weight?.granularity === "per-channel";
}

function specOf(activation: Value, sites: readonly Site[], plan: Plan): ActivationSpec | undefined {
  for (const site of sites) {
    if (site.kind !== "linear" || site.activation !== activation) continue;
    const sitePlan = plan.sites.get(site.name);
    const spec = sitePlan?.quantize === true ? sitePlan.activation : undefined;
    if (spec !== undefined && spec.range !== "dynamic") return spec;
  }
  return undefined;
}

/** Groups in order, as many together as their covariances leave room for. */
function chunksOf(groups: readonly Group[]): Group[][] {
  const chunks: Group[][] = [];
  let bytes = Infinity;
  for (const group of groups) {
    const own = 4 * (group.sites[0]?.weight.rows ?? 0) ** 2;
    if (bytes + own > MOST_BYTES) {
      chunks.push([]);
      bytes = 0;
    }
    chunks.at(-1)?.push(group);
    bytes += own;
  }
  return chunks;
}

/** Numbers of the batches that are run, spread over all of them. */
function thinned({ batches, count }: RunBatches): number[] {
  let tokens = 0;
  for (const { mask, rows } of batches) tokens += mask?.length ?? rows;
  const step = Math.max(1, tokens / MOST_TOKENS);
  const picked: number[] = [];
  for (let at = 0; at < count; at += step) picked.push(Math.floor(at));
  return picked;
}

function* pick({ batches }: RunBatches, numbers: readonly number[]) {
  const wanted = new Set(numbers);
  let number = 0;
  for (const batch of batches) if (wanted.has(number++)) yield batch;
}

interface GroupRounded {
  readonly weights: ReadonlyMap<MatrixView, RoundedWeight>;
}

async function roundGroup(
  group: Group,
  plan: Plan,
  moments: GramMatrices | undefined,
  products: Products,
): Promise<GroupRounded> {
  const views = new Map(group.sites.map((site) => [site.weight.initializer, site.weight]));
  const formats = channelFormats(group.sites, plan);
  const order =
    moments === undefined || moments.rows === 0
      ? undefined
      : await roundingOrder(moments.gram, moments.sums.length, products);
  const weights = new Map<MatrixView, RoundedWeight>();
  for (const [initializer, view] of views) {
    const weight = weightOf(view);
    const { values, rows, cols } = weight;
    const { limit = FULL_RANGE, range } = formats.get(initializer) ?? {};
    const widest = channelScales(values, rows, cols, 1, limit, (index) => {
      throw new WeightNotFiniteError(initializer.name, values[index] ?? Number.NaN, index);
    });
    const refined = refineScales(values, rows, cols, 1, widest, limit);
    const scales = range === "mse" ? mseScales(values, rows, cols, 1, refined, limit) : refined;
    const held = range === "mse" ? cutValues(values, rows, cols, 1, scales, limit) : values;
    const codes =
      order === undefined
        ? encodeChannels(held, rows, cols, 1, scales)
        : await roundAgainst(weight, scales, limit, order, products);
    weights.set(view, { codes, scales });
  }
  return { weights };
}

function correct(
  model: Model,
  group: Group,
  weights: GroupRounded["weights"],
  moments: GramMatrices | undefined,
  meansOf: (activation: Value) => Means | undefined,
): number {
  // Both of the same rows: means of others differ by more than what quantization does to them.
  const { rows } = moments ?? {};
  const measured = (sums: Float64Array | undefined): Float64Array | undefined =>
    sums === undefined || !rows ? undefined : sums.map((sum) => sum / rows);
  const means = measured(moments?.exact) ?? pooled(group.activations.map(meansOf));
  if (means === undefined) return 0;
  const quantized = measured(moments?.sums) ?? means;
  const biases = new Map<Value, LinearSite[]>();
  for (const site of group.sites) {
    if (site.bias === undefined || biasOf(site) === undefined) continue;
    biases.set(site.bias, [...(biases.get(site.bias) ?? []), site]);
  }
  for (const [bias, sites] of biases) {
    const view = sites[0]?.weight;
    const found = [...weights].find(([{ initializer }]) => initializer === view?.initializer);
    if (found === undefined) continue;
    const [own, weight] = found;
    addToBias(model, bias, sites, meanError(weightOf(own), weight, means, quantized));
  }
  return biases.size;
}

function pooled(parts: readonly (Means | undefined)[]): Float64Array | undefined {
  const total = parts.reduce((sum, part) => sum + (part?.rows ?? NaN), 0);
  const [first] = parts;
  if (first === undefined || !(total > 0)) return undefined;
  return first.means.map((_, k) =>
    parts.reduce((sum, part) => sum + ((part?.means[k] as number) * (part?.rows ?? 0)) / total, 0),
  );
}

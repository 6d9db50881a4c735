// Puts a plan's quantizers into a float graph, for training: it starts as exactly what the plan's static model computes.
import type { Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { float32Tensor, tensorOf } from "../onnx/tensor.js";
import { affineOf } from "../quant/affine.js";
import { operandOf, type Operand } from "../quant/operands.js";
import type { ActivationSpec, Plan } from "../quant/plan.js";
import type { RoundedWeight } from "../quant/rounded.js";
import { FULL_RANGE } from "../quant/scales.js";
import type { LinearSite, Site } from "../quant/sites.js";
import { LEAST_RATIO } from "./defaults.js";
import { fakeQuantize, type FakeQuantizeForm } from "./fake-quantize.js";
import { dequantized, latent, nearest, type ChannelForm } from "./latent-weights.js";
import type { Parameter } from "../train/parameters.js";

/** The quantizer of an activation, and whose operand it is. */
export interface ActivationQuantizer {
  /** Name in the graph: of the activation. */
  readonly name: string;
  readonly spec: ActivationSpec;
  readonly form: FakeQuantizeForm;
  /** Step at the start. */
  readonly base: number;
  /** Names of the initializers that learn; absent: what does not. */
  readonly ratio: string | undefined;
  readonly shift: string | undefined;
  readonly readers: readonly { readonly site: string; readonly operand: Operand }[];
}

/** The quantizer of a weight, which several sites may share. */
export interface WeightQuantizer {
  /** The initializer, in the training graph as in the model. */
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  readonly transposed: boolean;
  readonly limit: number;
  /** [N], at the start. */
  readonly base: Float32Array;
  readonly ratio: string;
}

export interface Quantizers {
  readonly activations: readonly ActivationQuantizer[];
  readonly weights: readonly WeightQuantizer[];
  /** Steps and zero points. */
  readonly parameters: readonly Parameter[];
  /** Initializers that stay as they are: tables, which are stored in 8 bits and read as such. */
  readonly frozen: ReadonlySet<string>;
}

export interface QuantizerOptions {
  /** Multiple of the learning rate by which steps and zero points of 8 bits learn. Coarser steps learn more slowly: by as many codes at the highest one. */
  readonly scaleRateMultiplier: number;
  /** How constants with a scale per channel are written, by initializer. */
  readonly formats: ReadonlyMap<Value, ChannelForm>;
  /** Codes that were chosen for a weight. */
  readonly roundedOf: (initializer: string) => RoundedWeight | undefined;
}

/**
 * Puts quantizers into `model`, whose sites these are, in place. Weights keep what their codes leave as far as the codes stay what they are, so that
 * the first forward pass is that of the static model. Ranges must have been found; throws WeightNotFiniteError.
 */
export function addQuantizers(
  model: Model,
  sites: readonly Site[],
  plan: Plan,
  options: QuantizerOptions,
): Quantizers {
  const builder = new Builder(model, options);
  const tables = new Set(
    sites.flatMap((s) => (s.kind === "embedding" ? [s.table.initializer] : [])),
  );
  // All places first: what is put in front of one is not what another one reads.
  const places = sites.flatMap((site) => placesOf(site, plan));
  const linear = sites.filter((site): site is LinearSite => site.kind === "linear");
  const quantized = linear.filter((site) => planned(site, plan)?.weight !== undefined);
  for (const table of tables) builder.freeze(table);
  for (const site of quantized) if (!tables.has(site.weight.initializer)) builder.weight(site);
  for (const place of places) builder.activation(place);
  model.graph.sort();
  inferTypes(model);
  return builder.made;
}

function planned(site: Site, plan: Plan) {
  const sitePlan = plan.sites.get(site.name);
  return sitePlan?.quantize === true ? sitePlan : undefined;
}

interface Place {
  readonly site: string;
  readonly operand: Operand;
  readonly node: Node;
  readonly index: number;
  readonly value: Value;
  readonly spec: ActivationSpec;
}

/** The inputs of a site's node that a plan gives ranges to. */
function placesOf(site: Site, plan: Plan): Place[] {
  const sitePlan = planned(site, plan);
  if (sitePlan === undefined) return [];
  const { node } = site;
  const skip = site.kind === "residual" && node.input(0) !== site.skip ? 1 : 0;
  const indices = { activation: skip, second: 1 - skip };
  return (["activation", "second"] as const).flatMap((operand) => {
    const value = operandOf(site, operand);
    const spec = sitePlan[operand];
    if (value === undefined || spec === undefined || spec.range === "dynamic") return [];
    return [{ site: site.name, operand, node, index: indices[operand], value, spec }];
  });
}

class Builder {
  readonly #model: Model;
  readonly #options: QuantizerOptions;
  readonly #activations = new Map<string, ActivationQuantizer & { readers: Place[] }>();
  readonly #results = new Map<string, Value>();
  readonly #weights = new Map<Value, WeightQuantizer>();
  readonly #parameters: Parameter[] = [];
  readonly #frozen = new Set<string>();

  constructor(model: Model, options: QuantizerOptions) {
    this.#model = model;
    this.#options = options;
  }

  get made(): Quantizers {
    return {
      activations: [...this.#activations.values()],
      weights: [...this.#weights.values()],
      parameters: this.#parameters,
      frozen: this.#frozen,
    };
  }

  /** A table becomes what its codes stand for. */
  freeze(table: Value): void {
    this.#frozen.add(table.name);
    const format = this.#options.formats.get(table);
    const { tensor } = table;
    if (format === undefined || tensor === undefined) return;
    table.tensor = tensorOf("float32", tensor.dims, dequantized(table, format));
  }

  weight({ node, weight }: LinearSite): void {
    const value = node.input(1);
    if (value === undefined) throw new Error("internal: a linear layer without a weight");
    const quantizer = this.#quantizerOf(weight);
    const { graph } = this.#model;
    // The matrix as the node reads it: [K, N], or [N, K] of a Gemm that transposes it.
    const turned = node.op === "Gemm" && node.int("transB", 0) !== 0;
    const key = `${value.name} ${turned}`;
    let result = this.#results.get(key);
    if (result === undefined) {
      const constant = tensorOf("float32", [quantizer.cols], quantizer.base);
      const base = graph.addInitializer(`${quantizer.name}_step`, constant);
      const ratio = graph.value(quantizer.ratio);
      if (ratio === undefined) throw new Error("internal: a step without its ratio");
      const { limit } = quantizer;
      const form = { low: -limit, high: limit, zero: 0, axis: turned ? 0 : -1 };
      result = fakeQuantize(this.#model, node, value, { base, ratio }, form);
      this.#results.set(key, result);
    }
    node.setInput(1, result);
  }

  #quantizerOf({ initializer, rows, cols, transposed }: LinearSite["weight"]): WeightQuantizer {
    const known = this.#weights.get(initializer);
    if (known !== undefined) return known;
    const { formats, roundedOf, scaleRateMultiplier } = this.#options;
    const format = formats.get(initializer);
    if (format === undefined || initializer.tensor === undefined)
      throw new Error(`internal: "${initializer.name}" is not planned`);
    const view = { initializer, rows, cols, transposed };
    const rounded = roundedOf(initializer.name) ?? nearest(view, format);
    const ones = tensorOf("float32", [cols], new Float32Array(cols).fill(1));
    const { graph } = this.#model;
    const ratio = graph.addInitializer(`${initializer.name}_step_ratio`, ones).name;
    this.#learn(ratio, (scaleRateMultiplier * format.limit) / FULL_RANGE, LEAST_RATIO);
    const quantizer = {
      name: initializer.name,
      rows,
      cols,
      transposed,
      limit: format.limit,
      base: rounded.scales,
      ratio,
    };
    const { dims } = initializer.tensor;
    initializer.tensor = tensorOf("float32", dims, latent(view, rounded, format.limit));
    this.#weights.set(initializer, quantizer);
    return quantizer;
  }

  activation(place: Place): void {
    const { node, value, spec } = place;
    const { scale, zeroPoint } = affineOf(spec);
    const key = `${value.name} ${spec.dtype} ${scale} ${zeroPoint} ${spec.terms ?? 1}`;
    const quantizer = this.#activations.get(key) ?? this.#made(key, value, spec);
    quantizer.readers.push(place);
    let result = this.#results.get(key);
    if (result === undefined || result.graph !== node.graph) {
      const { graph } = this.#model;
      const base = graph.addInitializer(`${value.name}_step`, float32Tensor(scale));
      const ratio =
        graph.value(quantizer.ratio ?? "") ?? graph.addInitializer("ratio", float32Tensor(1));
      const shift = graph.value(quantizer.shift ?? "");
      result = fakeQuantize(this.#model, node, value, { base, ratio, shift }, quantizer.form);
      this.#results.set(key, result);
    }
    node.setInput(place.index, result);
  }

  /** A second term leave so little that there is nothing to learn. A zero point at the lowest code stays: what is never negative needs no other. */
  #made(
    key: string,
    value: Value,
    spec: ActivationSpec,
  ): ActivationQuantizer & { readers: Place[] } {
    const { scale, zeroPoint } = affineOf(spec);
    const { graph } = this.#model;
    const { scaleRateMultiplier } = this.#options;
    const { terms = 1 } = spec;
    const learns = terms === 1;
    const add = (what: string, start: number, least?: number): string => {
      const { name } = graph.addInitializer(`${value.name}_${what}`, float32Tensor(start));
      this.#learn(name, scaleRateMultiplier, least);
      return name;
    };
    const low = spec.dtype === "int8" ? -128 : 0;
    const moves = learns && spec.symmetric !== true && zeroPoint !== low;
    const form = {
      low,
      high: spec.dtype === "int8" ? 127 : 255,
      zero: zeroPoint,
      terms,
    };
    const quantizer = {
      name: value.name,
      spec,
      form,
      base: scale,
      ratio: learns ? add("step_ratio", 1, LEAST_RATIO) : undefined,
      shift: moves ? add("zero_shift", 0) : undefined,
      readers: [] as Place[],
    };
    this.#activations.set(key, quantizer);
    return quantizer;
  }

  #learn(name: string, rate: number, least?: number): void {
    this.#parameters.push({ name, rate, decay: false, ...(least === undefined ? {} : { least }) });
  }
}

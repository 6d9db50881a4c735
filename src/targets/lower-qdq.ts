// Writes planned sites as explicit Q/DQ: a pair in front of each planned operand, weights as INT8 through DequantizeLinear, all else as it was.
import type { Graph, Node, Value } from "../graph/graph.js";
import { emit } from "../graph/match.js";
import type { Model } from "../graph/model.js";
import { float32Tensor, tensorOf } from "../onnx/tensor.js";
import { affineOf } from "../quant/affine.js";
import { operandOf, OPERANDS, type Operand } from "../quant/operands.js";
import type { ActivationSpec, Plan, Range, SitePlan } from "../quant/plan.js";
import { quantizedMatrix, roundedMatrix, type QuantizedMatrix } from "../quant/quantized-matrix.js";
import type { RoundedWeights } from "../quant/rounded.js";
import { FULL_RANGE } from "../quant/scales.js";
import type { AttentionSite, LinearSite, ResidualSite, Site } from "../quant/sites.js";
import type { MatrixView } from "../quant/weight-view.js";
import { castTo, inputOf, named, graphOf } from "./emitting.js";
import { channelFormats, type ChannelFormat } from "./weight-forms.js";

interface Codes {
  readonly codes: Value;
  readonly matrix: QuantizedMatrix;
  scale: Value | undefined;
}

type QdqSite = LinearSite | AttentionSite | ResidualSite;

/** Writes sites in place. The pairs of one value over one range are one pair, whoever reads it. */
export function lowerQdq(
  model: Model,
  sites: readonly QdqSite[],
  plan: Plan,
  weights: RoundedWeights = new Map(),
): void {
  const lowering = new Lowering(model.graph, channelFormats(sites, plan), weights);
  // Now, before a site's lowering replaces what another one reads.
  const skips = new Map<QdqSite, number>();
  for (const site of sites)
    if (site.kind === "residual") skips.set(site, site.node.input(0) === site.skip ? 0 : 1);
  for (const site of sites) {
    const { activation, second } = specsOf(site, plan);
    if (site.kind === "linear") {
      if (activation !== undefined) lowering.linear(site, activation);
      continue;
    }
    if (site.kind === "attention") {
      lowering.operand(site.node, 0, activation);
      lowering.operand(site.node, 1, second);
      continue;
    }
    const skip = skips.get(site) ?? 0;
    lowering.operand(site.node, skip, activation);
    lowering.operand(site.node, 1 - skip, second);
  }
}

/** Plans in which operands that are one value have one range, the widest: one Q/DQ pair, and products that can be fused. */
export function withSharedRanges(sites: readonly Site[], plan: Plan): Plan {
  const widest = new Map<Value, Range>();
  const each = (then: (value: Value, spec: ActivationSpec, range: Range) => void): void => {
    for (const site of sites)
      for (const operand of OPERANDS) {
        const spec = specsOf(site, plan)[operand];
        const value = operandOf(site, operand);
        if (spec !== undefined && value !== undefined && spec.range !== "dynamic")
          then(value, spec, spec.range);
      }
  };
  each((value, _spec, { min, max }) => {
    const known = widest.get(value) ?? { min, max };
    widest.set(value, { min: Math.min(min, known.min), max: Math.max(max, known.max) });
  });
  const planned = sites.map((site): [string, SitePlan] => {
    const sitePlan = plan.sites.get(site.name);
    if (sitePlan === undefined) throw new Error(`internal: no plan for site "${site.name}"`);
    if (!sitePlan.quantize) return [site.name, sitePlan];
    const shared = (operand: Operand): Partial<Record<Operand, ActivationSpec>> => {
      const spec = sitePlan[operand];
      const value = operandOf(site, operand);
      const range = value && widest.get(value);
      return spec === undefined || range === undefined ? {} : { [operand]: { ...spec, range } };
    };
    return [site.name, { ...sitePlan, ...shared("activation"), ...shared("second") }];
  });
  return { ...plan, sites: new Map(planned) };
}

function specsOf(site: Site, plan: Plan): Partial<Record<Operand, ActivationSpec | undefined>> {
  const sitePlan = plan.sites.get(site.name);
  return sitePlan?.quantize === true ? sitePlan : {};
}

class Lowering {
  readonly #codes = new Map<string, Codes>();
  readonly #pairs = new Map<Graph, Map<Value, Map<string, Value>>>();
  readonly #zeros: (count: number) => Value;
  readonly #root: Graph;
  readonly #formats: ReadonlyMap<Value, ChannelFormat>;
  readonly #rounded: RoundedWeights;

  constructor(root: Graph, formats: ReadonlyMap<Value, ChannelFormat>, rounded: RoundedWeights) {
    this.#rounded = rounded;
    this.#root = root;
    this.#zeros = zeroPoints(root);
    this.#formats = formats;
  }

  /** A float product between the DequantizeLinear of its activation and of its weight; the bias stays a float Add behind it. */
  linear(site: LinearSite, spec: ActivationSpec): void {
    const at = site.node;
    const graph = graphOf(at);
    const { dtype } = site.output;
    const x = this.#pair(at, inputOf(at, 0), spec);
    const w = this.#weight(at, site.weight);
    let result = emit(at, "MatMul", [x, w], {}, named(site, "int8"));
    if (site.bias !== undefined) {
      const bias = castTo(at, site.bias, "float32");
      result = emit(at, "Add", [result, bias], {}, named(site, "bias"));
    }
    result.dtype = "float32";
    result = castTo(at, result, dtype);
    result.dtype = dtype;
    result.shape = site.output.shape;
    graph.replaceUses(site.output, result);
    if (site.biasAdd !== undefined) graph.removeNode(site.biasAdd);
    graph.removeNode(at);
  }

  /** A pair in front of one input of a node that stays as it is. */
  operand(node: Node, index: number, spec: ActivationSpec | undefined): void {
    if (spec === undefined) return;
    const value = inputOf(node, index);
    node.setInput(index, castTo(node, this.#pair(node, value, spec), value.dtype));
  }

  /** Q → DQ: one pair for all readers of a graph over the same range. */
  #pair(at: Node, value: Value, spec: ActivationSpec): Value {
    const { scale, zeroPoint } = affineOf(spec);
    const key = `${spec.dtype} ${scale} ${zeroPoint}`;
    const graph = graphOf(at);
    const known = this.#pairs.get(graph) ?? new Map<Value, Map<string, Value>>();
    this.#pairs.set(graph, known);
    const pairs = known.get(value) ?? new Map<string, Value>();
    known.set(value, pairs);
    const made = pairs.get(key);
    if (made !== undefined) return made;
    const codes = spec.dtype === "int8" ? Int8Array.of(zeroPoint) : Uint8Array.of(zeroPoint);
    const constants = [
      this.#root.addInitializer(`${value.name}_scale`, float32Tensor(scale)),
      this.#root.addInitializer(`${value.name}_zero_point`, tensorOf(spec.dtype, [], codes)),
    ];
    const q = emit(at, "QuantizeLinear", [castTo(at, value, "float32"), ...constants]);
    const dq = emit(at, "DequantizeLinear", [q, ...constants]);
    dq.dtype = "float32";
    dq.shape = value.shape;
    pairs.set(key, dq);
    return dq;
  }

  /** A weight as [K, N] through DequantizeLinear, a scale per column. */
  #weight(at: Node, view: MatrixView): Value {
    const { initializer, rows, cols, transposed } = view;
    const key = `${initializer.name} ${transposed}`;
    let stored = this.#codes.get(key);
    if (stored === undefined) {
      const [storedRows, storedCols] = transposed ? [cols, rows] : [rows, cols];
      const rounded = this.#rounded.get(initializer);
      const matrix =
        rounded !== undefined
          ? roundedMatrix(view, rounded)
          : quantizedMatrix(initializer, storedRows, storedCols, {
              channelAxis: transposed ? 0 : 1,
              transpose: transposed,
              ...(this.#formats.get(initializer) ?? { limit: FULL_RANGE }),
            });
      const codes = this.#root.addInitializer(`${initializer.name}_int8`, matrix.codes);
      stored = { codes, matrix, scale: undefined };
      this.#codes.set(key, stored);
    }
    stored.scale ??= this.#root.addInitializer(
      `${initializer.name}_scale`,
      stored.matrix.scales([cols]),
    );
    const inputs = [stored.codes, stored.scale, this.#zeros(cols)];
    return emit(at, "DequantizeLinear", inputs, { axis: 1 });
  }
}

/** Zero points of symmetric codes per channel, one initializer for each number of channels. */
function zeroPoints(root: Graph): (count: number) => Value {
  const made = new Map<number, Value>();
  return (count) => {
    const known = made.get(count);
    if (known !== undefined) return known;
    const zeros = tensorOf("int8", [count], new Int8Array(count));
    const value = root.addInitializer(`zero_points_${count}`, zeros);
    made.set(count, value);
    return value;
  };
}

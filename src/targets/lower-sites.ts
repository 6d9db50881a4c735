// Writes planned sites in operators that onnxruntime has integer kernels for. Ranges found at run time:
// DynamicQuantizeLinear → MatMulInteger → Cast → Mul(Mul(x_scale, w_scale)) → Add(bias). Ranges found beforehand: QuantizeLinear → onnxruntime's own MatMulIntegerToFloat.
import { emit } from "../graph/match.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES } from "../onnx/dtypes.js";
import { float32Tensor, int64Tensor, tensorOf } from "../onnx/tensor.js";
import { asymmetric, restOf } from "../quant/affine.js";
import type { BlockWeight, Plan, Range } from "../quant/plan.js";
import { quantizedMatrix, roundedMatrix, type QuantizedMatrix } from "../quant/quantized-matrix.js";
import type { RoundedWeights } from "../quant/rounded.js";
import { FULL_RANGE } from "../quant/scales.js";
import type { EmbeddingSite, LinearSite, Site } from "../quant/sites.js";
import type { MatrixView } from "../quant/weight-view.js";
import { castTo, inputOf, named, graphOf, handOn, importOrt, ORT_DOMAIN } from "./emitting.js";
import { PackedWeights } from "./lower-nbits.js";
import { channelFormats, type ChannelFormat } from "./weight-forms.js";

interface Codes {
  /** INT8 initializer. */
  readonly codes: Value;
  readonly matrix: QuantizedMatrix;
  /** Scale initializers by their dims, so that one weight has each only once. */
  readonly scales: Map<string, Value>;
}

interface Activation {
  readonly codes: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

/** Rewrites the chosen sites in place; the float weights they leave behind are removed by the dead-code pass. */
export function lowerSites(
  model: Model,
  sites: readonly (LinearSite | EmbeddingSite)[],
  plan: Plan,
  weights: RoundedWeights = new Map(),
): void {
  const tables = new Set(
    sites.filter((s) => s.kind === "embedding").map((s) => s.table.initializer),
  );
  const lowering = new Lowering(model, tables, channelFormats(sites, plan), weights);
  const packed = new PackedWeights(model);
  for (const site of sites) {
    const range = rangeOf(site, plan);
    const blocks = blocksOf(site, plan);
    const result =
      site.kind === "embedding"
        ? lowering.embedding(site)
        : blocks !== undefined
          ? packed.product(site, blocks)
          : site.constantInput
            ? lowering.constantProduct(site)
            : range === "dynamic"
              ? lowering.dynamicProduct(site)
              : lowering.staticProduct(site, range, termsOf(site, plan));
    const graph = site.node.graph;
    if (graph === undefined) throw new Error(`internal: site "${site.name}" is gone`);
    result.dtype = site.output.dtype;
    result.shape = site.output.shape;
    graph.replaceUses(site.output, result);
    if (site.kind === "linear" && site.biasAdd !== undefined) graph.removeNode(site.biasAdd);
    graph.removeNode(site.node);
  }
}

function rangeOf(site: Site, plan: Plan): "dynamic" | Range {
  const sitePlan = plan.sites.get(site.name);
  return (sitePlan?.quantize === true && sitePlan.activation?.range) || "dynamic";
}

function termsOf(site: Site, plan: Plan): 1 | 2 {
  const sitePlan = plan.sites.get(site.name);
  return (sitePlan?.quantize === true && sitePlan.activation?.terms) || 1;
}

function blocksOf(site: Site, plan: Plan): BlockWeight | undefined {
  const sitePlan = plan.sites.get(site.name);
  if (sitePlan?.quantize !== true) return undefined;
  return sitePlan.weight?.granularity === "block-wise" ? sitePlan.weight : undefined;
}

class Lowering {
  /** Codes and scales of tables in blocks. */
  readonly #blocks = new Map<Value, readonly [codes: Value, scales: Value]>();
  readonly #rests = new Map<Activation, Activation>();
  readonly #codes = new Map<string, Codes>();
  readonly #activations = new Map<Graph, Map<Value, Activation>>();
  readonly #ranged = new Map<Graph, Map<Value, Map<string, Activation>>>();
  /** The shape of vectors. */
  #flat: Value | undefined;
  readonly #model: Model;
  readonly #root: Graph;
  readonly #tables: ReadonlySet<Value>;
  readonly #formats: ReadonlyMap<Value, ChannelFormat>;
  readonly #rounded: RoundedWeights;

  constructor(
    model: Model,
    tables: ReadonlySet<Value>,
    formats: ReadonlyMap<Value, ChannelFormat>,
    rounded: RoundedWeights,
  ) {
    this.#rounded = rounded;
    this.#model = model;
    this.#root = model.graph;
    this.#tables = tables;
    this.#formats = formats;
  }

  dynamicProduct(site: LinearSite): Value {
    const at = site.node;
    const { weight } = site;
    const stored = this.#weight(weight);
    const x = this.#activation(at, inputOf(at, 0));
    const codes = this.#oriented(at, stored, weight);
    const product = emit(
      at,
      "MatMulInteger",
      [x.codes, codes, x.zeroPoint],
      {},
      named(site, "int8"),
    );
    const float = emit(at, "Cast", [product], { to: DTYPES.float32.code });
    const scale = emit(at, "Mul", [x.scale, this.#scales(stored, weight, [weight.cols])]);
    const scaled = emit(at, "Mul", [float, scale]);
    return handOn(at, this.#withBias(at, site, scaled), site.output);
  }

  /**
   * onnxruntime's own operator, the bias inside. It makes the same one of Q/DQ around a MatMul, but leaves the bias outside and keeps zero points of
   * the weight that are all 0: a tenth more time.
   */
  staticProduct(site: LinearSite, range: Range, terms: 1 | 2): Value {
    const at = site.node;
    const value = inputOf(at, 0);
    const x = this.#quantized(at, value, range);
    let product = this.#scaledProduct(site, x, "int8", this.#flatBias(site));
    if (terms === 2) {
      const rest = this.#rest(at, value, x, restOf(asymmetric(range)));
      product = emit(at, "Add", [product, this.#scaledProduct(site, rest, "rest")]);
    }
    return handOn(at, product, site.output);
  }

  #scaledProduct(site: LinearSite, x: Activation, what: string, bias?: Value): Value {
    const at = site.node;
    const { weight } = site;
    const stored = this.#weight(weight);
    const codes = this.#oriented(at, stored, weight);
    const scales = this.#scales(stored, weight, [weight.cols]);
    const inputs = [x.codes, codes, x.scale, scales, x.zeroPoint];
    const rest = bias === undefined ? [] : [undefined, bias];
    importOrt(this.#model);
    const name = named(site, what);
    return emit(at, `${ORT_DOMAIN}.MatMulIntegerToFloat`, [...inputs, ...rest], {}, name);
  }

  /** The bias as [N] in float32, as the operator takes it. */
  #flatBias({ node, bias }: LinearSite): Value | undefined {
    if (bias === undefined) return undefined;
    const float = castTo(node, bias, "float32");
    if (bias.tensor?.dims.length === 1) return float;
    this.#flat ??= this.#root.addInitializer("flat", int64Tensor([-1]));
    return emit(node, "Reshape", [float, this.#flat]);
  }

  /** A product that no input reaches: the runtime folds it on loading, so the weight is dequantized and nothing else is rounded. */
  constantProduct(site: LinearSite): Value {
    const at = site.node;
    const { weight } = site;
    const stored = this.#weight(weight);
    const codes = this.#oriented(at, stored, weight);
    const float = emit(at, "Cast", [codes], { to: DTYPES.float32.code });
    const scaled = emit(at, "Mul", [float, this.#scales(stored, weight, [weight.cols])]);
    const x = castTo(at, inputOf(at, 0), "float32");
    const product = emit(at, "MatMul", [x, scaled], {}, named(site, "stored"));
    return handOn(at, this.#withBias(at, site, product), site.output);
  }

  embedding(site: EmbeddingSite): Value {
    const at = site.node;
    const { table } = site;
    const indices = inputOf(at, 1);
    const { block } = this.#formats.get(table.initializer) ?? {};
    if (block !== undefined && block < table.cols) return this.#inBlocks(site, block);
    const stored = this.#store(table, table.transposed ? 1 : 0, table.transposed);
    const rows = emit(at, "Gather", [stored.codes, indices], {}, named(site, "int8"));
    const float = emit(at, "Cast", [rows], { to: DTYPES.float32.code });
    const scales = this.#scales(stored, table, [table.rows, 1]);
    const rowScales = emit(at, "Gather", [scales, indices]);
    return handOn(at, emit(at, "Mul", [float, rowScales]), site.output);
  }

  /** A table as [rows, blocks, block], each block with a scale. */
  #inBlocks(site: EmbeddingSite, block: number): Value {
    const at = site.node;
    const { initializer, rows, cols } = site.table;
    const blocks = cols / block;
    const indices = inputOf(at, 1);
    const { rank } = indices;
    if (rank === undefined || blocks % 1 !== 0)
      throw new Error(`internal: the rows of "${initializer.name}" do not come in blocks`);
    let values = this.#blocks.get(initializer);
    if (values === undefined) {
      const format = {
        channelAxis: 0,
        transpose: false,
        limit: FULL_RANGE,
      } as const;
      const matrix = quantizedMatrix(initializer, rows * blocks, block, {
        ...format,
        ...this.#formats.get(initializer),
      });
      const codes = { ...matrix.codes, dims: [rows, blocks, block] };
      values = [
        this.#root.addInitializer(`${initializer.name}_int8`, codes),
        this.#root.addInitializer(`${initializer.name}_scale`, matrix.scales([rows, blocks, 1])),
      ];
      this.#blocks.set(initializer, values);
    }
    const [codes, scales] = values;
    const found = emit(at, "Gather", [codes, indices], {}, named(site, "int8"));
    const float = emit(at, "Cast", [found], { to: DTYPES.float32.code });
    const scaled = emit(at, "Mul", [float, emit(at, "Gather", [scales, indices])]);
    const dims = int64Tensor([...Array<number>(rank).fill(0), cols]);
    const shape = this.#root.addInitializer(`${initializer.name}_rows`, dims);
    return handOn(at, emit(at, "Reshape", [scaled, shape]), site.output);
  }

  #withBias(at: Node, site: LinearSite, product: Value): Value {
    if (site.bias === undefined) return product;
    return emit(at, "Add", [product, castTo(at, site.bias, "float32")], {}, named(site, "bias"));
  }

  /** The weight's codes as one initializer. A table that embeddings read keeps its layout, any other is written as [K, N]. */
  #weight(view: MatrixView): Codes {
    const transpose = view.transposed && !this.#tables.has(view.initializer);
    return this.#store(view, view.transposed ? 0 : 1, transpose);
  }

  /** Codes as [K, N]; the Transpose of a shared table is folded by the runtime on loading, the file holds it once. */
  #oriented(at: Node, stored: Codes, view: MatrixView): Value {
    const asStored = view.transposed && this.#tables.has(view.initializer);
    return asStored ? emit(at, "Transpose", [stored.codes], { perm: [1, 0] }) : stored.codes;
  }

  #store(view: MatrixView, channelAxis: 0 | 1, transpose: boolean): Codes {
    const { initializer } = view;
    const key = `${initializer.name} ${channelAxis} ${transpose}`;
    const known = this.#codes.get(key);
    if (known !== undefined) return known;
    const rows = view.transposed ? view.cols : view.rows;
    const cols = view.transposed ? view.rows : view.cols;
    const format = this.#formats.get(initializer) ?? { limit: FULL_RANGE };
    const rounded = this.#rounded.get(initializer);
    const matrix =
      rounded === undefined
        ? quantizedMatrix(initializer, rows, cols, { channelAxis, transpose, ...format })
        : roundedMatrix(view, rounded);
    const codes = this.#root.addInitializer(`${initializer.name}_int8`, matrix.codes);
    const made: Codes = { codes, matrix, scales: new Map() };
    this.#codes.set(key, made);
    return made;
  }

  #scales(stored: Codes, view: MatrixView, dims: readonly number[]): Value {
    const key = dims.join();
    let value = stored.scales.get(key);
    if (value === undefined) {
      value = this.#root.addInitializer(
        `${view.initializer.name}_scale`,
        stored.matrix.scales(dims),
      );
      stored.scales.set(key, value);
    }
    return value;
  }

  /** Codes of an activation, once for all products of a graph that read it over the same range. */
  #quantized(at: Node, value: Value, range: Range): Activation {
    const { scale, zeroPoint } = asymmetric(range);
    const key = `${scale} ${zeroPoint}`;
    const graph = graphOf(at);
    const known = this.#ranged.get(graph) ?? new Map<Value, Map<string, Activation>>();
    this.#ranged.set(graph, known);
    const ranges = known.get(value) ?? new Map<string, Activation>();
    known.set(value, ranges);
    let result = ranges.get(key);
    if (result === undefined) {
      const constants = {
        scale: this.#root.addInitializer(`${value.name}_scale`, float32Tensor(scale)),
        zeroPoint: this.#root.addInitializer(
          `${value.name}_zero_point`,
          tensorOf("uint8", [], Uint8Array.of(zeroPoint)),
        ),
      };
      const x = castTo(at, value, "float32");
      const codes = emit(at, "QuantizeLinear", [x, constants.scale, constants.zeroPoint]);
      result = { codes, ...constants };
      ranges.set(key, result);
    }
    return result;
  }

  /** What the codes of a value leave, as codes itself; once for all products that read it. */
  #rest(at: Node, value: Value, coded: Activation, range: Range): Activation {
    const known = this.#rests.get(coded);
    if (known !== undefined) return known;
    const { codes, scale, zeroPoint } = coded;
    const back = emit(at, "DequantizeLinear", [codes, scale, zeroPoint]);
    const rest = emit(at, "Sub", [castTo(at, value, "float32"), back]);
    const result = this.#quantized(at, rest, range);
    this.#rests.set(coded, result);
    return result;
  }

  /** One quantized activation for all products of a graph that read it. */
  #activation(at: Node, value: Value): Activation {
    const graph = graphOf(at);
    const known = this.#activations.get(graph) ?? new Map<Value, Activation>();
    this.#activations.set(graph, known);
    let activation = known.get(value);
    if (activation === undefined) {
      const x = castTo(at, value, "float32");
      const codes = emit(at, "DynamicQuantizeLinear", [x], {}, { outputs: 3 });
      const node = codes.producer;
      if (node === undefined) throw new Error("internal: no producer");
      activation = { codes, scale: node.output(1), zeroPoint: node.output(2) };
      known.set(value, activation);
    }
    return activation;
  }
}

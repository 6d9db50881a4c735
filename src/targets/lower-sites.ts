// Writes planned sites in standard operators that runtimes turn into integer kernels. Ranges found at run time:
// DynamicQuantizeLinear → MatMulInteger → Cast → Mul(Mul(x_scale, w_scale)) → Add(bias). Ranges found beforehand: Q → DQ in front of both inputs of MatMul.
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
import { castTo, inputOf, named, graphOf, zeroPoints } from "./emitting.js";
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
  const lowering = new Lowering(model.graph, tables, channelFormats(sites, plan), weights);
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
  readonly #rests = new Map<Value, Value>();
  readonly #codes = new Map<string, Codes>();
  readonly #activations = new Map<Graph, Map<Value, Activation>>();
  readonly #fakes = new Map<Graph, Map<Value, Map<string, Value>>>();
  #zero: Value | undefined;
  readonly #zeros: (count: number) => Value;
  readonly #root: Graph;
  readonly #tables: ReadonlySet<Value>;
  readonly #formats: ReadonlyMap<Value, ChannelFormat>;
  readonly #rounded: RoundedWeights;

  constructor(
    root: Graph,
    tables: ReadonlySet<Value>,
    formats: ReadonlyMap<Value, ChannelFormat>,
    rounded: RoundedWeights,
  ) {
    this.#rounded = rounded;
    this.#root = root;
    this.#zeros = zeroPoints(root);
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
    return castTo(at, this.#withBias(at, site, scaled), site.output.dtype);
  }

  staticProduct(site: LinearSite, range: Range, terms: 1 | 2): Value {
    const at = site.node;
    const { weight } = site;
    const stored = this.#weight(weight);
    const x = this.#fakeQuantized(at, inputOf(at, 0), range);
    const w = this.#dequantized(at, stored, weight);
    let product = emit(at, "MatMul", [x, w], {}, named(site, "int8"));
    if (terms === 2) {
      const rest = this.#rest(at, inputOf(at, 0), x, restOf(asymmetric(range)));
      const second = emit(at, "MatMul", [rest, w], {}, named(site, "rest"));
      product = emit(at, "Add", [product, second]);
    }
    if (site.bias === undefined) {
      this.#keepFromRelu(site.output);
      return castTo(at, product, site.output.dtype);
    }
    // Where all dims but the last are known, or there are two, onnxruntime makes MatMul and Add a Gemm whose float bias keeps it in float; it leaves Sum alone.
    const dims = site.output.shape?.slice(0, -1);
    const open = dims !== undefined && dims.length > 1 && dims.some((d) => typeof d !== "number");
    const bias = castTo(at, site.bias, "float32");
    const sum = emit(at, open ? "Add" : "Sum", [product, bias], {}, named(site, "bias"));
    return castTo(at, sum, site.output.dtype);
  }

  /** onnxruntime leaves a product in float whose float result goes into Relu right away; Max with 0 is the same, and as fast. */
  #keepFromRelu(output: Value): void {
    if (output.dtype !== "float32") return;
    const relus = [...output.consumers()].filter(({ op }) => op === "Relu");
    for (const relu of relus) {
      this.#zero ??= this.#root.addInitializer("zero", float32Tensor(0));
      const result = emit(relu, "Max", [output, this.#zero]);
      result.dtype = output.dtype;
      result.shape = output.shape;
      graphOf(relu).replaceUses(relu.output(), result);
      graphOf(relu).removeNode(relu);
    }
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
    return castTo(at, this.#withBias(at, site, product), site.output.dtype);
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
    return castTo(at, emit(at, "Mul", [float, rowScales]), site.output.dtype);
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
    return castTo(at, emit(at, "Reshape", [scaled, shape]), site.output.dtype);
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

  /** Q → DQ of an activation, one pair for all products of a graph that read it over the same range. */
  #fakeQuantized(at: Node, value: Value, range: Range): Value {
    const { scale, zeroPoint } = asymmetric(range);
    const key = `${scale} ${zeroPoint}`;
    const graph = graphOf(at);
    const known = this.#fakes.get(graph) ?? new Map<Value, Map<string, Value>>();
    this.#fakes.set(graph, known);
    const pairs = known.get(value) ?? new Map<string, Value>();
    known.set(value, pairs);
    let result = pairs.get(key);
    if (result === undefined) {
      const constants = [
        this.#root.addInitializer(`${value.name}_scale`, float32Tensor(scale)),
        this.#root.addInitializer(
          `${value.name}_zero_point`,
          tensorOf("uint8", [], Uint8Array.of(zeroPoint)),
        ),
      ];
      const q = emit(at, "QuantizeLinear", [castTo(at, value, "float32"), ...constants]);
      result = emit(at, "DequantizeLinear", [q, ...constants]);
      pairs.set(key, result);
    }
    return result;
  }

  /** What the codes of a value leave, as codes itself; once for all products that read it. */
  #rest(at: Node, value: Value, coded: Value, range: Range): Value {
    const known = this.#rests.get(coded);
    if (known !== undefined) return known;
    const rest = emit(at, "Sub", [castTo(at, value, "float32"), coded]);
    const result = this.#fakeQuantized(at, rest, range);
    this.#rests.set(coded, result);
    return result;
  }

  /** A weight as [K, N] through DequantizeLinear; a shared table is dequantized per row and turned afterwards. */
  #dequantized(at: Node, stored: Codes, view: MatrixView): Value {
    const asStored = view.transposed && this.#tables.has(view.initializer);
    const scales = this.#scales(stored, view, [view.cols]);
    const zeros = this.#zeros(view.cols);
    const axis = asStored ? 0 : 1;
    const w = emit(at, "DequantizeLinear", [stored.codes, scales, zeros], { axis });
    return asStored ? emit(at, "Transpose", [w], { perm: [1, 0] }) : w;
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

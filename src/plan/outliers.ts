// Splits outlier channels off: a few channels of a feed-forward block hold its whole range, so they are computed beside it in float and the range of
// the rest is theirs alone. Found by the weights, without data; the float function stays the same.
import { emit } from "../graph/match.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { evaluate } from "../ops/evaluate.js";
import { float32Tensor, lazyTensor, tensorOf, type Tensor } from "../onnx/tensor.js";
import { floatsOf, scalarOf } from "../onnx/values.js";
import { hasTrait } from "../ops/traits.js";
import type { LinearSite, Site } from "../quant/sites.js";
import { LONGEST } from "./defaults.js";
import { loudChannels } from "./loud-channels.js";

/** A block up → f → down, f elementwise with f(0) = 0. */
interface Block {
  readonly up: LinearSite;
  readonly down: LinearSite;
  /** The nodes of f, in order. */
  readonly between: readonly Node[];
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

/**
 * Rewrites `model` in place and returns the number of channels split off. A channel's column of the up-projection becomes zero, hence its f too, and
 * x · column → f → · row is added behind the down-projection. Sites must have been found in this graph, and must be found anew afterwards.
 */
export function splitOutliers(model: Model, sites: readonly Site[]): number {
  const linear = sites.filter(
    (site): site is LinearSite => site.kind === "linear" && isPlain(site),
  );
  const byActivation = new Map(linear.map((site) => [site.activation, site]));
  const blocks = new Map<Value, Block[]>();
  for (const up of linear) {
    const block = blockFrom(up, byActivation);
    if (block === undefined) continue;
    const { initializer } = up.weight;
    blocks.set(initializer, [...(blocks.get(initializer) ?? []), block]);
  }
  let count = 0;
  for (const [weight, sharing] of blocks) {
    const [first] = sharing;
    // Layers that share the weight lose the same columns: all of them must be such blocks, with the same bias.
    if (first === undefined || readers(weight) !== sharing.length) continue;
    if (sharing.some(({ up }) => up.bias !== first.up.bias)) continue;
    const channels = channelsOf(first);
    if (channels.length === 0) continue;
    for (const block of sharing) setApart(model.graph, block, channels);
    clearColumns(
      model.graph,
      sharing.map(({ up }) => up),
      channels,
    );
    count += channels.length;
  }
  return count;
}

function channelsOf({ up, gamma, beta }: Block): number[] {
  return loudChannels(
    { ...up.weight, values: storedOf(up) },
    up.bias?.tensor && floatsOf(up.bias.tensor),
    floatsOf(gamma),
    floatsOf(beta),
  );
}

/** float32, in the main graph. */
function isPlain({ node, weight, output, activation }: LinearSite): boolean {
  return (
    node.graph?.root === node.graph &&
    activation.dtype === "float32" &&
    output.dtype === "float32" &&
    weight.initializer.dtype === "float32"
  );
}

/** Products that read a constant, directly or moved; NaN where something else reads it. */
function readers(value: Value): number {
  let count = 0;
  for (const use of value.uses) {
    if (use.kind !== "node") return NaN;
    const { op, outputs } = use.node;
    const [output, ...more] = outputs;
    if (op === "MatMul" || op === "Gemm") count++;
    else if (op === "Transpose" && output !== undefined && more.length === 0)
      count += readers(output);
    else return NaN;
  }
  return count;
}

function storedOf({ weight }: LinearSite): Float32Array {
  const { tensor } = weight.initializer;
  if (tensor === undefined) throw new Error("internal: a weight without its tensor");
  return floatsOf(tensor);
}

function blockFrom(
  up: LinearSite,
  byActivation: ReadonlyMap<Value, LinearSite>,
): Block | undefined {
  const norm = normOf(up.activation, up.weight.rows);
  const between = norm && elementwiseFrom(up.output);
  if (norm === undefined || between === undefined) return undefined;
  const down = byActivation.get(between.at(-1)?.output() ?? up.output);
  if (down === undefined || down.weight.rows !== up.weight.cols) return undefined;
  if (down.activation.onlyUse?.node !== down.node || !keepsZero(between, up.output))
    return undefined;
  return { up, down, between, ...norm };
}

/** Gain and offset of the normalization that makes a value, as an operator or spelled out: Add(Mul(…, γ), β). */
function normOf(value: Value, channels: number): { gamma: Tensor; beta: Tensor } | undefined {
  const vector = (v: Value | undefined) =>
    v?.isConstant === true && v.tensor?.dims.join() === String(channels) ? v.tensor : undefined;
  const node = value.producer;
  if (node?.op === "LayerNormalization") {
    const [gamma, beta] = [vector(node.input(1)), vector(node.input(2))];
    return gamma && beta && { gamma, beta };
  }
  if (node?.op !== "Add") return undefined;
  for (const i of [0, 1]) {
    const beta = vector(node.input(i));
    const scaled = node.input(1 - i)?.producer;
    const gamma =
      scaled?.op === "Mul" ? (vector(scaled.input(0)) ?? vector(scaled.input(1))) : undefined;
    if (beta !== undefined && gamma !== undefined) return { gamma, beta };
  }
  return undefined;
}

/** The nodes that read `start`, and what they make, up to the one value that goes on; undefined where it is not elementwise or branches off. */
function elementwiseFrom(start: Value): Node[] | undefined {
  const nodes: Node[] = [];
  const inside = new Set<Value>([start]);
  const open = new Set<Value>([start]);
  while (nodes.length < LONGEST) {
    const next = [...open]
      .flatMap((value) => [...value.consumers()])
      .find((node) => !nodes.includes(node) && fits(node, inside));
    if (next === undefined) return undefined;
    nodes.push(next);
    inside.add(next.output());
    open.add(next.output());
    for (const value of open)
      if (!value.isOutput && [...value.consumers()].every((node) => nodes.includes(node)))
        open.delete(value);
    const [only] = open;
    // What goes on is one value, read by nothing elementwise: the block ends where a product reads it.
    if (open.size === 1 && only === next.output() && only.onlyUse !== undefined && isProduct(only))
      return nodes;
  }
  return undefined;
}

function isProduct(value: Value): boolean {
  const op = value.onlyUse?.node.op;
  return op === "MatMul" || op === "Gemm";
}

function fits(node: Node, inside: ReadonlySet<Value>): boolean {
  return (
    hasTrait(node, "elementwise") &&
    node.outputs.length === 1 &&
    node.inputs.every((value) => value !== undefined && (inside.has(value) || isSingle(value)))
  );
}

function isSingle(value: Value): boolean {
  return value.isConstant && (value.tensor?.dims ?? [2]).every((dim) => dim === 1);
}

/** Whether the block computes 0 from 0. */
function keepsZero(nodes: readonly Node[], start: Value): boolean {
  const known = new Map<Value, Tensor>([[start, float32Tensor(0)]]);
  for (const node of nodes) {
    // Nobody evaluates these.
    if (hasTrait(node, "gelu")) known.set(node.output(), float32Tensor(0));
    else {
      const inputs = node.inputs.map((value) => value && (known.get(value) ?? value.tensor));
      const [result] = evaluate(node, inputs) ?? [];
      if (result === undefined) return false;
      known.set(node.output(), result);
    }
  }
  const last = nodes.at(-1);
  const result = last && known.get(last.output());
  return result !== undefined && scalarOf(result) === 0;
}

function setApart(graph: Graph, { up, down, between }: Block, channels: readonly number[]): void {
  const at = down.node;
  const m = channels.length;
  // Names by which a reader of the sites sees what they belong to.
  const narrow = (
    site: LinearSite,
    what: string,
    dims: readonly number[],
    values: Float32Array,
  ): Value =>
    graph.addInitializer(`${site.name}.outliers.${what}`, tensorOf("float32", dims, values));
  const columns = narrow(up, "weight", [up.weight.rows, m], columnsOf(up, channels));
  const rows = narrow(down, "weight", [m, down.weight.cols], rowsOf(down, channels));
  let value = emit(at, "MatMul", [up.activation, columns]);
  const bias = up.bias?.tensor;
  if (bias !== undefined)
    value = emit(at, "Add", [value, narrow(up, "bias", [m], pickFrom(floatsOf(bias), channels))]);
  const copies = new Map<Value, Value>([[up.output, value]]);
  for (const node of between) {
    const inputs = node.inputs.map((input) => input && (copies.get(input) ?? input));
    copies.set(node.output(), emit(at, node.op, inputs, Object.fromEntries(node.attributes)));
  }
  const narrowed = copies.get(down.activation);
  if (narrowed === undefined) throw new Error("internal: the block has no end");
  const beside = emit(at, "MatMul", [narrowed, rows]);
  beside.dtype = down.output.dtype;
  beside.shape = down.output.shape;
  for (const v of copies.values()) v.dtype = "float32";
  addBehind(graph, down, beside);
}

/** Adds to the output of a layer, behind its bias, so that the layer stays as it is. */
function addBehind(graph: Graph, { node, biasAdd, output }: LinearSite, beside: Value): void {
  const last = biasAdd ?? node;
  const uses = [...output.uses];
  const sum = graph.addNode({ op: "Sum", inputs: [output, beside], before: last.next }).output();
  sum.dtype = output.dtype;
  sum.shape = output.shape;
  graph.replaceUses(output, sum, uses);
}

/** The up-projection with zeros in place of the channels, weight and bias; the weight under the name that it had. */
function clearColumns(graph: Graph, ups: readonly LinearSite[], channels: readonly number[]): void {
  const [up] = ups;
  const source = up?.weight.initializer.tensor;
  if (up === undefined || source === undefined)
    throw new Error("internal: a weight without its tensor");
  const { initializer, cols, rows, transposed } = up.weight;
  replaceConstant(graph, initializer, source, (values) => {
    for (const c of channels)
      for (let k = 0; k < rows; k++) values[transposed ? c * rows + k : k * cols + c] = 0;
  });
  const bias = up.bias;
  if (bias?.tensor === undefined) return;
  const cleared = floatsOf(bias.tensor).slice();
  for (const c of channels) cleared[c] = 0;
  const made = graph.addInitializer(
    `${bias.name}_cleared`,
    tensorOf("float32", bias.tensor.dims, cleared),
  );
  for (const { node, biasAdd } of ups) {
    const reader = biasAdd ?? node;
    reader.setInput(reader.inputs.indexOf(bias), made);
  }
  takeName(graph, bias, made);
}

function replaceConstant(
  graph: Graph,
  value: Value,
  source: Tensor,
  change: (values: Float32Array) => void,
): void {
  const made = graph.addInitializer(
    `${value.name}_cleared`,
    lazyTensor("float32", source.dims, () => {
      const values = floatsOf(source).slice();
      change(values);
      return bytesOf(values);
    }),
  );
  graph.replaceUses(value, made);
  takeName(graph, value, made);
}

/** The new constant goes by the old one's name, which the site has its name from. */
function takeName(graph: Graph, old: Value, made: Value): void {
  const { name } = old;
  graph.rename(old, graph.freshName(`${name}_whole`));
  graph.rename(made, name);
}

/** Some columns of W [K, N], as [K, channels]. */
function columnsOf(site: LinearSite, channels: readonly number[]): Float32Array {
  const { rows, cols, transposed } = site.weight;
  const stored = storedOf(site);
  const out = new Float32Array(rows * channels.length);
  for (let k = 0, i = 0; k < rows; k++)
    for (const c of channels) out[i++] = stored[transposed ? c * rows + k : k * cols + c] ?? 0;
  return out;
}

/** Some rows of W [K, N], as [channels, N]. */
function rowsOf(site: LinearSite, channels: readonly number[]): Float32Array {
  const { rows, cols, transposed } = site.weight;
  const stored = storedOf(site);
  const out = new Float32Array(channels.length * cols);
  let i = 0;
  for (const c of channels)
    for (let n = 0; n < cols; n++) out[i++] = stored[transposed ? n * rows + c : c * cols + n] ?? 0;
  return out;
}

function pickFrom(values: Float32Array, places: readonly number[]): Float32Array {
  return Float32Array.from(places, (place) => values[place] ?? 0);
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

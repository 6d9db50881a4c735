// Finds the places that can run in 8 bits, by structure alone: linear layers, attention products, embedding lookups, convolutions.
import type { Model } from "../graph/model.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { residualsOf } from "./residual-sites.js";
import { namer } from "./site-names.js";
import { matrixOf, type MatrixView } from "./weight-view.js";

export interface SiteBase {
  /** Stable and unique in the model; made from the weight's name, or the site's place. */
  readonly name: string;
  readonly node: Node;
  /** True where no input of the model reaches the activation: the runtime computes such a product once, on loading. */
  readonly constantInput: boolean;
}

/** Activation × constant weight [K, N], with or without a bias [N]. */
export interface LinearSite extends SiteBase {
  readonly kind: "linear";
  readonly activation: Value;
  readonly weight: MatrixView;
  readonly bias: Value | undefined;
  /** The value after the bias: what the layer hands on. */
  readonly output: Value;
  /** The Add that holds the bias; undefined where there is none or the product holds it itself. */
  readonly biasAdd: Node | undefined;
}

/** Rows of a constant table [rows, width], looked up by integer indices. */
export interface EmbeddingSite extends SiteBase {
  readonly kind: "embedding";
  readonly table: MatrixView;
  readonly indices: Value;
  /** A product reads the table, too: one scale per row serves both. */
  readonly tied: boolean;
  readonly output: Value;
}

/** A product of two activations. */
export interface AttentionSite extends SiteBase {
  readonly kind: "attention";
  readonly left: Value;
  readonly right: Value;
  readonly output: Value;
}

/** The sum of a block's result and of what goes around the block. */
export interface ResidualSite extends SiteBase {
  readonly kind: "residual";
  /** What goes around the block. */
  readonly skip: Value;
  /** The block's result: that of a linear layer, its bias added. */
  readonly branch: Value;
  readonly output: Value;
}

export interface ConvolutionSite extends SiteBase {
  readonly kind: "convolution";
  readonly activation: Value;
  readonly weight: Value;
  readonly output: Value;
}

/** A product with a constant that no rule can read as a weight [K, N]; always left in float, with this reason. */
export interface OpaqueSite extends SiteBase {
  readonly kind: "opaque";
  readonly output: Value;
  readonly reason: string;
}

export type Site =
  | LinearSite
  | EmbeddingSite
  | AttentionSite
  | ResidualSite
  | ConvolutionSite
  | OpaqueSite;
export type SiteKind = Site["kind"];

type Found<S extends Site = Exclude<Site, ResidualSite>> = S extends Site
  ? Omit<S, "name" | "constantInput" | "tied">
  : never;

interface SiteRule {
  readonly find: (node: Node) => Found | undefined;
}

/**
 * All sites in the order of the graph, bodies of If, Loop and Scan included. Types must have been inferred. Weights are those that the graph
 * holds as constants; nothing is read from disk.
 */
export function findSites(model: Model): Site[] {
  const live = reachedByInputs(model.graph);
  const nameOf = namer();
  const all = [...model.graph.allNodes()].flatMap((node) => RULES[node.op]?.find(node) ?? []);
  const products = new Set(
    all.flatMap((found) => (found.kind === "linear" ? [found.weight.initializer] : [])),
  );
  const sites: Site[] = [];
  const telling = tellingBiases(all);
  for (const found of all) {
    const fallback = `${found.node.opType.toLowerCase()}.${sites.length}`;
    const name = nameOf(nameCandidates(found, telling), fallback);
    const constantInput = activationsOf(found).every((value) => !live.has(value));
    const base = { name, constantInput };
    sites.push(
      found.kind === "embedding"
        ? { ...found, ...base, tied: products.has(found.table.initializer) }
        : { ...found, ...base },
    );
  }
  return inOrder(model, sites, residualsOf(model, sites));
}

/** Residuals are named after the layers in front of them, so they are found last; they stand in the order of the graph all the same. */
function inOrder(model: Model, sites: Site[], residuals: readonly ResidualSite[]): Site[] {
  if (residuals.length === 0) return sites;
  const all = [...sites, ...residuals];
  const places = new Map([...model.graph.allNodes()].map((node, i) => [node, i]));
  const placeOf = ({ node }: Site): number => places.get(node) ?? 0;
  return all.toSorted((a, b) => placeOf(a) - placeOf(b));
}

const matMul: SiteRule = {
  find(node) {
    const [left, right] = node.inputs;
    if (left === undefined || right === undefined || !isFloat(node)) return undefined;
    const output = node.output();
    const weight = matrixOf(right);
    if (weight !== undefined) return linear(node, left, weight, undefined);
    if (isConstantRooted(right))
      return { kind: "opaque", node, output, reason: "its weight has more than two dims" };
    if (isConstantRooted(left))
      return { kind: "opaque", node, output, reason: "its constant stands on the left" };
    return { kind: "attention", node, left, right, output };
  },
};

const gemm: SiteRule = {
  find(node) {
    const [left, right, bias] = node.inputs;
    if (left === undefined || right === undefined || !isFloat(node)) return undefined;
    const view = matrixOf(right);
    const output = node.output();
    if (view === undefined)
      return isConstantRooted(right)
        ? { kind: "opaque", node, output, reason: "its weight is no plain matrix" }
        : { kind: "attention", node, left, right, output };
    if (node.int("transA", 0) !== 0)
      return { kind: "opaque", node, output, reason: "its activation is transposed (transA)" };
    if (node.float("alpha", 1) !== 1 || (bias !== undefined && node.float("beta", 1) !== 1))
      return { kind: "opaque", node, output, reason: "alpha or beta is not 1" };
    const weight = node.int("transB", 0) === 0 ? view : flip(view);
    if (bias === undefined) return linear(node, left, weight, undefined);
    if (!isBias(bias, weight.cols))
      return { kind: "opaque", node, output, reason: "its third input is no constant bias" };
    return linear(node, left, weight, bias);
  },
};

const gather: SiteRule = {
  find(node) {
    const [source, indices] = node.inputs;
    if (source === undefined || indices === undefined) return undefined;
    const table = matrixOf(source);
    if (table === undefined || source.rank !== 2) return undefined;
    const axis = node.int("axis", 0);
    if (axis !== 0 && axis !== -2) return undefined;
    return { kind: "embedding", node, table, indices, output: node.output() };
  },
};

const convolution: SiteRule = {
  find(node) {
    const [activation, weight] = node.inputs;
    if (activation === undefined || weight?.isConstant !== true || !isFloat(node)) return undefined;
    return { kind: "convolution", node, activation, weight, output: node.output() };
  },
};

/** An operator that has weights among its inputs and no INT8 form: told with its reason, not silently left out. */
function opaque(reason: string): SiteRule {
  return {
    find(node) {
      const holds = node.inputs.some((v) => v?.isConstant === true && (v.rank ?? 0) >= 2);
      return holds ? { kind: "opaque", node, output: node.output(), reason } : undefined;
    },
  };
}

const fused = opaque("a fused operator holds its weights itself; export the model without fusion");
const einsum = opaque("an Einsum with a weight has no form in INT8");

const RULES: Partial<Record<string, SiteRule>> = {
  MatMul: matMul,
  Gemm: gemm,
  Gather: gather,
  Conv: convolution,
  "com.microsoft.FusedMatMul": fused,
  "com.microsoft.FusedGemm": fused,
  "com.microsoft.Attention": fused,
  "com.microsoft.EmbedLayerNormalization": fused,
  LSTM: fused,
  GRU: fused,
  Einsum: einsum,
};

function linear(node: Node, activation: Value, weight: MatrixView, bias: Value | undefined): Found {
  const product = node.output();
  const base = { kind: "linear", node, activation, weight } as const;
  if (bias !== undefined) return { ...base, bias, biasAdd: undefined, output: product };
  const use = product.onlyUse;
  const add = use?.node;
  const other =
    add?.op === "Add" && add.graph === node.graph ? add.input(1 - use!.index) : undefined;
  if (add === undefined || other === undefined || !isBias(other, weight.cols))
    return { ...base, bias: undefined, biasAdd: undefined, output: product };
  return { ...base, bias: other, biasAdd: add, output: add.output() };
}

function flip(view: MatrixView): MatrixView {
  return { ...view, rows: view.cols, cols: view.rows, transposed: !view.transposed };
}

/** A constant of N elements along the last dim. */
function isBias(value: Value, n: number): boolean {
  const dims = value.isConstant ? value.tensor?.dims : undefined;
  return dims !== undefined && dims.at(-1) === n && dims.slice(0, -1).every((d) => d === 1);
}

function isFloat(node: Node): boolean {
  const dtype = node.output().dtype ?? node.input(0)?.dtype;
  return dtype === "float32" || dtype === "float16" || dtype === "bfloat16" || dtype === undefined;
}

/** True for a constant, and for a value that is made of one by moving its elements. */
function isConstantRooted(value: Value): boolean {
  let at: Value | undefined = value;
  for (let i = 0; at !== undefined && i < 8; i++) {
    if (at.isConstant) return true;
    at = at.producer?.inputs.length === 1 ? at.producer.input(0) : undefined;
  }
  return false;
}

function activationsOf(site: Found): readonly Value[] {
  switch (site.kind) {
    case "linear":
    case "convolution":
      return [site.activation];
    case "embedding":
      return [site.indices];
    case "attention":
      return [site.left, site.right];
    case "opaque":
      return site.node.inputs.filter((v): v is Value => v !== undefined);
  }
}

/** Biases that tell which layer reads them: exporters make one initializer of equal ones, which then bears the name of any of their readers. */
function tellingBiases(all: readonly Found[]): ReadonlySet<Value> {
  const readers = new Map<Value, Value[]>();
  for (const site of all)
    if (site.kind === "linear" && site.bias !== undefined)
      readers.set(site.bias, [...(readers.get(site.bias) ?? []), site.weight.initializer]);
  return new Set(
    [...readers]
      .filter(([bias, weights]) => bias.uses.size === weights.length && new Set(weights).size === 1)
      .map(([bias]) => bias),
  );
}

function nameCandidates(site: Found, telling: ReadonlySet<Value>): (string | undefined)[] {
  switch (site.kind) {
    case "linear": {
      const bias = site.bias !== undefined && telling.has(site.bias) ? site.bias.name : undefined;
      return [site.weight.initializer.name, bias, site.node.name, site.output.name];
    }
    case "embedding":
      return [site.table.initializer.name, site.node.name];
    case "convolution":
      return [site.weight.name, site.node.name];
    case "attention":
    case "opaque":
      return [site.node.name, site.output.name];
  }
}

/** Values that depend on an input of the model, in all graphs; linear time, nodes being in order. */
function reachedByInputs(graph: Graph): Set<Value> {
  const live = new Set<Value>();
  const visit = (g: Graph): void => {
    for (const input of g.inputs) if (input.tensor === undefined) live.add(input);
    for (const node of g.nodes()) {
      for (const sub of node.subgraphs()) visit(sub);
      const reached =
        [...node.subgraphs()].length > 0 ||
        node.inputs.some((value) => value !== undefined && live.has(value));
      if (reached) for (const value of node.outputs) if (value !== undefined) live.add(value);
    }
  };
  visit(graph);
  return live;
}

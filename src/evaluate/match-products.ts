// Finds the places that two graphs have in common: products and look-ups of either, quantized by whatever tool or float, and which are the same.
import type { Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES } from "../onnx/dtypes.js";
import { inferTypes } from "../ops/infer.js";
import { hasTrait } from "../ops/traits.js";
import { hoistConstants } from "../passes/constants.js";
import { inlineFunctions } from "../passes/functions.js";
import type { SiteErrorReport } from "../report/report.js";
import { floatTarget } from "../targets/all.js";

/** A product or a look-up, with the value of real numbers that it hands on: its bias added, its scales applied. */
export interface Product {
  readonly name: string;
  readonly kind: string;
  readonly shape: readonly number[];
  readonly value: Value;
}

export interface MatchedProduct {
  readonly reference: Product;
  readonly candidate: Product;
  readonly matched: SiteErrorReport["matched"];
}

/** The products of a graph in its order; the graph is brought into a form in which they show (functions inlined, constants named, types known). */
export function productsOf(model: Model): Product[] {
  inlineFunctions(model);
  hoistConstants(model);
  inferTypes(model);
  // Names are the same for a float product and for the integer product that a tool made of it.
  const findings = floatTarget("cpu").lint?.(model) ?? [];
  return findings.flatMap(({ name, kind, shape, node }): Product[] => {
    const value = node.graph === model.graph ? resultOf(node) : undefined;
    return value === undefined ? [] : [{ name, kind, shape, value }];
  });
}

/** Undefined where no real number comes of a node, or where it is taken on by several before it is one. */
function resultOf(node: Node): Value | undefined {
  let value = node.outputs[0];
  if (value !== undefined && !isReal(value)) value = scaledFrom(value);
  if (value === undefined) return undefined;
  const result = biased(value) ?? value;
  result.dtype ??= "float32";
  return result;
}

/** Types of what only a runtime knows (fused operators) are not inferred: those hand on real numbers. */
function isReal({ dtype }: Value): boolean {
  return dtype === undefined || DTYPES[dtype].kind === "float";
}

/** What makes real numbers of codes: DequantizeLinear, or Cast and the product with a scale. */
function scaledFrom(codes: Value): Value | undefined {
  const dequantized = [...codes.consumers()].find((node) => hasTrait(node, "dequantizes"));
  if (dequantized !== undefined) return dequantized.output();
  const cast = codes.onlyUse?.node;
  if (cast?.op !== "Cast") return undefined;
  const scale = cast.output().onlyUse?.node;
  if (scale?.op !== "Mul") return cast.output();
  // Rows of a table whose blocks have scales of their own are put together again.
  const whole = codes.producer?.op === "Gather" ? scale.output().onlyUse?.node : undefined;
  return (whole?.op === "Reshape" ? whole : scale).output();
}

/** The value behind the bias, which may stand behind Q/DQ; undefined where there is none. */
function biased(product: Value): Value | undefined {
  let value = product;
  for (const step of ["quantizes", "dequantizes"] as const) {
    const next = value.onlyUse?.node;
    if (next !== undefined && hasTrait(next, step)) value = next.output();
  }
  const use = value.onlyUse;
  const add = use?.node;
  if (use === undefined || add === undefined || !hasTrait(add, "sum")) return undefined;
  const others = add.inputs.filter((_, i) => i !== use.index);
  const isBias = others.length === 1 && isConstantVector(others[0]);
  return isBias ? add.output() : undefined;
}

/** A constant with one long dim, the last, or the DequantizeLinear of such. */
function isConstantVector(value: Value | undefined): boolean {
  const root =
    value?.producer !== undefined && hasTrait(value.producer, "dequantizes")
      ? value.producer.input(0)
      : value;
  const dims = root?.isConstant === true ? root.tensor?.dims : undefined;
  return dims !== undefined && dims.length > 0 && dims.slice(0, -1).every((dim) => dim === 1);
}

/**
 * Pairs of products that are the same one in both graphs: by their names (which come from weights, biases and nodes), else by the name of the
 * value they hand on, else by their order among those of the same kind and shape that are left.
 */
export function matchProducts(
  reference: readonly Product[],
  candidate: readonly Product[],
): { readonly pairs: readonly MatchedProduct[]; readonly unmatched: readonly Product[] } {
  const found = new Map<Product, MatchedProduct>();
  const taken = new Set<Product>();
  const pair = (left: Product, right: Product, matched: MatchedProduct["matched"]) => {
    found.set(left, { reference: left, candidate: right, matched });
    taken.add(right);
  };
  const byKey = (keyOf: (product: Product) => string, matched: MatchedProduct["matched"]) => {
    const there = new Map(candidate.filter((p) => !taken.has(p)).map((p) => [keyOf(p), p]));
    for (const left of reference) {
      const right = found.has(left) ? undefined : there.get(keyOf(left));
      if (right !== undefined && !taken.has(right)) pair(left, right, matched);
    }
  };
  byKey(({ kind, name }) => `${kind} ${name}`, "name");
  byKey(({ value }) => value.name, "value");
  const left = groups(reference.filter((product) => !found.has(product)));
  const right = groups(candidate.filter((product) => !taken.has(product)));
  for (const [key, list] of left) {
    const others = right.get(key) ?? [];
    // With some missing on one side, order tells nothing.
    if (others.length === list.length)
      for (const [i, product] of list.entries()) pair(product, others[i] as Product, "order");
  }
  return {
    pairs: reference.flatMap((product) => found.get(product) ?? []),
    unmatched: reference.filter((product) => !found.has(product)),
  };
}

function groups(products: readonly Product[]): Map<string, Product[]> {
  const map = new Map<string, Product[]>();
  for (const product of products) {
    const key = `${product.kind} ${product.shape.join("×")}`;
    const list = map.get(key) ?? [];
    list.push(product);
    map.set(key, list);
  }
  return map;
}

// What the lowerings share when they write nodes in a site's place.
import { emit } from "../graph/match.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES, type DType } from "../onnx/dtypes.js";
import type { EmbeddingSite, LinearSite } from "../quant/sites.js";

/** Of the operators that onnxruntime adds. */
export const ORT_DOMAIN = "com.microsoft";

export function importOrt(model: Model): void {
  if (!model.opsets.has(ORT_DOMAIN)) model.opsets.set(ORT_DOMAIN, 1);
}

/** What the node reads now: an earlier site's lowering may have replaced what the site was found with. */
export function inputOf(node: Node, index: number): Value {
  const value = node.input(index);
  if (value === undefined)
    throw new Error(`internal: ${node.op} "${node.name}" lost input ${index}`);
  return value;
}

export function named(site: LinearSite | EmbeddingSite, what: string): { name: string } {
  return { name: `${site.name}.${what}` };
}

export function castTo(at: Node, value: Value, dtype: DType | undefined): Value {
  if (dtype === undefined || value.dtype === undefined || value.dtype === dtype) return value;
  const cast = emit(at, "Cast", [value], { to: DTYPES[dtype].code });
  cast.dtype = dtype;
  return cast;
}

/** A float32 result as the type of the value whose place it takes. */
export function handOn(at: Node, result: Value, { dtype }: Value): Value {
  result.dtype = "float32";
  return castTo(at, result, dtype);
}

export function graphOf(node: Node): Graph {
  if (node.graph === undefined) throw new Error("internal: node without a graph");
  return node.graph;
}

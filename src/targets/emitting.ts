// What the lowerings share when they write nodes in a site's place.
import { emit } from "../graph/match.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { DTYPES, type DType } from "../onnx/dtypes.js";
import { tensorOf } from "../onnx/tensor.js";
import type { EmbeddingSite, LinearSite } from "../quant/sites.js";

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

export function graphOf(node: Node): Graph {
  if (node.graph === undefined) throw new Error("internal: node without a graph");
  return node.graph;
}

/** Zero points of symmetric codes per channel, one initializer for each number of channels. */
export function zeroPoints(root: Graph): (count: number) => Value {
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

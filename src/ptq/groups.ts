// Linear sites joined by what they share, an activation or a weight: what is done to one of a group is done to all.
import type { Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { Tensor } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";
import { hasTrait } from "../ops/traits.js";
import type { LinearSite, Site } from "../quant/sites.js";
import type { MatrixView } from "../quant/weight-view.js";
import type { Matrix } from "./products.js";

/** Activations and the weights that they share. */
export interface Group {
  readonly activations: Value[];
  readonly sites: LinearSite[];
  /** Sites that read one of the weights, too, with an activation that no input reaches: they follow what is done to the weight. */
  readonly constant: LinearSite[];
}

/**
 * Groups of the sites whose activation is float32 and whose weights nothing else reads (a table that embeddings read, too, must stay as it is), of the
 * graph itself, not of bodies.
 */
export function groupsOf(model: Model, sites: readonly Site[]): Group[] {
  const linear = sites.filter(
    (site): site is LinearSite => site.kind === "linear" && site.node.graph === model.graph,
  );
  const groups = new Map<Value, Group>();
  const all = new Set<Group>();
  for (const site of linear) {
    if (site.constantInput) continue;
    const keys = [site.activation, site.weight.initializer];
    const found = new Set(keys.flatMap((key) => groups.get(key) ?? []));
    const [group = { activations: [], sites: [], constant: [] }, ...others] = found;
    for (const other of others) {
      for (const activation of other.activations)
        if (!group.activations.includes(activation)) group.activations.push(activation);
      group.sites.push(...other.sites);
      all.delete(other);
    }
    group.sites.push(site);
    if (!group.activations.includes(site.activation)) group.activations.push(site.activation);
    all.add(group);
    for (const one of group.sites)
      for (const key of [one.activation, one.weight.initializer]) groups.set(key, group);
  }
  for (const site of linear)
    if (site.constantInput) groups.get(site.weight.initializer)?.constant.push(site);
  return [...all].filter((group) => {
    const members = [...group.sites, ...group.constant];
    return members.every(
      ({ weight, activation }) =>
        weight.rows === members[0]?.weight.rows &&
        activation.dtype === "float32" &&
        onlyProducts(weight.initializer, members),
    );
  });
}

/** Whether the weight is read by these sites alone, through operators that move its elements. */
function onlyProducts(value: Value, sites: readonly LinearSite[]): boolean {
  return [...value.uses].every((use) => {
    if (use.kind !== "node") return false;
    if (sites.some((site) => site.node === use.node)) return true;
    const [output, ...more] = use.node.outputs;
    return (
      use.node.inputs.length <= 2 &&
      more.length === 0 &&
      output !== undefined &&
      hasTrait(use.node, "same elements", "rearranges") &&
      onlyProducts(output, sites)
    );
  });
}

/** The weight as [K, N]. */
export function weightOf(view: MatrixView): Matrix {
  const source = view.initializer.tensor;
  if (source === undefined) throw new Error(`internal: "${view.initializer.name}" is no constant`);
  return { values: matrixFrom(source, view), rows: view.rows, cols: view.cols };
}

/** A copy of a weight as [K, N]. */
export function matrixFrom(source: Tensor, { rows, cols, transposed }: MatrixView): Float32Array {
  const stored = floatsOf(source);
  if (!transposed) return stored.slice();
  const out = new Float32Array(rows * cols);
  for (let n = 0; n < cols; n++)
    for (let k = 0; k < rows; k++) out[k * cols + n] = stored[n * rows + k] as number;
  return out;
}

// Finds residuals: sums of a block's result and of what goes around the block, by structure alone.
import type { Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { hasTrait } from "../ops/traits.js";
import type { LinearSite, ResidualSite, Site } from "./sites.js";

/** From a layer's product to the sum: its bias, casts, the share of outlier channels. */
const MOST_STEPS = 8;

/**
 * Each Add (or Sum of two) of two activations of one shape, of which one is the result of a linear layer that nothing else reads, and the other
 * is not; whose sum is normalized, or read more than once (the stream goes on beside the next block). Named after that layer: its site's
 * name and `.residual`.
 */
export function residualsOf(model: Model, sites: readonly Site[]): ResidualSite[] {
  const layers = new Map<Value, LinearSite>();
  for (const site of sites)
    if (site.kind === "linear" && !site.constantInput) layers.set(site.output, site);
  const residuals: ResidualSite[] = [];
  const named = new Map<string, number>();
  for (const node of model.graph.allNodes()) {
    const [a, b, more] = node.inputs;
    if (!hasTrait(node, "sum") || a === undefined || b === undefined || more !== undefined)
      continue;
    const output = node.output();
    if (a.isConstant || b.isConstant || a === b || !alike(a, b) || !goesOn(output)) continue;
    const [of, other] = [resultOf(a, layers), resultOf(b, layers)];
    const layer = of ?? other;
    if (layer === undefined || (of !== undefined && other !== undefined)) continue;
    const [branch, skip] = of === undefined ? [b, a] : [a, b];
    const count = (named.get(layer.name) ?? 0) + 1;
    named.set(layer.name, count);
    const name = `${layer.name}.residual${count === 1 ? "" : `#${count}`}`;
    residuals.push({ kind: "residual", name, node, skip, branch, output, constantInput: false });
  }
  return residuals;
}

/** The layer whose result a value is, where nothing else reads it. */
function resultOf(
  value: Value,
  layers: ReadonlyMap<Value, LinearSite>,
  steps = 0,
): LinearSite | undefined {
  if (value.onlyUse === undefined || steps > MOST_STEPS) return undefined;
  const layer = layers.get(value);
  if (layer !== undefined) return layer;
  const node = value.producer;
  if (node === undefined) return undefined;
  // Behind anything else that moves elements, the branch would have other channels than the layer.
  if (node.op === "Reshape" || hasTrait(node, "same elements")) return through(node, 0);
  if (!hasTrait(node, "sum") || node.inputs.length !== 2) return undefined;
  const [a, b] = node.inputs;
  if (a?.isConstant === true) return through(node, 1);
  if (b?.isConstant === true) return through(node, 0);
  // A layer in two parts, outlier channels apart.
  const parts = [through(node, 0), through(node, 1)];
  return parts.includes(undefined) ? undefined : parts[0];

  function through(at: Node, index: number): LinearSite | undefined {
    const input = at.input(index);
    return input && resultOf(input, layers, steps + 1);
  }
}

/** Sizes that are known are the same, and the element type. */
function alike(a: Value, b: Value): boolean {
  if (a.dtype !== b.dtype || (a.dtype !== undefined && !/^b?float/.test(a.dtype))) return false;
  if (a.shape === undefined || b.shape === undefined) return true;
  if (a.shape.length !== b.shape.length) return false;
  return a.shape.every((dim, i) => {
    const other = b.shape?.[i];
    return typeof dim !== "number" || typeof other !== "number" || dim === other;
  });
}

function goesOn(sum: Value): boolean {
  const readers = new Set(sum.consumers());
  if (readers.size > 1) return true;
  const [reader] = readers;
  return reader !== undefined && hasTrait(reader, "normalization") && reader.input(0) === sum;
}

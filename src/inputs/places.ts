// How many places a table of positions has behind a convolution: it fixes the size of images and sounds that the graph leaves open.
import type { Node, Value } from "../graph/graph.js";
import { hasTrait } from "../ops/traits.js";
import { constantShape } from "./structure.js";

/** Nodes that are visited from a convolution on. */
const MAX_NODES = 96;

/** Rows N of the first constant [N, D] or [1, N, D] that is added on the way from `first`; undefined where there is none. */
export function placesBehind(first: Node): number | undefined {
  const seen = new Set<Node>([first]);
  for (const node of seen) {
    if (seen.size > MAX_NODES) return undefined;
    for (const output of node.outputs)
      for (const next of output?.consumers() ?? []) {
        const rows = hasTrait(next, "sum") ? tableRows(next, output) : undefined;
        if (rows !== undefined) return rows;
        if (isBetween(next)) seen.add(next);
      }
  }
  return undefined;
}

/** What may stand between a convolution and the table that is added to what it gives: it places elements anew, or computes each for itself. */
function isBetween(node: Node): boolean {
  const { op } = node;
  return (
    op === "Conv" || op === "Concat" || hasTrait(node, "elementwise", "same elements", "rearranges")
  );
}

function tableRows(add: Node, value: Value | undefined): number | undefined {
  if (add.inputs.length !== 2) return undefined;
  const other = add.input(add.input(0) === value ? 1 : 0);
  const dims = constantShape(other);
  if (dims === undefined || dims.length < 2 || dims.length > 3) return undefined;
  if (dims.length === 3 && dims[0] !== 1) return undefined;
  const [rows = 1, width = 1] = dims.slice(-2);
  return rows > 1 && width > 1 ? rows : undefined;
}

/** Tokens beside the patches that a table of an image may have rows for: a class token, one for distillation. */
const MOST_EXTRA = 2;

/** Patches per side of a square image, from the rows of its table of positions; undefined where they make no square. */
export function gridOf(rows: number): number | undefined {
  for (let extra = 0; extra <= MOST_EXTRA; extra++) {
    const side = Math.sqrt(rows - extra);
    if (Number.isInteger(side) && side > 1) return side;
  }
  return undefined;
}

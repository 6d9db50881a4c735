// The operands of a site that a plan gives ranges to, and what is known of them without looking at data.
import type { Value } from "../graph/graph.js";
import { hasTrait } from "../ops/traits.js";
import type { Range } from "./plan.js";
import type { Site } from "./sites.js";

/** As a plan calls them. */
export const OPERANDS = ["activation", "second"] as const;
export type Operand = (typeof OPERANDS)[number];

/** The value that a site's plan means by an operand; undefined where the site has none. */
export function operandOf(site: Site, operand: Operand): Value | undefined {
  switch (site.kind) {
    case "linear":
    case "convolution":
      return operand === "activation" ? site.activation : undefined;
    case "attention":
      return operand === "activation" ? site.left : site.right;
    case "residual":
      return operand === "activation" ? site.skip : site.branch;
    case "embedding":
    case "opaque":
      return undefined;
  }
}

/** Probabilities need no data. */
export const UNIT: Range = { min: 0, max: 1 };

const MOST_STEPS = 8;

/** Whether a value is what a Softmax makes: moved, or guarded against NaN, but not computed with. */
export function isProbability(value: Value): boolean {
  let at: Value | undefined = value;
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const node: Value["producer"] = at?.producer;
    if (node === undefined) return false;
    if (node.op === "Softmax") return true;
    // Where(IsNaN(p), 0, p)
    const guarded: boolean =
      node.op === "Where" &&
      node.input(0)?.producer?.op === "IsNaN" &&
      node.input(1)?.isConstant === true;
    if (!guarded && !hasTrait(node, "same elements", "rearranges")) return false;
    at = guarded ? node.input(2) : node.input(0);
  }
  return false;
}

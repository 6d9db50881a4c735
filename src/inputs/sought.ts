// The token that a graph looks for in its ids (the end of a text, whose place is pooled): without it in each row such a graph fails.
import type { Node, Value } from "../graph/graph.js";
import { hasTrait } from "../ops/traits.js";
import { constantNumber, passedInputs } from "./structure.js";

const MAX_STEPS = 64;
/** Operators by which the places of what was found are told. */
const PLACING: ReadonlySet<string> = new Set(["NonZero", "ArgMax", "Compress"]);

/** The constant c of `NonZero(Equal(ids, c))` and the like; undefined where the graph looks for nothing. */
export function soughtToken(ids: Value): number | undefined {
  const seen = new Set<Value>([ids]);
  for (const value of seen) {
    if (seen.size > MAX_STEPS) return undefined;
    for (const node of value.consumers()) {
      if (node.op === "Equal") {
        const token = constantNumber(node.input(node.input(0) === value ? 1 : 0));
        if (token !== undefined && isPlaced(node)) return token;
      }
      if (hasTrait(node, "same elements")) seen.add(node.output());
    }
  }
  return undefined;
}

function isPlaced(equal: Node): boolean {
  const seen = new Set<Node>([equal]);
  for (const node of seen) {
    if (seen.size > MAX_STEPS) return false;
    for (const output of node.outputs)
      for (const next of output?.consumers() ?? []) {
        if (PLACING.has(next.op)) return true;
        if (passedInputs(next).length > 0) seen.add(next);
      }
  }
  return false;
}

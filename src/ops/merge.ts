// What two facts about one value have in common: a branch or the other, one turn of a loop or the next.
import type { Dim } from "../graph/graph.js";
import { equalDims } from "./symbols.js";
import type { Fact } from "./facts.js";

/** What holds whichever of the two holds; dims that differ become unknown. */
export function merged(a: Fact, b: Fact): Fact {
  const sequence = a.sequence && b.sequence && merged(a.sequence, b.sequence);
  const shape = commonShape(a.shape, b.shape);
  return {
    dtype: a.dtype === b.dtype ? a.dtype : undefined,
    shape,
    elements:
      a.elements !== undefined && a.elements.length === b.elements?.length
        ? a.elements.map((e, i) => common(e, b.elements?.[i] ?? null))
        : undefined,
    tensor: a.tensor === b.tensor ? a.tensor : undefined,
    sequence,
  };
}

/** The dims that two shapes share; undefined where their ranks differ. */
export function commonShape(
  a: readonly Dim[] | undefined,
  b: readonly Dim[] | undefined,
): readonly Dim[] | undefined {
  if (a === undefined || b === undefined || a.length !== b.length) return undefined;
  return a.map((d, i) => common(d, b[i] ?? null));
}

const common = (a: Dim, b: Dim): Dim => (equalDims(a, b) === true ? a : null);

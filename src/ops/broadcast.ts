// The shape that numpy-style broadcasting gives, with symbols.
import type { Dim } from "../graph/graph.js";
import { equalDims, lessDims, minDims } from "./symbols.js";

/** One dim against another one, in a graph that is valid: they are equal, or one of them is 1. */
export function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === 1) return b;
  if (b === 1) return a;
  if (typeof a === "number" && typeof b === "number") return a === b ? a : null;
  if (typeof a === "number") return a;
  if (typeof b === "number") return b;
  if (equalDims(a, b) === true) return a;
  // One that is surely above 1 is the result.
  if (lessDims(1, a) === true) return a;
  if (lessDims(1, b) === true) return b;
  // Min(512, seq) against seq: equal as long as seq <= 512; beyond, 512 and seq do not broadcast.
  return cappedBy(a, b) ?? cappedBy(b, a);
}

/** `b`, where `a` is b or a number above 0, whichever is less. */
function cappedBy(a: Dim, b: Dim): Dim {
  if (typeof a !== "string") return null;
  const cap = /^Min\((\d+), /.exec(a)?.[1];
  return cap !== undefined && Number(cap) > 0 && minDims(Number(cap), b) === a ? b : null;
}

/** The broadcast shape of several; undefined where a rank is unknown. */
export function broadcastShapes(
  shapes: readonly (readonly Dim[] | undefined)[],
): readonly Dim[] | undefined {
  let result: readonly Dim[] = [];
  for (const shape of shapes) {
    if (shape === undefined) return undefined;
    const [long, short] = shape.length > result.length ? [shape, result] : [result, shape];
    const offset = long.length - short.length;
    result = long.map((dim, i) =>
      i < offset ? dim : broadcastDim(dim, short[i - offset] ?? null),
    );
  }
  return result;
}

// Gradients of operators that only place elements anew, or repeat them: the way back is the opposite placement, or a sum over the repetitions.
import type { Node, Value } from "../graph/graph.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";
import { elements, sizesOf, vector } from "./sizes.js";

/** The same elements in another shape. */
const reshaped: GradientRule = {
  gradient: ({ inputs: [x] }, [dy], b) => [
    dy !== undefined && b.wants(x) ? b.reshapeLike(dy, x) : undefined,
  ],
};

const transpose: GradientRule = {
  gradient(node, [dy], b) {
    if (dy === undefined || !b.wants(node.input(0))) return [];
    const perm = node.ints("perm");
    return [b.op("Transpose", [dy], perm === undefined ? {} : { perm: inverse(perm) })];
  },
};

/** The permutation that undoes `perm`. */
export function inverse(perm: readonly number[]): number[] {
  const back = [...perm];
  perm.forEach((from, to) => (back[from] = to));
  return back;
}

const expand: GradientRule = {
  gradient: ({ inputs: [x] }, [dy], b) => [
    dy !== undefined && b.wants(x) ? b.sumTo(dy, x) : undefined,
  ],
};

/** Every axis in two, repetition and size, and the sum over the repetitions. */
const tile: GradientRule = {
  gradient(node, [dy], b) {
    const [x, repeats] = node.inputs;
    if (dy === undefined || repeats === undefined || !b.wants(x)) return [];
    const rank = rankOf(x, node);
    const sizes = sizesOf(b, x);
    const split = elements(b, repeats, rank).flatMap((times, axis) => [
      times,
      ...pick(sizes, axis),
    ]);
    const parts = b.op("Reshape", [dy, vector(b, split)]);
    const axes = Array.from({ length: rank }, (_, i) => 2 * i);
    return [b.reduce("ReduceSum", parts, axes, 0)];
  },
};

const pick = <T>(list: readonly T[], index: number): readonly T[] => list.slice(index, index + 1);

const trilu: GradientRule = {
  gradient: ({ inputs: [x, k], attributes }, [dy], b) => [
    dy !== undefined && b.wants(x)
      ? b.op("Trilu", [dy, k], Object.fromEntries(attributes))
      : undefined,
  ],
};

/** The rank of a value; throws NoGradientError where it is not known. */
export function rankOf(value: Value, node: Node): number {
  if (value.rank === undefined) throw noGradient(node, `the rank of "${value.name}" is not known`);
  return value.rank;
}

export const SHAPES: GradientTable = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Trilu: trilu,
};

// Gradients of Slice and Pad: one is the way back of the other. Steps put zeros between, negative ones turn the order round.
import type { Node, Value } from "../graph/graph.js";
import { axesIn } from "../ops/facts.js";
import type { Backward } from "./backward.js";
import { addAlong } from "./gather.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";
import { rankOf } from "./shapes.js";
import {
  elements,
  fromStart,
  least,
  minus,
  most,
  size,
  sizeOf,
  times,
  vector,
  type Size,
} from "./sizes.js";

/** What a Slice takes along one axis. */
interface Cut {
  readonly axis: number;
  readonly start: Size;
  readonly step: number;
}

/** -2^63, which as an end means "past the first". */
const FIRST = -(2 ** 63);

const slice: GradientRule = {
  gradient(node, [dy], b) {
    const [x] = node.inputs;
    if (dy === undefined || !b.wants(x)) return [];
    const rank = rankOf(x, node);
    const cuts = cutsOf(node, rank, b);
    const spread = spreadOut(b, turned(b, dy, cuts), cuts, rank);
    const before = Array.from({ length: rank }, () => size(b, 0));
    const after = [...before];
    for (const { axis, start, step } of cuts) {
      const length = sizeOf(b, x, axis);
      const taken = sizeOf(b, dy, axis);
      const covered = times(b, taken, size(b, Math.abs(step)));
      const first = bounded(b, start, length, step);
      // Turned round, the last one taken comes first.
      const low = step > 0 ? first : minus(b, first, minus(b, covered, size(b, Math.abs(step))));
      const own = least(b, low, length);
      before[axis] = own;
      after[axis] = minus(b, minus(b, length, own), covered);
    }
    return [pad(b, spread, before, after)];
  },
};

/** Starts, axes and steps: attributes up to operator set 9, inputs from 10 on. */
function cutsOf(node: Node, rank: number, b: Backward): Cut[] {
  const fail = (what: string): never => {
    throw noGradient(node, `its ${what} are not known before it runs`);
  };
  const list = (name: string, index: number): readonly number[] | undefined => {
    const input = node.input(index);
    return input === undefined ? node.ints(name) : (b.numbersOf(input) ?? fail(name));
  };
  const startsInput = node.input(1);
  const count = node.ints("starts")?.length ?? b.factOf(startsInput as Value).shape?.[0];
  if (typeof count !== "number") return fail("starts");
  const all = Array.from({ length: count }, (_, i) => i);
  const axes = axesIn(list("axes", 3) ?? all, rank) ?? fail("axes");
  const steps = list("steps", 4);
  const starts =
    startsInput === undefined
      ? (node.ints("starts") ?? []).map((start) => size(b, start))
      : elements(b, startsInput, count);
  return axes.map((axis, i) => ({
    axis,
    start: starts[i] ?? fail("starts"),
    step: steps?.[i] ?? 1,
  }));
}

/** A start as a position of the axis. */
function bounded(b: Backward, start: Size, length: Size, step: number): Size {
  const last = step > 0 ? length : minus(b, length, size(b, 1));
  return most(b, least(b, fromStart(b, start, length), last), size(b, 0));
}

/** Turns round the axes that were taken backwards. */
function turned(b: Backward, dy: Value, cuts: readonly Cut[]): Value {
  const axes = cuts.flatMap(({ axis, step }) => (step < 0 ? [axis] : []));
  if (axes.length === 0) return dy;
  const all = (n: number) => b.ints(axes.map(() => n));
  return b.op("Slice", [dy, all(-1), all(FIRST), b.ints(axes), all(-1)]);
}

/** Puts `step` - 1 zeros behind each element, along each axis. */
function spreadOut(b: Backward, dy: Value, cuts: readonly Cut[], rank: number): Value {
  const wide = cuts
    .filter(({ step }) => Math.abs(step) > 1)
    .toSorted((one, other) => one.axis - other.axis);
  if (wide.length === 0) return dy;
  const added = wide.map(({ axis }, i) => axis + i + 1);
  const before = Array.from({ length: rank + wide.length }, () => size(b, 0));
  const after = [...before];
  const factors = Array.from({ length: rank }, () => 1);
  wide.forEach(({ axis, step }, i) => {
    after[added[i] ?? 0] = size(b, Math.abs(step) - 1);
    factors[axis] = Math.abs(step);
  });
  const apart = pad(b, b.unsqueeze(dy, added), before, after);
  const sizes = factors.map((factor, axis) => times(b, sizeOf(b, dy, axis), size(b, factor)));
  return b.op("Reshape", [apart, vector(b, sizes)], { allowzero: 1 });
}

/** Zeros around; negative amounts cut off. */
function pad(b: Backward, value: Value, before: readonly Size[], after: readonly Size[]): Value {
  const amounts = [...before, ...after];
  if (amounts.every(({ dim }) => dim === 0)) return value;
  return b.op("Pad", [value, vector(b, amounts)]);
}

const padding: GradientRule = {
  gradient(node, [dy], b) {
    const [x, pads, fill, axes] = node.inputs;
    if (dy === undefined || pads === undefined || x === undefined) return [];
    const mode = node.string("mode", "constant");
    if (mode !== "constant") return [b.wants(x) ? mirrored(node, x, dy, b) : undefined];
    if (!b.wants(x) && !b.wants(fill)) return [];
    const dx = b.op("Pad", [dy, negated(b, pads), undefined, axes]);
    const sum = (value: Value) => b.reduce("ReduceSum", value, undefined, 0);
    // What the fill was put into is all that does not go to the input.
    const filled = b.wants(fill) ? b.op("Sub", [sum(dy), sum(dx)]) : undefined;
    return [dx, undefined, filled && fill ? b.reshapeLike(filled, fill) : undefined];
  },
};

function negated(b: Backward, pads: Value): Value {
  const known = b.numbersOf(pads);
  return known === undefined ? b.op("Neg", [pads]) : b.ints(known.map((n) => 0 - n));
}

/** Reflected, repeated or wrapped edges: each element of the result was read from one of the input, found by padding positions likewise. */
function mirrored(node: Node, x: Value, dy: Value, b: Backward): Value {
  const rank = rankOf(x, node);
  const [, pads, , axesInput] = node.inputs;
  const all = Array.from({ length: rank }, (_, i) => i);
  const given = axesInput === undefined ? all : b.numbersOf(axesInput);
  const axes = given && axesIn(given, rank);
  if (axes === undefined || pads === undefined)
    throw noGradient(node, "its axes are not known before it runs");
  const amounts = elements(b, pads, 2 * axes.length);
  return axes.reduce((sum, axis, i) => {
    const around = [amounts[i], amounts[i + axes.length]].filter((s) => s !== undefined);
    if (around.every(({ dim }) => dim === 0)) return sum;
    const length = sizeOf(b, x, axis);
    const bound = b.op("Squeeze", [vector(b, [length]), b.ints([0])]);
    const range = b.op("Range", [b.integer(0), bound, b.integer(1)]);
    const read = b.op("Pad", [range, vector(b, around)], { mode: node.string("mode", "") });
    return addAlong(b, sum, read, axis, length);
  }, dy);
}

export const SLICES: GradientTable = { Slice: slice, Pad: padding };

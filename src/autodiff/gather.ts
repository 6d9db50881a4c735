// Gradients of lookups and of their counterparts, the scatters. Rows that several positions read are added by sorting, never by scattering with
// `reduction`: onnxruntime adds such rows in parallel without a lock, and loses some of them.
import type { Node, Value } from "../graph/graph.js";
import { axisIn } from "../ops/facts.js";
import { tensorOf } from "../onnx/tensor.js";
import type { Backward } from "./backward.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";
import { inverse, rankOf } from "./shapes.js";
import { product, size, sizeOf, sizesOf, vector, type Size } from "./sizes.js";

const INT64 = 7;
const FLOAT64 = 11;
/** Past every end. */
const END = 2 ** 62;

const gather: GradientRule = {
  gradient(node, [dy], b) {
    const [x, indices] = node.inputs;
    if (dy === undefined || indices === undefined || !b.wants(x)) return [];
    const axis = axisIn(node.int("axis", 0), rankOf(x, node)) ?? 0;
    const length = sizeOf(b, x, axis);
    const rank = rankOf(indices, node);
    const [at, ...others] = b.numbersOf(indices) ?? [];
    // One position, as that of the first token: zeros around it.
    if (at !== undefined && others.length === 0 && rank < 2)
      return [aroundOne(b, rank === 0 ? b.unsqueeze(dy, [axis]) : dy, at, axis, length)];
    return [addAlong(b, dy, indices, axis, length)];
  },
};

function aroundOne(b: Backward, dy: Value, at: number, axis: number, length: Size): Value {
  const zeros = Array.from({ length: dy.rank ?? 0 }, () => size(b, 0));
  const rest = (taken: number): Size => ({
    dim: typeof length.dim === "number" ? length.dim - taken : null,
    compute: () => b.op("Sub", [vector(b, [length]), b.ints([taken])]),
  });
  const before = at < 0 ? rest(-at) : size(b, at);
  const after = at < 0 ? size(b, -at - 1) : rest(at + 1);
  const amounts = [...zeros.with(axis, before), ...zeros.with(axis, after)];
  if (amounts.every(({ dim }) => dim === 0)) return dy;
  return b.op("Pad", [dy, vector(b, amounts)]);
}

/** The gradient of what `indices` (of any rank) took along `axis`, which is `length` long. */
export function addAlong(
  b: Backward,
  dy: Value,
  indices: Value,
  axis: number,
  length: Size,
): Value {
  const picked = indices.rank ?? 0;
  const all = Array.from({ length: dy.rank ?? 0 }, (_, i) => i);
  const lead = all.slice(axis, axis + picked);
  const rest = all.toSpliced(axis, picked);
  const front = axis === 0 ? dy : b.op("Transpose", [dy], { perm: [...lead, ...rest] });
  const sizes = rest.map((i) => sizeOf(b, dy, i));
  const ids = b.op("Reshape", [counted(b, indices, vector(b, [length])), b.ints([-1])]);
  const rows = b.op("Flatten", [front], { axis: picked });
  const sum = addRows(b, rows, ids, [length, product(b, sizes)]);
  const whole = sizes.length === 1 ? sum : b.op("Reshape", [sum, vector(b, [length, ...sizes])]);
  if (axis === 0) return whole;
  const others = Array.from({ length: rest.length + 1 }, (_, i) => i).toSpliced(axis, 1);
  const perm = [axis, ...others];
  return b.op("Transpose", [whole], { perm: inverse(perm) });
}

/** Positions from the start, as int64: negative ones count from the end. */
function counted(b: Backward, indices: Value, length: Value): Value {
  const wide = indices.dtype === "int64" ? indices : b.op("Cast", [indices], { to: INT64 });
  return b.op("Mod", [wide, length]);
}

/**
 * A table of zeros, of shape [`count`, `width`], with every row of `rows` added to that of its id. Ids are sorted; the running sum over the sorted
 * rows (in float64) has the sum of each id between the ends of its stretch. Linear in the rows, exact to the last bit or two, and the same on
 * every run.
 */
function addRows(
  b: Backward,
  rows: Value,
  ids: Value,
  [count, width]: readonly [Size, Size],
): Value {
  const top = b.node("TopK", [ids, b.op("Shape", [ids])], 2, { axis: 0, largest: 0, sorted: 1 });
  const sorted = top.output(0);
  const cut = (value: Value, from: number, to: number) =>
    b.op("Slice", [value, b.ints([from]), b.ints([to]), b.ints([0])]);
  const same = b.op("Equal", [cut(sorted, 1, END), cut(sorted, 0, -1)]);
  const last = b.constant("last bool", () => tensorOf("bool", [1], Uint8Array.of(1)));
  const isEnd = b.op("Concat", [b.op("Not", [same]), last], { axis: 0 });
  const ends = b.op("Reshape", [
    b.op("NonZero", [b.op("Cast", [isEnd], { to: INT64 })]),
    b.ints([-1]),
  ]);
  const ordered = b.op("Gather", [rows, top.output(1)], { axis: 0 });
  const running = b.op("CumSum", [b.op("Cast", [ordered], { to: FLOAT64 }), b.integer(0)]);
  const upTo = b.op("Gather", [running, ends], { axis: 0 });
  const none = b.constant("none float64", () => tensorOf("float64", [1, 1], Float64Array.of(0)));
  const zero = b.op("Expand", [none, vector(b, [size(b, 1), width])]);
  const before = b.op("Concat", [zero, cut(upTo, 0, -1)], { axis: 0 });
  const sums = b.cast(b.op("Sub", [upTo, before]), rows);
  const places = b.unsqueeze(b.op("Gather", [sorted, ends], { axis: 0 }), [1]);
  return b.op("ScatterND", [zeros(b, rows, [count, width]), places, sums]);
}

function zeros(b: Backward, like: Value, sizes: readonly Size[]): Value {
  const shape = vector(b, sizes);
  const float32 = b.op("ConstantOfShape", [shape]);
  return like.dtype === "float32" ? float32 : b.cast(float32, like);
}

/** Single elements are added one after the other, which is safe. */
const gatherElements: GradientRule = {
  gradient(node, [dy], b) {
    const [x, indices] = node.inputs;
    if (dy === undefined || indices === undefined || !b.wants(x)) return [];
    needs16(node, b);
    const axis = node.int("axis", 0);
    return [b.op("ScatterElements", [b.zerosLike(x), indices, dy], { axis, reduction: "add" })];
  },
};

function needs16(node: Node, b: Backward): void {
  if (b.opset < 16)
    throw noGradient(node, `its gradient needs operator set 16, the model has ${b.opset}`);
}

/** Tuples of positions become rows of the data, which is flattened that far. */
const gatherND: GradientRule = {
  gradient(node, [dy], b) {
    const [x, indices] = node.inputs;
    if (dy === undefined || indices === undefined || !b.wants(x)) return [];
    const rank = rankOf(x, node);
    const batch = node.int("batch_dims", 0);
    const depth = b.factOf(indices).shape?.at(-1);
    if (typeof depth !== "number") throw noGradient(node, "the depth of its indices is not known");
    const sizes = sizesOf(b, x);
    const picked = sizes.slice(batch, batch + depth);
    const strides = picked.map((_, i) => product(b, picked.slice(i + 1)));
    const tuples = counted(b, indices, vector(b, picked));
    const places = b.reduce("ReduceSum", b.op("Mul", [tuples, vector(b, strides)]), [-1], 0);
    const inBatch = product(b, sizes.slice(0, batch));
    const perBatch = product(b, picked);
    const ids = b.op("Reshape", [
      batch === 0 ? places : b.op("Add", [...inRows(b, places, inBatch, perBatch)]),
      b.ints([-1]),
    ]);
    const width = product(b, sizes.slice(batch + depth));
    const rows = b.op("Flatten", [dy], { axis: (dy.rank ?? 0) - (rank - batch - depth) });
    const count = product(b, sizes.slice(0, batch + depth));
    return [b.reshapeLike(addRows(b, rows, ids, [count, width]), x)];
  },
};

/** Places [batches, positions], and where each batch begins: [batches, 1]. */
function inRows(b: Backward, places: Value, batches: Size, perBatch: Size): [Value, Value] {
  const bound = b.op("Squeeze", [vector(b, [batches]), b.ints([0])]);
  const range = b.op("Range", [b.integer(0), bound, b.integer(1)]);
  const begins = b.unsqueeze(b.op("Mul", [range, vector(b, [perBatch])]), [1]);
  return [b.op("Reshape", [places, vector(b, [batches, size(b, -1)])]), begins];
}

/** Scatters that put or add; `read` takes from a gradient what the updates were put into. */
const scatter = (read: "GatherElements" | "GatherND"): GradientRule => ({
  gradient(node, [dy], b) {
    const [data, indices, updates] = node.inputs;
    if (dy === undefined || indices === undefined || updates === undefined) return [];
    const reduction = node.string("reduction", "none");
    if (reduction !== "none" && reduction !== "add")
      throw noGradient(node, `reduction "${reduction}" has none`);
    const axis = read === "GatherElements" ? { axis: node.int("axis", 0) } : {};
    const kept = () =>
      reduction === "add" ? dy : b.op(node.opType, [dy, indices, b.zerosLike(updates)], axis);
    return [
      b.wants(data) ? kept() : undefined,
      undefined,
      b.wants(updates) ? b.op(read, [dy, indices], axis) : undefined,
    ];
  },
});

export const GATHERS: GradientTable = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatter("GatherElements"),
  ScatterND: scatter("GatherND"),
};

// Sizes and positions that gradients compute with: as far as inference knows them they are numbers, and only the rest is computed when the graph runs.
import type { Dim, Value } from "../graph/graph.js";
import { elementsOf } from "../ops/facts.js";
import { addDims, maxDims, minDims, multiplyDims, subtractDims } from "../ops/symbols.js";
import type { Backward } from "./backward.js";

export interface Size {
  /** What is known: a number, an expression, or null. */
  readonly dim: Dim;
  /** Appends what computes it: int64[1]. */
  readonly compute: () => Value;
}

export function size(b: Backward, dim: number): Size {
  return { dim, compute: () => b.ints([dim]) };
}

/** The size of `value` along `axis`. */
export function sizeOf(b: Backward, value: Value, axis: number): Size {
  return {
    dim: b.factOf(value).shape?.[axis] ?? null,
    compute: () => b.op("Gather", [b.shapeOf(value), b.ints([axis])], { axis: 0 }),
  };
}

/** Every size of a value of known rank. */
export function sizesOf(b: Backward, value: Value): Size[] {
  return (b.factOf(value).shape ?? []).map((_, axis) => sizeOf(b, value, axis));
}

/** The elements of a vector of `count` integers. */
export function elements(b: Backward, vector: Value, count: number): Size[] {
  const known = elementsOf(b.factOf(vector));
  return Array.from({ length: count }, (_, i) => ({
    dim: known?.[i] ?? null,
    compute: () => wide(b, b.op("Gather", [vector, b.ints([i])], { axis: 0 })),
  }));
}

const wide = (b: Backward, value: Value): Value =>
  value.dtype === "int64" ? value : b.op("Cast", [value], { to: INT64 });

const INT64 = 7;

type Binary = (b: Backward, x: Size, y: Size) => Size;

const binary =
  (op: string, dims: (x: Dim, y: Dim) => Dim): Binary =>
  (b, x, y) => ({
    dim: dims(x.dim, y.dim),
    compute: () => b.op(op, [computed(b, x), computed(b, y)]),
  });

export const plus: Binary = binary("Add", addDims);
export const minus: Binary = binary("Sub", subtractDims);
export const times: Binary = binary("Mul", multiplyDims);
export const least: Binary = binary("Min", minDims);
export const most: Binary = binary("Max", maxDims);

export function product(b: Backward, sizes: readonly Size[]): Size {
  return sizes.reduce((all, next) => times(b, all, next), size(b, 1));
}

/** A position as slices have it, from the start: negative ones count from the end. Not bounded. */
export function fromStart(b: Backward, at: Size, length: Size): Size {
  if (typeof at.dim === "number") return at.dim < 0 ? plus(b, length, at) : at;
  return {
    dim: null,
    compute() {
      const value = computed(b, at);
      const behind = b.op("Add", [value, computed(b, length)]);
      return b.op("Where", [b.op("Less", [value, b.ints([0])]), behind, value]);
    },
  };
}

function computed(b: Backward, { dim, compute }: Size): Value {
  return typeof dim === "number" ? b.ints([dim]) : compute();
}

/** Sizes as a vector of int64: a constant where all are known. */
export function vector(b: Backward, sizes: readonly Size[]): Value {
  const known = sizes.map(({ dim }) => dim);
  if (known.every((dim) => typeof dim === "number")) return b.ints(known);
  const [first, ...others] = sizes;
  if (first !== undefined && others.length === 0) return first.compute();
  return b.op(
    "Concat",
    sizes.map((s) => computed(b, s)),
    { axis: 0 },
  );
}

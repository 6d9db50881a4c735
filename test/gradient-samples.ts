// How samples for the gradients of operators are drawn: shapes, broadcasting, numbers away from where a function has a corner.
import fc from "fast-check";
import { elementCount } from "../src/onnx/dtypes.js";
import { int64Tensor, tensorOf, type Tensor } from "../src/onnx/tensor.js";
import type { AttributeInput } from "../src/graph/attribute.js";
import type { Operand, Sample } from "./finite-differences.js";
import { numbers } from "./run.js";

export type Samples = fc.Arbitrary<Sample>;

/** A shape of `min` to `max` axes. */
export const shapes = (min = 0, max = 4): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max: 4 }), { minLength: min, maxLength: max });

/** Numbers from `low` to `high` (as floats32) in a shape; `signed` ones are of either sign, so that 0 is far where `low` is above it. */
export function floatsIn(
  dims: readonly number[],
  { low = -1, high = 1, signed = false }: { low?: number; high?: number; signed?: boolean } = {},
): fc.Arbitrary<Operand> {
  return fc.integer({ min: 1, max: 1 << 30 }).map((seed) => {
    let state = seed;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return (state >>> 1) / 2 ** 31;
    };
    const data = Float32Array.from({ length: elementCount(dims) }, () => {
      const value = low + (high - low) * next();
      return signed && next() < 0.5 ? -value : value;
    });
    return { tensor: tensorOf("float32", dims, data) };
  });
}

/** A shape that broadcasts to `dims`: leading axes left out, others of size 1. */
export const narrowed = (dims: readonly number[]): fc.Arbitrary<number[]> =>
  fc
    .tuple(fc.nat(dims.length), fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }))
    .map(([cut, ones]) => dims.slice(cut).map((dim, i) => (ones[i] === true ? 1 : dim)));

/** Two shapes that broadcast against each other, the result of either wider in places. */
export const broadcast = (max = 4): fc.Arbitrary<[number[], number[]]> =>
  shapes(0, max)
    .chain((dims) => fc.tuple(narrowed(dims), narrowed(dims), fc.boolean(), fc.constant(dims)))
    .map(([a, b, whole, dims]) => (whole ? [dims, b] : [a, b]));

/** Integers as an initializer, or as an input of the graph. */
export const integers = (
  values: readonly number[],
  dims: readonly number[] = [values.length],
  free: fc.Arbitrary<boolean> = fc.boolean(),
): fc.Arbitrary<Operand> => free.map((constant) => ({ tensor: int64(values, dims), constant }));

export const constant = (values: readonly number[] | number): Operand => ({
  tensor: int64Tensor(values),
  constant: true,
});

export const int64 = (values: readonly number[], dims: readonly number[]): Tensor =>
  tensorOf("int64", dims, BigInt64Array.from(values, BigInt));

/** An axis of a shape, counted from either end. */
export const axisOf = (rank: number): fc.Arbitrary<number> =>
  fc.integer({ min: -rank, max: rank - 1 });

/** Some axes of a shape, each once, counted from either end, in any order. */
export const axesOf = (rank: number, minLength = 0): fc.Arbitrary<number[]> =>
  fc
    .shuffledSubarray(
      Array.from({ length: rank }, (_, i) => i),
      { minLength },
    )
    .chain((axes) => fc.tuple(...axes.map((axis) => fc.constantFrom(axis, axis - rank))));

/** Positions below `length` in a shape, counted from either end. */
export const positions = (dims: readonly number[], length: number): fc.Arbitrary<Operand> =>
  fc
    .array(fc.integer({ min: -length, max: length - 1 }), {
      minLength: elementCount(dims),
      maxLength: elementCount(dims),
    })
    .chain((list) => integers(list, dims));

/** -0.8, -0.3, 0.2, 0.7 and 1.2 (times `scale`): far from where functions step or bend. */
export const stepsIn = (dims: readonly number[], scale = 1): fc.Arbitrary<Operand> =>
  floatsIn(dims).map(({ tensor }) => mapped(tensor, (x) => scale * (Math.round(2 * x) / 2 + 0.2)));

/** Numbers that differ by a tenth at least, also from those of another `part` (0, 1, 2). */
export const distinct = (dims: readonly number[], part = 0): fc.Arbitrary<Operand> => {
  const count = elementCount(dims);
  const all = [...Array(count).keys()];
  return fc.shuffledSubarray(all, { minLength: count, maxLength: count }).map((order) => ({
    tensor: tensorOf(
      "float32",
      dims,
      Float32Array.from(order, (i) => 0.3 * i + 0.1 * part - 0.15 * count),
    ),
  }));
};

export function mapped(tensor: Tensor, f: (x: number) => number): Operand {
  return { tensor: tensorOf("float32", tensor.dims, Float32Array.from(numbers(tensor), f)) };
}

export const float = (value: number): AttributeInput => ({ type: "float", value });

/** The same samples, each with attributes that are drawn. */
export const withAttributes = (
  samples: Samples,
  attributes: fc.Arbitrary<Readonly<Record<string, AttributeInput>>>,
): Samples =>
  fc.tuple(samples, attributes).map(([sample, more]) => ({
    ...sample,
    attributes: { ...sample.attributes, ...more },
  }));

/** One input of any shape, and its numbers. */
export const one = (
  draw: (dims: readonly number[]) => fc.Arbitrary<Operand> = floatsIn,
  min = 0,
): Samples => shapes(min).chain((dims) => draw(dims).map((x) => ({ inputs: [x] })));

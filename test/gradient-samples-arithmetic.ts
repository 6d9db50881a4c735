// Samples for the gradients of arithmetic and of reductions.
import fc from "fast-check";
import { elementCount } from "../src/onnx/dtypes.js";
import { tensorOf } from "../src/onnx/tensor.js";
import type { Operand, Sample } from "./finite-differences.js";
import {
  axesOf,
  axisOf,
  broadcast,
  constant,
  distinct,
  floatsIn,
  integers,
  mapped,
  narrowed,
  one,
  shapes,
  stepsIn,
  withAttributes,
  type Samples,
} from "./gradient-samples.js";

const APART = { low: 0.5, high: 1.5, signed: true };
const POSITIVE = { low: 0.5, high: 1.5 };

const binary: Samples = broadcast().chain(([a, b]) =>
  fc.tuple(floatsIn(a, APART), floatsIn(b, APART)).map((inputs) => ({ inputs })),
);

/** One to three inputs that broadcast. */
const several = (draw: (dims: readonly number[], part: number) => fc.Arbitrary<Operand>): Samples =>
  fc.tuple(shapes(0, 3), fc.nat(2)).chain(([dims, more]) =>
    fc
      .tuple(...Array.from({ length: more }, () => narrowed(dims)))
      .chain((others) => fc.tuple(...[dims, ...others].map((shape, i) => draw(shape, i))))
      .map((inputs) => ({ inputs })),
  );

/** A number above 0 to a constant power, or to one that has a gradient too. */
const pow: Samples = fc.oneof(
  fc.tuple(shapes(), fc.constantFrom(1, 2, 0.5, 3, -1.5)).chain(([dims, power]) =>
    floatsIn(dims, POSITIVE).map((x) => ({
      inputs: [x, { tensor: tensorOf("float32", [], Float32Array.of(power)), constant: true }],
    })),
  ),
  broadcast().chain(([a, b]) =>
    fc.tuple(floatsIn(a, POSITIVE), floatsIn(b)).map((inputs) => ({ inputs })),
  ),
);

/** Cut at -0.5 and 0.5, or on one side. */
const clip: Samples = fc.tuple(shapes(), fc.nat(3)).chain(([dims, sides]) =>
  stepsIn(dims).map((x) => {
    const bound = (at: number): Operand => ({
      tensor: tensorOf("float32", [], Float32Array.of(at)),
    });
    return {
      inputs: [x, sides % 2 === 1 ? bound(-0.5) : undefined, sides > 1 ? bound(0.5) : undefined],
    };
  }),
);

const where: Samples = fc.tuple(broadcast(3), shapes(0, 0)).chain(([[a, b]]) =>
  narrowed(a.length > b.length ? a : b).chain((shape) =>
    fc
      .tuple(
        fc.array(fc.nat(1), { minLength: elementCount(shape), maxLength: elementCount(shape) }),
        floatsIn(a),
        floatsIn(b),
        fc.boolean(),
      )
      .map(([bits, x, y, fixed]) => ({
        inputs: [{ tensor: tensorOf("bool", shape, Uint8Array.from(bits)), constant: fixed }, x, y],
      })),
  ),
);

/** To float64 and back, or float32 as it is. */
const cast: Samples = fc
  .tuple(one(), fc.boolean())
  .map(([sample, double]) => ({ ...sample, attributes: { to: double ? 11 : 1 }, double }));

const castLike: Samples = one().map(({ inputs }) => ({
  inputs: [...inputs, { tensor: tensorOf("float64", [1], new Float64Array(1)), constant: true }],
  double: true,
}));

/** Axes as an input, as an attribute (older operator sets), or left out. */
const reduction = (
  draw: (dims: readonly number[]) => fc.Arbitrary<Operand>,
  inputSince: number,
): Samples =>
  shapes(1).chain((dims) =>
    fc
      .tuple(draw(dims), fc.option(axesOf(dims.length)), fc.nat(1), fc.nat(1), fc.boolean())
      .map(([x, axes, keepdims, noop, old]): Sample => {
        if (old && inputSince === 18 && axes?.length !== 0) {
          const given = axes === null ? {} : { axes };
          return { inputs: [x], attributes: { keepdims, ...given }, opset: 17 };
        }
        const attributes = { keepdims, noop_with_empty_axes: noop };
        return { inputs: axes === null ? [x] : [x, constant(axes)], attributes };
      }),
  );

const cumSum: Samples = withAttributes(
  shapes(1, 3).chain((dims) =>
    fc
      .tuple(
        floatsIn(dims),
        axisOf(dims.length).chain((axis) => integers([axis], [])),
      )
      .map((inputs) => ({ inputs })),
  ),
  fc.record({ reverse: fc.nat(1), exclusive: fc.nat(1) }),
);

const apart = (dims: readonly number[]) => floatsIn(dims, APART);
const positive = (dims: readonly number[]) => floatsIn(dims, POSITIVE);

export const ARITHMETIC_SAMPLES: Readonly<Record<string, Samples>> = {
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Sum: several((dims) => floatsIn(dims)),
  Mean: several((dims) => floatsIn(dims)),
  Min: several((dims, i) => stepsIn(dims).map(({ tensor }) => mapped(tensor, (x) => x + 0.15 * i))),
  Max: several((dims, i) => stepsIn(dims).map(({ tensor }) => mapped(tensor, (x) => x + 0.15 * i))),
  Pow: pow,
  Clip: clip,
  Where: where,
  Dropout: one(),
  Identity: one(),
  Cast: cast,
  CastLike: castLike,
  Neg: one(),
  Abs: one(apart),
  Sqrt: one(positive),
  Reciprocal: one(apart),
  Exp: one(),
  Log: one(positive),
  Sin: one(),
  Cos: one(),
  Floor: one(stepsIn),
  Ceil: one(stepsIn),
  Round: one(stepsIn),
  Sign: one(apart),
  ReduceSum: reduction(floatsIn, 13),
  ReduceMean: reduction(floatsIn, 18),
  ReduceMax: reduction(distinct, 18),
  ReduceMin: reduction(distinct, 18),
  ReduceSumSquare: reduction(floatsIn, 18),
  ReduceL1: reduction(apart, 18),
  ReduceL2: reduction(apart, 18),
  ReduceLogSum: reduction(positive, 18),
  ReduceLogSumExp: reduction(floatsIn, 18),
  CumSum: cumSum,
};

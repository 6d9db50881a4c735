// Element by element: arithmetic and functions, their shapes by broadcasting, and what they do to the sizes that shape computations carry.
import type { Dim } from "../graph/graph.js";
import { DTYPES } from "../onnx/dtypes.js";
import { broadcastShapes } from "./broadcast.js";
import {
  elementsOf,
  firstDType,
  likeInput,
  SMALL,
  type Fact,
  type InferRule,
  type OpRow,
  type OpTable,
} from "./facts.js";
import { binary, clip, isInf, mean, power, unary, variadic } from "./kernels/arithmetic.js";
import { broadcastOffsets, sizesOf } from "./strided.js";
import {
  addDims,
  isNonNegativeDim,
  maxDims,
  minDims,
  moduloDims,
  multiplyDims,
  subtractDims,
  truncateDivideDims,
  divideExactly,
} from "./symbols.js";

export type OnDims = (...args: Dim[]) => Dim;

/** The elements of a broadcast result of small inputs; undefined where a size or an input's elements are unknown. */
export function combineElements(
  inputs: readonly (Fact | undefined)[],
  shape: readonly Dim[] | undefined,
  f: OnDims,
): Dim[] | undefined {
  const sizes = sizesOf(shape);
  if (sizes === undefined || sizes.reduce((a, b) => a * b, 1) > SMALL) return undefined;
  const sources = inputs.map((fact) => {
    const own = sizesOf(fact?.shape);
    return {
      elements: elementsOf(fact),
      offsets: own === undefined ? undefined : broadcastOffsets(own, sizes),
    };
  });
  const count = sizes.reduce((a, b) => a * b, 1);
  const args = sources.map(({ elements, offsets }) =>
    elements === undefined || offsets === undefined
      ? undefined
      : Array.from(offsets, (o) => elements[o] ?? null),
  );
  // Nothing at all known: no elements, rather than a list of unknowns.
  if (args.every((a) => a === undefined)) return undefined;
  return Array.from({ length: count }, (_, i) => f(...args.map((a) => a?.[i] ?? null)));
}

/** Inputs broadcast together; the type is theirs, or `dtype`. `onDims` carries sizes through. */
export function broadcasting(onDims?: OnDims, dtype?: Fact["dtype"]): InferRule {
  return (c) => {
    const shape = broadcastShapes(c.inputs.map((i) => i?.shape));
    return [
      {
        dtype: dtype ?? firstDType(c.inputs),
        shape,
        elements: onDims && combineElements(c.inputs, shape, onDims),
      },
    ];
  };
}

/** One input; the type is its own, or `dtype`. */
function onEach(onDims?: OnDims, dtype?: Fact["dtype"]): InferRule {
  return ({ inputs: [input] }) => {
    const elements = onDims && elementsOf(input)?.map((e) => onDims(e));
    return [{ dtype: dtype ?? input?.dtype, shape: input?.shape, elements }];
  };
}

const same: OnDims = (a) => a ?? null;
const fold =
  (f: (a: Dim, b: Dim) => Dim): OnDims =>
  (...args) =>
    args.reduce(f);

/** Whole numbers divide with truncation; floats carry whole numbers here, and only exact quotients stay whole. */
const divide: InferRule = (c) => {
  const dtype = firstDType(c.inputs);
  const whole = dtype !== undefined && DTYPES[dtype].kind !== "float";
  return broadcasting(fold(whole ? truncateDivideDims : divideExactly))(c);
};

const modulo: InferRule = (c) =>
  broadcasting(
    c.node.int("fmod", 0) === 0
      ? fold(moduloDims)
      : fold((a, b) => (isNonNegativeDim(a) && isNonNegativeDim(b) ? moduloDims(a, b) : null)),
  )(c);

const absolute: OnDims = (a = null) =>
  typeof a === "number" ? Math.abs(a) : isNonNegativeDim(a) ? a : null;
const relu: OnDims = (a = null) => maxDims(a, 0);
const sign: OnDims = (a = null) => (typeof a === "number" ? Math.sign(a) : null);

/** Bounds by attribute up to opset 10, by input from 11 on. */
const clipSizes: InferRule = (c) => {
  const [input, low, high] = c.inputs;
  const bound = (fact: Fact | undefined, name: string): Dim | undefined => {
    if (fact !== undefined) return elementsOf(fact)?.[0] ?? null;
    const value = c.node.float(name, Number.NaN);
    if (Number.isNaN(value)) return undefined;
    return Number.isSafeInteger(value) ? value : null;
  };
  const [from, to] = [bound(low, "min"), bound(high, "max")];
  const clipped = (e: Dim): Dim => {
    const up = from === undefined ? e : maxDims(e, from);
    return to === undefined ? up : minDims(up, to);
  };
  return [{ dtype: input?.dtype, shape: input?.shape, elements: elementsOf(input)?.map(clipped) }];
};

const row = (infer: InferRule, rest: Omit<OpRow, "infer"> = {}): OpRow => ({
  infer,
  elementwise: true,
  ...rest,
});
const plain: OpRow = row(likeInput());

export const ELEMENTWISE: OpTable = {
  Add: row(broadcasting(fold(addDims)), { commutative: true, evaluate: binary("add") }),
  Sub: row(broadcasting(fold(subtractDims)), { evaluate: binary("sub") }),
  Mul: row(broadcasting(fold(multiplyDims)), { commutative: true, evaluate: binary("mul") }),
  Div: row(divide, { evaluate: binary("div") }),
  Mod: row(modulo, { evaluate: binary("mod") }),
  Pow: row((c) => broadcasting(undefined, c.inputs[0]?.dtype)(c), { evaluate: power }),
  Max: row(broadcasting(fold(maxDims)), { commutative: true, evaluate: variadic("max") }),
  Min: row(broadcasting(fold(minDims)), { commutative: true, evaluate: variadic("min") }),
  Sum: row(broadcasting(fold(addDims)), { commutative: true, evaluate: variadic("add") }),
  Mean: row(broadcasting(), { commutative: true, evaluate: mean }),

  Abs: row(onEach(absolute), { evaluate: unary("abs") }),
  Neg: row(
    onEach((a = null) => subtractDims(0, a)),
    { evaluate: unary("neg") },
  ),
  Floor: row(onEach(same), { evaluate: unary("floor") }),
  Ceil: row(onEach(same), { evaluate: unary("ceil") }),
  Round: row(onEach(same), { evaluate: unary("round") }),
  Sign: row(onEach(sign), { evaluate: unary("sign") }),
  Sqrt: row(likeInput(), { evaluate: unary("sqrt") }),
  Exp: row(likeInput(), { evaluate: unary("exp") }),
  Log: row(likeInput(), { evaluate: unary("log") }),
  Erf: row(likeInput(), { evaluate: unary("erf") }),
  Reciprocal: row(likeInput(), { evaluate: unary("reciprocal") }),
  Relu: row(onEach(relu), { evaluate: unary("relu") }),
  Sigmoid: row(likeInput(), { evaluate: unary("sigmoid") }),
  Tanh: row(likeInput(), { evaluate: unary("tanh") }),
  Sin: row(likeInput(), { evaluate: unary("sin") }),
  Cos: row(likeInput(), { evaluate: unary("cos") }),
  Tan: row(likeInput(), { evaluate: unary("tan") }),
  Atan: row(likeInput(), { evaluate: unary("atan") }),
  Asin: plain,
  Acos: plain,
  Sinh: plain,
  Cosh: plain,
  Asinh: plain,
  Acosh: plain,
  Atanh: plain,
  LeakyRelu: plain,
  Elu: plain,
  Selu: plain,
  Celu: plain,
  PRelu: plain,
  ThresholdedRelu: plain,
  HardSigmoid: plain,
  HardSwish: plain,
  Softplus: plain,
  Softsign: plain,
  Mish: plain,
  Gelu: plain,
  Swish: plain,
  Shrink: plain,
  Clip: row(clipSizes, { evaluate: clip }),
  IsNaN: row(onEach(undefined, "bool"), { evaluate: unary("isNaN") }),
  IsInf: row(onEach(undefined, "bool"), { evaluate: isInf }),
};

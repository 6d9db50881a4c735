// Bounds of values by interval arithmetic over the graph, in the rounding of each element type: enough to prove that masked attention scores
// stay finite. A value without a bound is one that may be infinite or NaN, or about which nothing is known.
import type { Node, Value } from "../graph/graph.js";
import { DTYPES, elementCount, type DType } from "../onnx/dtypes.js";
import { numbersOf } from "../onnx/values.js";

/** Every element lies in lo…hi and none is NaN. An end may be infinite. */
export interface Bounds {
  readonly lo: number;
  readonly hi: number;
}

/**
 * How large an activation (the result of a product) is taken to be at most. It is an assumption, and a mild one: half a unit in the last
 * place of the largest float32 is 1e31, so that a mask's fill of -3.4e38 plus such a score is -3.4e38 again. Float16 leaves no such room.
 */
const ACTIVATION_LIMIT = 1e30;

interface FloatType {
  /** The largest finite number. */
  readonly max: number;
  /** What a result may exceed it by before it rounds to infinity: half a unit in the last place. */
  readonly slack: number;
  /** Bits of the significand, and the exponent of the smallest normal number. */
  readonly bits: number;
  readonly minExponent: number;
}

const FLOATS: { readonly [D in DType]?: FloatType } = {
  float16: { max: 65504, slack: 16, bits: 11, minExponent: -14 },
  bfloat16: { max: 2 ** 128 - 2 ** 120, slack: 2 ** 119, bits: 8, minExponent: -126 },
  float32: { max: 2 ** 128 - 2 ** 104, slack: 2 ** 103, bits: 24, minExponent: -126 },
  float64: { max: Number.MAX_VALUE, slack: 0, bits: 53, minExponent: -1022 },
};

const INTEGERS: { readonly [D in DType]?: Bounds } = Object.fromEntries(
  Object.entries(DTYPES)
    .filter(([, { kind }]) => kind === "int" || kind === "uint" || kind === "bool")
    .map(([name, { kind, bits }]) => [
      name,
      kind === "bool"
        ? { lo: 0, hi: 1 }
        : kind === "uint"
          ? { lo: 0, hi: 2 ** bits }
          : { lo: -(2 ** (bits - 1)), hi: 2 ** (bits - 1) },
    ]),
);

/** Constants beyond this many elements are not looked through. */
const MAX_ELEMENTS = 1 << 24;
/** Chains longer than this are not followed. */
const MAX_DEPTH = 64;

type Of = (index: number) => Bounds | undefined;
type Rule = (of: Of, node: Node) => Bounds | undefined;

/** Bounds of one operator's result before rounding. Operators without a row are unknown. */
const RULES: { readonly [op: string]: Rule } = {
  Add: (of) => add(of(0), of(1)),
  Sub: (of) => add(of(0), negate(of(1))),
  Neg: (of) => negate(of(0)),
  Mul: (of) => multiply(of(0), of(1)),
  Div: (of) => divide(of(0), of(1)),
  Sum: (of, node) => node.inputs.map((_, i) => of(i)).reduce(add),
  Where: (of) => join(of(1), of(2)),
  Min: (of, node) => reduce(of, node, (a, b) => [Math.min(a.lo, b.lo), Math.min(a.hi, b.hi)]),
  Max: (of, node) => reduce(of, node, (a, b) => [Math.max(a.lo, b.lo), Math.max(a.hi, b.hi)]),
  Concat: (of, node) => node.inputs.map((_, i) => of(i)).reduce(join),
  Cast: cast,
  MatMul: activation,
  Gemm: activation,
  Einsum: activation,
  Conv: activation,
  "com.microsoft.FusedMatMul": activation,
  Softmax: () => ({ lo: 0, hi: 1 }),
  Sigmoid: () => ({ lo: 0, hi: 1 }),
  Tanh: () => ({ lo: -1, hi: 1 }),
  Erf: () => ({ lo: -1, hi: 1 }),
  ...Object.fromEntries(
    [
      "Identity",
      "Reshape",
      "Transpose",
      "Unsqueeze",
      "Squeeze",
      "Flatten",
      "Expand",
      "Tile",
      "Slice",
      "Split",
      "Gather",
      "GatherElements",
      "GatherND",
    ].map((op): [string, Rule] => [op, (of) => of(0)]),
  ),
};

/** A function that gives the bounds of values of one graph, each looked at once. Needs inferred element types. */
export function boundsOfGraph(): (value: Value) => Bounds | undefined {
  const known = new Map<Value, Bounds | undefined>();
  const boundsOf = (value: Value, depth: number): Bounds | undefined => {
    if (known.has(value)) return known.get(value);
    if (depth > MAX_DEPTH) return undefined;
    const bounds = compute(value, depth);
    known.set(value, bounds);
    return bounds;
  };
  const compute = (value: Value, depth: number): Bounds | undefined => {
    if (value.isConstant) return contentBounds(value);
    const node = value.producer;
    if (node === undefined) return typeBounds(value);
    const rule = Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined;
    if (rule === undefined) return typeBounds(value);
    const of: Of = (index) => {
      const input = node.inputs[index];
      return input === undefined ? undefined : boundsOf(input, depth + 1);
    };
    return rounded(rule(of, node), value.dtype) ?? typeBounds(value);
  };
  return (value) => boundsOf(value, 0);
}

export function isFinite(bounds: Bounds | undefined): boolean {
  return bounds !== undefined && Number.isFinite(bounds.lo) && Number.isFinite(bounds.hi);
}

function contentBounds(value: Value): Bounds | undefined {
  const { tensor } = value;
  if (tensor === undefined || elementCount(tensor.dims) > MAX_ELEMENTS) return undefined;
  const { kind } = DTYPES[tensor.dtype];
  if (kind === "string" || kind === "complex") return undefined;
  let lo = Infinity;
  let hi = -Infinity;
  for (const x of numbersOf(tensor)) {
    if (Number.isNaN(x)) return undefined;
    lo = Math.min(lo, x);
    hi = Math.max(hi, x);
  }
  return lo <= hi ? { lo, hi } : undefined;
}

/** What the element type alone says: integers and truth values are bounded, floats are not. */
function typeBounds({ dtype }: Value): Bounds | undefined {
  return dtype === undefined ? undefined : INTEGERS[dtype];
}

function rounded(bounds: Bounds | undefined, dtype: DType | undefined): Bounds | undefined {
  if (bounds === undefined || dtype === undefined) return undefined;
  if (Number.isNaN(bounds.lo) || Number.isNaN(bounds.hi)) return undefined;
  const float = FLOATS[dtype];
  if (float !== undefined)
    return { lo: -roundedUp(-bounds.lo, float), hi: roundedUp(bounds.hi, float) };
  // An integer that leaves its range wraps around.
  const range = INTEGERS[dtype];
  return range !== undefined && range.lo <= bounds.lo && bounds.hi <= range.hi ? bounds : range;
}

/** The least bound of that element type for what is rounded from `x` or less. */
function roundedUp(x: number, { max, slack, bits, minExponent }: FloatType): number {
  if (x > max) return x < max + slack ? max : Infinity;
  if (x < -max) return x > -max - slack ? -max : -Infinity;
  // A logarithm that errs must err upwards: then the unit is too large, and the bound only looser.
  const exponent = Math.max(minExponent, Math.floor(Math.log2(Math.abs(x)) + 1e-12));
  const unit = 2 ** Math.max(exponent - bits + 1, -1074);
  return Math.ceil(x / unit) * unit;
}

function activation(_: Of, node: Node): Bounds | undefined {
  const dtype = node.outputs[0]?.dtype;
  const max = dtype === undefined ? undefined : FLOATS[dtype]?.max;
  if (max === undefined) return undefined;
  const limit = Math.min(max, ACTIVATION_LIMIT);
  return { lo: -limit, hi: limit };
}

function cast(of: Of, node: Node): Bounds | undefined {
  const dtype = node.outputs[0]?.dtype;
  const from = of(0);
  if (dtype === undefined || from === undefined) return undefined;
  // Into integers: truncated towards 0, and unspecified out of range.
  if (FLOATS[dtype] !== undefined) return from;
  return DTYPES[dtype].kind === "bool" ? { lo: 0, hi: 1 } : undefined;
}

function add(a: Bounds | undefined, b: Bounds | undefined): Bounds | undefined {
  if (a === undefined || b === undefined) return undefined;
  // Infinities of both signs may meet.
  if ((a.lo === -Infinity && b.hi === Infinity) || (a.hi === Infinity && b.lo === -Infinity))
    return undefined;
  return { lo: a.lo + b.lo, hi: a.hi + b.hi };
}

function negate(a: Bounds | undefined): Bounds | undefined {
  return a && { lo: -a.hi, hi: -a.lo };
}

function multiply(a: Bounds | undefined, b: Bounds | undefined): Bounds | undefined {
  if (a === undefined || b === undefined) return undefined;
  const infiniteTimesZero = (x: Bounds, y: Bounds) => !isFinite(x) && y.lo <= 0 && y.hi >= 0;
  if (infiniteTimesZero(a, b) || infiniteTimesZero(b, a)) return undefined;
  const products = [a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi];
  return { lo: Math.min(...products), hi: Math.max(...products) };
}

function divide(a: Bounds | undefined, b: Bounds | undefined): Bounds | undefined {
  // By something that may be 0, or infinite: not followed.
  if (b === undefined || !isFinite(b) || (b.lo <= 0 && b.hi >= 0)) return undefined;
  if (a === undefined) return undefined;
  const quotients = [a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi];
  return { lo: Math.min(...quotients), hi: Math.max(...quotients) };
}

function join(a: Bounds | undefined, b: Bounds | undefined): Bounds | undefined {
  return a && b && { lo: Math.min(a.lo, b.lo), hi: Math.max(a.hi, b.hi) };
}

function reduce(
  of: Of,
  node: Node,
  merge: (a: Bounds, b: Bounds) => [lo: number, hi: number],
): Bounds | undefined {
  return node.inputs
    .map((_, i) => of(i))
    .reduce((a, b) => {
      if (a === undefined || b === undefined) return undefined;
      const [lo, hi] = merge(a, b);
      return { lo, hi };
    });
}

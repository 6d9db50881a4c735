// Constant evaluation of arithmetic: IEEE floats rounded at each operator, integers that wrap around.
import type { DType } from "../../onnx/dtypes.js";
import { elementCount } from "../../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../../onnx/tensor.js";
import type { EvaluateContext, EvaluateRule } from "../facts.js";
import { broadcastOffsets, broadcastSizes } from "../strided.js";
import {
  bigArray,
  fromNumbers,
  isFloat,
  isWide,
  numberArray,
  readBigs,
  readNumbers,
} from "./arrays.js";
import { erf } from "./erf.js";

interface BinaryKernel {
  readonly float: (a: number, b: number) => number;
  /** For up to 32 bits; the store into the typed array wraps. Undefined: no result (division by zero). */
  readonly int: (a: number, b: number) => number | undefined;
  readonly wide: (a: bigint, b: bigint) => bigint | undefined;
}

const either = (a: number, b: number, pick: number) =>
  Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : pick;

const BINARY = {
  add: { float: (a, b) => a + b, int: (a, b) => a + b, wide: (a, b) => a + b },
  sub: { float: (a, b) => a - b, int: (a, b) => a - b, wide: (a, b) => a - b },
  mul: { float: (a, b) => a * b, int: Math.imul, wide: (a, b) => a * b },
  div: {
    float: (a, b) => a / b,
    int: (a, b) => (b === 0 ? undefined : Math.trunc(a / b)),
    wide: (a, b) => (b === 0n ? undefined : a / b),
  },
  /** C's fmod: the sign of the dividend. */
  fmod: {
    float: (a, b) => a % b,
    int: (a, b) => (b === 0 ? undefined : a % b),
    wide: (a, b) => (b === 0n ? undefined : a % b),
  },
  /** Python's %: the sign of the divisor. */
  mod: {
    float: () => Number.NaN,
    int: (a, b) => (b === 0 ? undefined : a - b * Math.floor(a / b)),
    wide: (a, b) => (b === 0n ? undefined : ((a % b) + b) % b),
  },
  max: {
    float: (a, b) => either(a, b, Math.max(a, b)),
    int: (a, b) => Math.max(a, b),
    wide: (a, b) => (a > b ? a : b),
  },
  min: {
    float: (a, b) => either(a, b, Math.min(a, b)),
    int: (a, b) => Math.min(a, b),
    wide: (a, b) => (a < b ? a : b),
  },
} as const satisfies Record<string, BinaryKernel>;

type BinaryName = keyof typeof BINARY;

/** Applies a kernel to two tensors of one type, broadcast together. */
function apply(kernel: BinaryKernel, a: Tensor, b: Tensor, limit: number): Tensor | undefined {
  const dims = broadcastSizes([a.dims, b.dims]);
  if (dims === undefined || a.dtype !== b.dtype || elementCount(dims) > limit) return undefined;
  const [x, y] = [broadcastOffsets(a.dims, dims), broadcastOffsets(b.dims, dims)];
  if (x === undefined || y === undefined) return undefined;
  if (isWide(a.dtype)) {
    const [p, q] = [readBigs(a), readBigs(b)];
    const out = bigArray(a.dtype, x.length);
    for (let i = 0; i < out.length; i++) {
      const value = kernel.wide(p[x[i] ?? 0] ?? 0n, q[y[i] ?? 0] ?? 0n);
      if (value === undefined) return undefined;
      out[i] = value;
    }
    return tensorOf(a.dtype, dims, out);
  }
  const [p, q] = [readNumbers(a), readNumbers(b)];
  const out = numberArray(a.dtype, x.length);
  if (p === undefined || q === undefined || out === undefined || a.dtype === "bool")
    return undefined;
  const f: BinaryKernel["int"] = isFloat(a.dtype) ? kernel.float : kernel.int;
  for (let i = 0; i < out.length; i++) {
    const value = f(p[x[i] ?? 0] ?? 0, q[y[i] ?? 0] ?? 0);
    if (value === undefined) return undefined;
    out[i] = value;
  }
  return fromNumbers(a.dtype, dims, out);
}

/** `mod` becomes C's fmod where the attribute asks for it; without it floats have no modulo. */
function kernelOf(name: BinaryName, { node, inputs }: EvaluateContext): BinaryKernel | undefined {
  if (name !== "mod") return BINARY[name];
  if (node.int("fmod", 0) !== 0) return BINARY.fmod;
  return inputs[0] !== undefined && isFloat(inputs[0].dtype) ? undefined : BINARY.mod;
}

export function binary(name: BinaryName): EvaluateRule {
  return (c) => {
    const [a, b] = c.inputs;
    // Before opset 7 broadcasting was asked for by attributes, with other rules.
    if (c.node.attributes.has("broadcast") || a === undefined || b === undefined) return undefined;
    const kernel = kernelOf(name, c);
    const out = kernel && apply(kernel, a, b, c.limit);
    return out && [out];
  };
}

/** One tensor or more, folded from the left. */
export function variadic(name: BinaryName): EvaluateRule {
  return ({ inputs, limit }) => {
    const [first, ...rest] = inputs;
    let sum: Tensor | undefined = first;
    for (const next of rest)
      sum =
        sum === undefined || next === undefined ? undefined : apply(BINARY[name], sum, next, limit);
    return sum && [{ dtype: sum.dtype, dims: sum.dims, data: sum.data }];
  };
}

export const mean: EvaluateRule = (c) => {
  const sum = variadic("add")(c)?.[0];
  if (sum === undefined || sum.dtype !== "float32") return undefined;
  const count = tensorOf("float32", [], Float32Array.of(c.inputs.length));
  const out = apply(BINARY.div, sum, count, c.limit);
  return out && [out];
};

/** Base and exponent may differ in type; the result has the base's. */
export const power: EvaluateRule = ({ inputs: [base, exponent], limit }) => {
  const dims = base && exponent && broadcastSizes([base.dims, exponent.dims]);
  if (base === undefined || exponent === undefined || dims === undefined) return undefined;
  if (elementCount(dims) > limit) return undefined;
  const [x, y] = [broadcastOffsets(base.dims, dims), broadcastOffsets(exponent.dims, dims)];
  const [p, q] = [anyNumbers(base), anyNumbers(exponent)];
  if (x === undefined || y === undefined || p === undefined || q === undefined) return undefined;
  const values = Array.from(x, (at, i) => pow(p[at] ?? 0, q[y[i] ?? 0] ?? 0, base.dtype));
  if (isFloat(base.dtype)) {
    const out = numberArray(base.dtype, x.length);
    if (out === undefined) return undefined;
    out.set(values);
    return [fromNumbers(base.dtype, dims, out)];
  }
  if (!values.every((v) => Number.isSafeInteger(v) && Math.abs(v) < 2 ** 31)) return undefined;
  if (base.dtype === "int64") return [tensorOf("int64", dims, BigInt64Array.from(values, BigInt))];
  return base.dtype === "int32" ? [tensorOf("int32", dims, Int32Array.from(values))] : undefined;
};

function anyNumbers(tensor: Tensor): ArrayLike<number> | undefined {
  return isWide(tensor.dtype) ? readBigs(tensor).map(Number) : readNumbers(tensor);
}

/** Squares and cubes are products, as runtimes compute them. */
function pow(a: number, b: number, dtype: DType): number {
  if (b === 2) return a * a;
  if (b === 3) return (dtype === "float32" ? Math.fround(a * a) : a * a) * a;
  const value = a ** b;
  return isFloat(dtype) ? value : Math.trunc(value);
}

/** Half to even. */
export function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : rest > 0.5 ? floor + 1 : x;
  return floor % 2 === 0 ? floor : floor + 1;
}

interface UnaryKernel {
  readonly float?: (x: number) => number;
  readonly int?: (x: number) => number;
  readonly wide?: (x: bigint) => bigint;
  readonly bool?: (x: number) => boolean;
}

const UNARY = {
  abs: { float: Math.abs, int: Math.abs, wide: (x) => (x < 0n ? -x : x) },
  neg: { float: (x) => -x, int: (x) => -x, wide: (x) => -x },
  sign: { float: Math.sign, int: Math.sign, wide: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n) },
  relu: { float: (x) => (x < 0 ? 0 : x), int: (x) => Math.max(0, x) },
  floor: { float: Math.floor },
  ceil: { float: Math.ceil },
  round: { float: roundEven },
  sqrt: { float: Math.sqrt },
  exp: { float: Math.exp },
  log: { float: Math.log },
  erf: { float: erf },
  reciprocal: { float: (x) => 1 / x },
  sigmoid: { float: (x) => 1 / (1 + Math.exp(-x)) },
  tanh: { float: Math.tanh },
  sin: { float: Math.sin },
  cos: { float: Math.cos },
  tan: { float: Math.tan },
  atan: { float: Math.atan },
  isNaN: { bool: Number.isNaN },
} as const satisfies Record<string, UnaryKernel>;

export function unary(name: keyof typeof UNARY): EvaluateRule {
  return ({ inputs: [input] }) => {
    const out = input && mapped(UNARY[name], input);
    return out && [out];
  };
}

function mapped(kernel: UnaryKernel, input: Tensor): Tensor | undefined {
  const { dtype, dims } = input;
  if (isWide(dtype)) {
    const f = kernel.wide;
    if (f === undefined) return undefined;
    const out = bigArray(dtype, elementCount(dims));
    readBigs(input).forEach((x, i) => (out[i] = f(x)));
    return tensorOf(dtype, dims, out);
  }
  const values = readNumbers(input);
  if (values === undefined) return undefined;
  const test = kernel.bool;
  if (test !== undefined)
    return tensorOf(
      "bool",
      dims,
      Uint8Array.from(values, (x) => Number(test(x))),
    );
  const f = isFloat(dtype) ? kernel.float : dtype === "bool" ? undefined : kernel.int;
  const out = numberArray(dtype, values.length);
  if (f === undefined || out === undefined) return undefined;
  for (let i = 0; i < out.length; i++) out[i] = f(values[i] ?? 0);
  return fromNumbers(dtype, dims, out);
}

export const isInf: EvaluateRule = ({ node, inputs: [input] }) => {
  const values = input && readNumbers(input);
  if (input === undefined || values === undefined) return undefined;
  const up = node.int("detect_positive", 1) !== 0;
  const down = node.int("detect_negative", 1) !== 0;
  const test = (x: number) => (x === Infinity && up) || (x === -Infinity && down);
  return [
    tensorOf(
      "bool",
      input.dims,
      Uint8Array.from(values, (x) => Number(test(x))),
    ),
  ];
};

/** The largest numbers of the float types: a bound that Clip is not given. */
const LARGEST: Partial<Record<DType, number>> = {
  float16: 65504,
  bfloat16: 2 ** 127 * (2 - 2 ** -7),
  float32: 2 ** 127 * (2 - 2 ** -23),
  float64: Number.MAX_VALUE,
};

/** ± the largest number of the type, so that infinities are clipped too; undefined for integers, which need no bound. */
function outermost(dtype: DType, sign: 1 | -1): Tensor | undefined {
  const largest = LARGEST[dtype];
  const out = numberArray(dtype, 1);
  if (largest === undefined || out === undefined) return undefined;
  out[0] = sign * largest;
  return fromNumbers(dtype, [], out);
}

/** Bounds by attribute up to opset 10, by input from 11 on. */
export const clip: EvaluateRule = ({ node, inputs: [input, low, high], limit }) => {
  if (input === undefined) return undefined;
  const attribute = (name: string): Tensor | undefined => {
    const out = node.attributes.has(name) ? numberArray(input.dtype, 1) : undefined;
    return out && fromNumbers(input.dtype, [], out.fill(node.float(name, 0)));
  };
  const from = low ?? attribute("min") ?? outermost(input.dtype, -1);
  const to = high ?? attribute("max") ?? outermost(input.dtype, 1);
  const raised = from === undefined ? input : apply(BINARY.max, input, from, limit);
  const out = raised && (to === undefined ? raised : apply(BINARY.min, raised, to, limit));
  return out && [{ dtype: out.dtype, dims: out.dims, data: out.data }];
};

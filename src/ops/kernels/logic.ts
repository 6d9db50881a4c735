// Constant evaluation of comparisons, logic and bits.
import { elementCount } from "../../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../../onnx/tensor.js";
import type { EvaluateRule } from "../facts.js";
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

type Scalar = number | bigint;

/** The elements of two broadcast tensors side by side, and the dims; undefined where they cannot be read. */
function pairs(
  a: Tensor | undefined,
  b: Tensor | undefined,
  limit: number,
): { dims: number[]; left: Scalar[]; right: Scalar[] } | undefined {
  if (a === undefined || b === undefined || a.dtype !== b.dtype) return undefined;
  const dims = broadcastSizes([a.dims, b.dims]);
  if (dims === undefined || elementCount(dims) > limit) return undefined;
  const [x, y] = [broadcastOffsets(a.dims, dims), broadcastOffsets(b.dims, dims)];
  const [p, q] = [scalars(a), scalars(b)];
  if (x === undefined || y === undefined || p === undefined || q === undefined) return undefined;
  return {
    dims,
    left: Array.from(x, (at) => p[at] ?? 0),
    right: Array.from(y, (at) => q[at] ?? 0),
  };
}

function scalars(tensor: Tensor): ArrayLike<Scalar> | undefined {
  return isWide(tensor.dtype) ? readBigs(tensor) : readNumbers(tensor);
}

const COMPARE = {
  equal: (a: Scalar, b: Scalar) => a === b,
  greater: (a: Scalar, b: Scalar) => a > b,
  greaterOrEqual: (a: Scalar, b: Scalar) => a >= b,
  less: (a: Scalar, b: Scalar) => a < b,
  lessOrEqual: (a: Scalar, b: Scalar) => a <= b,
} as const;

export function compare(name: keyof typeof COMPARE): EvaluateRule {
  return ({ inputs: [a, b], limit }) => {
    const both = pairs(a, b, limit);
    if (both === undefined) return undefined;
    const bits = both.left.map((x, i) => Number(COMPARE[name](x, both.right[i] ?? 0)));
    return [tensorOf("bool", both.dims, Uint8Array.from(bits))];
  };
}

const LOGIC = {
  and: (a: Scalar, b: Scalar) => a && b,
  or: (a: Scalar, b: Scalar) => a || b,
  xor: (a: Scalar, b: Scalar) => a !== b,
} as const;

export function logic(name: keyof typeof LOGIC): EvaluateRule {
  return ({ inputs: [a, b], limit }) => {
    const both = a?.dtype === "bool" ? pairs(a, b, limit) : undefined;
    if (both === undefined) return undefined;
    const bits = both.left.map((x, i) => Number(LOGIC[name](x, both.right[i] ?? 0)));
    return [tensorOf("bool", both.dims, Uint8Array.from(bits))];
  };
}

export const not: EvaluateRule = ({ inputs: [input] }) => {
  const values = input?.dtype === "bool" ? readNumbers(input) : undefined;
  if (input === undefined || values === undefined) return undefined;
  return [
    tensorOf(
      "bool",
      input.dims,
      Uint8Array.from(values, (x) => Number(x === 0)),
    ),
  ];
};

const BITS = {
  and: { int: (a: number, b: number) => a & b, wide: (a: bigint, b: bigint) => a & b },
  or: { int: (a: number, b: number) => a | b, wide: (a: bigint, b: bigint) => a | b },
  xor: { int: (a: number, b: number) => a ^ b, wide: (a: bigint, b: bigint) => a ^ b },
  not: { int: (a: number) => ~a, wide: (a: bigint) => ~a },
} as const;

export function bitwise(name: keyof typeof BITS): EvaluateRule {
  return ({ inputs: [a, second], limit }) => {
    const b = name === "not" ? a : second;
    return stored(a, pairs(a, b, limit), BITS[name].int, BITS[name].wide);
  };
}

/** The results of an integer operation, in the type of `like`. */
function stored(
  like: Tensor | undefined,
  both: ReturnType<typeof pairs>,
  int: (a: number, b: number) => number,
  wide: (a: bigint, b: bigint) => bigint,
): Tensor[] | undefined {
  if (like === undefined || both === undefined) return undefined;
  const { dtype } = like;
  if (isFloat(dtype) || dtype === "bool") return undefined;
  const { dims, left, right } = both;
  if (isWide(dtype)) {
    const out = bigArray(dtype, left.length);
    left.forEach((x, i) => (out[i] = wide(BigInt(x), BigInt(right[i] ?? 0))));
    return [tensorOf(dtype, dims, out)];
  }
  const out = numberArray(dtype, left.length);
  if (out === undefined) return undefined;
  left.forEach((x, i) => (out[i] = int(Number(x), Number(right[i] ?? 0))));
  return [fromNumbers(dtype, dims, out)];
}

/** Unsigned types only; amounts beyond the width give no result here (they are undefined in the runtimes). */
export const bitShift: EvaluateRule = ({ node, inputs: [a, b], limit }) => {
  const both = pairs(a, b, limit);
  if (both === undefined || a === undefined || b === undefined) return undefined;
  const bits = { uint8: 8, uint16: 16, uint32: 32, uint64: 64 }[a.dtype as string];
  if (bits === undefined || both.right.some((s) => s >= bits)) return undefined;
  const left = node.string("direction", "") === "LEFT";
  return stored(
    a,
    both,
    (x, s) => (left ? x * 2 ** s : Math.floor(x / 2 ** s)),
    (x, s) => (left ? x << s : x >> s),
  );
};

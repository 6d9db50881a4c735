// Constant conversion between element types.
import { dtypeOfCode, DTYPES, type DType } from "../../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../../onnx/tensor.js";
import type { EvaluateRule } from "../facts.js";
import {
  bigArray,
  fromNumbers,
  fromSmallFloats,
  isFloat,
  isWide,
  numberArray,
  readBigs,
  readNumbers,
} from "./arrays.js";
import { floatsOf } from "../../onnx/values.js";

export const cast: EvaluateRule = ({ node, inputs: [input] }) => {
  const to = dtypeOfCode(node.int("to", 0));
  const out = input && to && converted(input, to, node.int("saturate", 1) !== 0);
  return out && [out];
};

export const castLike: EvaluateRule = ({ node, inputs: [input, like] }) => {
  const out = input && like && converted(input, like.dtype, node.int("saturate", 1) !== 0);
  return out && [out];
};

/** The tensor as another type; undefined where that is not defined (a float outside the integer's range) or not done here (strings). */
function converted(input: Tensor, to: DType, saturate = true): Tensor | undefined {
  const { dtype: from, dims } = input;
  if (from === to) return { dtype: from, dims, data: input.data };
  if (isWide(from)) return fromBigs(readBigs(input), dims, to);
  const values = isFloat(from) && from !== "float64" ? floatsOf(input) : readNumbers(input);
  if (values === undefined) return undefined;
  if (to === "bool")
    return tensorOf(
      "bool",
      dims,
      Uint8Array.from(values, (x) => Number(x !== 0)),
    );
  switch (to) {
    case "float8e4m3fn":
    case "float8e4m3fnuz":
    case "float8e5m2":
    case "float8e5m2fnuz":
      return fromSmallFloats(to, dims, values, saturate);
    default:
  }
  if (!isFloat(from)) {
    // Integers into integers keep their low bits.
    if (isWide(to)) {
      const out = bigArray(to, values.length);
      for (let i = 0; i < out.length; i++) out[i] = BigInt(values[i] ?? 0);
      return tensorOf(to, dims, out);
    }
    return filled(values, dims, to);
  }
  if (isFloat(to)) return filled(values, dims, to);
  const whole = truncated(values, to);
  if (whole === undefined) return undefined;
  return isWide(to)
    ? tensorOf(to, dims, BigInt64Array.from(whole, BigInt))
    : filled(whole, dims, to);
}

function filled(values: ArrayLike<number>, dims: readonly number[], to: DType): Tensor | undefined {
  const out = numberArray(to, values.length);
  if (out === undefined) return undefined;
  out.set(values);
  return fromNumbers(to, dims, out);
}

/** Floats cut to whole numbers; undefined where one is outside the range of the type. */
function truncated(values: ArrayLike<number>, to: DType): number[] | undefined {
  const { bits, kind } = DTYPES[to];
  const low = kind === "int" ? -(2 ** (bits - 1)) : 0;
  const high = kind === "int" ? 2 ** (bits - 1) : 2 ** bits;
  // + 0 turns -0 into 0.
  const whole = Array.from(values, (x) => Math.trunc(x) + 0);
  return whole.every((x) => x >= low && x < high) ? whole : undefined;
}

function fromBigs(
  values: readonly bigint[],
  dims: readonly number[],
  to: DType,
): Tensor | undefined {
  if (to === "bool")
    return tensorOf(
      "bool",
      dims,
      Uint8Array.from(values, (x) => Number(x !== 0n)),
    );
  if (isWide(to)) {
    const out = bigArray(to, values.length);
    values.forEach((x, i) => (out[i] = x));
    return tensorOf(to, dims, out);
  }
  if (isFloat(to)) return filled(values.map(to === "float64" ? Number : nearestFloat32), dims, to);
  const bits = DTYPES[to].bits;
  return filled(
    values.map((x) => Number(BigInt.asIntN(bits, x))),
    dims,
    to,
  );
}

/** The nearest float32 of a 64-bit integer, without rounding to a double first. */
function nearestFloat32(x: bigint): number {
  const near = Number(x);
  if (Number.isSafeInteger(near)) return Math.fround(near);
  // The lowest 16 bits only say whether there is a rest: they become one sticky bit.
  const sticky = (x & 0xffffn) === 0n ? 0n : 1n;
  return Math.fround(Number(((x >> 16n) << 1n) | sticky)) * 2 ** 15;
}

// Constant evaluation of QuantizeLinear and DequantizeLinear: per tensor, per axis and block-wise.
import { DTYPES, dtypeOfCode, elementCount, type DType } from "../../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../../onnx/tensor.js";
import { floatsOf, numbersOf } from "../../onnx/values.js";
import type { EvaluateContext, EvaluateRule } from "../facts.js";
import { broadcastOffsets, stridesOf } from "../strided.js";
import { fromNumbers, isFloat, numberArray } from "./arrays.js";
import { roundEven } from "./arithmetic.js";

/** For each element of a tensor of shape `dims`, which scale it uses. */
function scaleIndex({ node }: EvaluateContext, dims: readonly number[], scale: Tensor) {
  if (elementCount(scale.dims) === 1) return new Int32Array(elementCount(dims));
  const axis = node.int("axis", 1);
  const at = axis < 0 ? axis + dims.length : axis;
  const size = dims[at];
  if (size === undefined) return undefined;
  if (scale.dims.length === 1 && scale.dims[0] === size)
    return broadcastOffsets([size, ...dims.slice(at + 1).map(() => 1)], dims);
  const block = node.int("block_size", 0);
  if (block <= 0 || scale.dims.length !== dims.length) return undefined;
  if (scale.dims.some((d, i) => d !== (i === at ? Math.ceil(size / block) : dims[i])))
    return undefined;
  const own = stridesOf(dims);
  const strides = stridesOf(scale.dims);
  return Int32Array.from({ length: elementCount(dims) }, (_, i) => {
    let offset = 0;
    let rest = i;
    for (const [k, stride] of own.entries()) {
      const place = Math.floor(rest / stride);
      rest -= place * stride;
      offset += (k === at ? Math.floor(place / block) : place) * (strides[k] ?? 0);
    }
    return offset;
  });
}

const isByteOrMore = (dtype: DType) =>
  DTYPES[dtype].bits >= 8 && DTYPES[dtype].bits <= 32 && !isFloat(dtype) && dtype !== "bool";

export const quantizeLinear: EvaluateRule = (c) => {
  const [input, scale, zero] = c.inputs;
  const to = zero?.dtype ?? dtypeOfCode(c.node.int("output_dtype", 0)) ?? "uint8";
  if (input?.dtype !== "float32" || scale?.dtype !== "float32") return undefined;
  const index = scaleIndex(c, input.dims, scale);
  const out = isByteOrMore(to) ? numberArray(to, elementCount(input.dims)) : undefined;
  if (index === undefined || out === undefined) return undefined;
  const [values, scales, zeros] = [floatsOf(input), floatsOf(scale), zero && numbersOf(zero)];
  const { bits, kind } = DTYPES[to];
  const low = kind === "int" ? -(2 ** (bits - 1)) : 0;
  const high = low + 2 ** bits - 1;
  for (let i = 0; i < out.length; i++) {
    const k = index[i] ?? 0;
    const real = Math.fround((values[i] ?? 0) / (scales[k] ?? 1));
    out[i] = Math.min(Math.max(roundEven(real) + (zeros?.[k] ?? 0), low), high);
  }
  return [tensorOf(to, input.dims, out)];
};

export const dequantizeLinear: EvaluateRule = (c) => {
  const [input, scale, zero] = c.inputs;
  if (input === undefined || scale === undefined) return undefined;
  const { kind, bits } = DTYPES[input.dtype];
  if ((kind !== "int" && kind !== "uint") || bits > 32) return undefined;
  const index = scaleIndex(c, input.dims, scale);
  const out = numberArray(scale.dtype, elementCount(input.dims));
  if (index === undefined || out === undefined || !isFloat(scale.dtype)) return undefined;
  const [values, scales, zeros] = [numbersOf(input), numbersOf(scale), zero && numbersOf(zero)];
  for (let i = 0; i < out.length; i++) {
    const k = index[i] ?? 0;
    out[i] = Math.fround((values[i] ?? 0) - (zeros?.[k] ?? 0)) * (scales[k] ?? 1);
  }
  return [fromNumbers(scale.dtype, input.dims, out)];
};

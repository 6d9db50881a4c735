// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear by the specification of ONNX.
import { dtypeOfCode, DTYPES, type DType } from "../../../src/onnx/dtypes.js";
import { evaluate } from "../../../src/ops/evaluate.js";
import { encodeFloat } from "../../../src/onnx/float.js";
import { tensorOf, type Tensor } from "../../../src/onnx/tensor.js";
import {
  axisOf,
  input,
  isWhole,
  optional,
  product,
  rangeOf,
  saturated,
  roundHalfToEven,
  store,
  unsupported,
  type Call,
  type Kernel,
  type KernelTable,
  type Numbers,
} from "./kernel.js";

/** Which scale (and zero point) element i of a tensor has: one for all, one per place along an axis, or one per block along an axis. */
function scaleAt(call: Call, dims: readonly number[], scale: Numbers): (i: number) => number {
  const { node } = call;
  const block = node.int("block_size", 0);
  if (block === 0 && scale.values.length === 1 && scale.dims.length <= 1) return () => 0;
  const axis = axisOf(call, node.int("axis", 1), dims.length);
  const size = dims[axis] ?? 1;
  const inner = product(dims.slice(axis + 1));
  if (block === 0 && scale.dims.length === 1) {
    if (scale.values.length !== size)
      throw unsupported(node, `${scale.values.length} scales for ${size} places of axis ${axis}`);
    return (i) => Math.floor(i / inner) % size;
  }
  const blocks = scale.dims[axis] ?? 1;
  if (scale.dims.length !== dims.length || blocks !== Math.ceil(size / block))
    throw unsupported(node, `scales [${scale.dims.join(", ")}] for [${dims.join(", ")}]`);
  return (i) => {
    const place = Math.floor(i / inner) % size;
    const outer = Math.floor(i / (inner * size));
    return (outer * blocks + Math.floor(place / block)) * inner + (i % inner);
  };
}

/** The type of the result: the zero point's, the attribute's, or uint8. */
function targetOf({ node }: Call, zero: Numbers | undefined): DType {
  return zero?.dtype ?? dtypeOfCode(node.int("output_dtype", 0)) ?? "uint8";
}

/**
 * saturate(round(x / scale) + zero), the quotient rounded to float32. (The specification leaves the precision of float16 quotients to the
 * attribute `precision`; onnxruntime divides in float32.)
 */
const quantizeLinear: Kernel = (call) => {
  const [x, scale, zero] = [input(call, 0), input(call, 1), optional(call, 2)];
  const to = targetOf(call, zero);
  const at = scaleAt(call, x.dims, scale);
  const quotients = x.values.map((v, i) => Math.fround(v / (scale.values[at(i)] ?? 1)));
  if (isWhole(to)) {
    const range = rangeOf(to);
    const values = quotients.map((q, i) => saturated(q, zero?.values[at(i)] ?? 0, range));
    return [store(to, x.dims, values)];
  }
  return [smallFloats(call, to, x.dims, quotients)];
};

/** 8-bit floats have no zero point but 0; the attribute says whether they saturate. */
function smallFloats(
  { node }: Call,
  to: DType,
  dims: readonly number[],
  values: readonly number[],
): Tensor {
  switch (to) {
    case "float8e4m3fn":
    case "float8e4m3fnuz":
    case "float8e5m2":
    case "float8e5m2fnuz": {
      const saturate = node.int("saturate", 1) !== 0;
      return tensorOf(
        to,
        dims,
        Uint8Array.from(values, (v) => encodeFloat(to, v, saturate)),
      );
    }
    default:
      throw unsupported(node, `its output type is ${to}`);
  }
}

/** (x - zero) * scale, in the type of the scale. */
const dequantizeLinear: Kernel = (call) => {
  const [x, scale, zero] = [input(call, 0), input(call, 1), optional(call, 2)];
  const at = scaleAt(call, x.dims, scale);
  const to = dtypeOfCode(call.node.int("output_dtype", 0)) ?? scale.dtype;
  const values = x.values.map((v, i) => {
    const k = at(i);
    return Math.fround(Math.fround(v - (zero?.values[k] ?? 0)) * (scale.values[k] ?? 1));
  });
  return [store(to, x.dims, values)];
};

export interface Scaled {
  readonly values: readonly number[];
  readonly scale: number;
  readonly zero: number;
}

/**
 * uint8 with the range that the values have, widened to include 0. All-zero values get scale 1, as onnxruntime gives it: by the formula of
 * the specification the scale is 0, and the result 0 / 0.
 */
export function dynamicallyQuantized(values: readonly number[]): Scaled {
  let [least, most] = [0, 0];
  for (const v of values) {
    least = Math.min(least, v);
    most = Math.max(most, v);
  }
  const width = Math.fround(most - least);
  const scale = width === 0 ? 1 : Math.fround(width / 255);
  const zero = roundHalfToEven(
    Math.min(Math.max(Math.fround(0 - Math.fround(least / scale)), 0), 255),
  );
  const range = rangeOf("uint8");
  return {
    values: values.map((v) => saturated(Math.fround(v / scale), zero, range)),
    scale,
    zero,
  };
}

const dynamicQuantizeLinear: Kernel = (call) => {
  const x = input(call, 0);
  const { values, scale, zero } = dynamicallyQuantized(x.values);
  return [
    store("uint8", x.dims, values),
    store("float32", [], [scale]),
    store("uint8", [], [zero]),
  ];
};

/**
 * As constant evaluation has it, and beside that: integers below a byte keep their low bits; a real that no whole number of the type is near
 * to (where the specification leaves the result open) becomes the lowest one, as processors have it.
 */
const cast: Kernel = (call) => {
  const evaluated = evaluate(call.node, call.inputs);
  if (evaluated !== undefined) return evaluated;
  const [x, to] = [input(call, 0), dtypeOfCode(call.node.int("to", 0))];
  const kind = to && DTYPES[to].kind;
  if (to === undefined || (kind !== "int" && kind !== "uint"))
    throw unsupported(call.node, `it casts ${x.dtype} to ${to ?? "an unknown type"}`);
  if (DTYPES[x.dtype].kind !== "float") return [store(to, x.dims, x.values)];
  const { low, high } = rangeOf(to);
  const whole = x.values.map((v) => Math.trunc(v) + 0);
  return [
    store(
      to,
      x.dims,
      whole.map((v) => (v >= low && v <= high ? v : low)),
    ),
  ];
};

export const QUANTIZE: KernelTable = {
  Cast: cast,
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  "com.microsoft.QuantizeLinear": quantizeLinear,
  "com.microsoft.DequantizeLinear": dequantizeLinear,
};

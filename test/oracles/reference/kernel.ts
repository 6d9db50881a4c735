// What kernels of the reference interpreter share: reading inputs as numbers, storing numbers as a type, integers that saturate.
import { UnsupportedError } from "../../../src/errors.js";
import { describe, type Node } from "../../../src/graph/graph.js";
import { DTYPES, elementCount, type DType } from "../../../src/onnx/dtypes.js";
import { encodeFloat, float32ToBfloat16, float32ToFloat16 } from "../../../src/onnx/float.js";
import { tensorOf, type Tensor } from "../../../src/onnx/tensor.js";
import { numbersOf } from "../../../src/onnx/values.js";

export interface Call {
  readonly node: Node;
  /** Version of the operator set that the node belongs to. */
  readonly opset: number;
  /** One per input slot; undefined is an input that is left out. */
  readonly inputs: readonly (Tensor | undefined)[];
}

/** The outputs of one node, by the operator's specification. */
export type Kernel = (call: Call) => readonly Tensor[];

/** Kernels by operator; a missing row is an operator that the interpreter does not have. */
export type KernelTable = Partial<Record<string, Kernel>>;

/** A tensor whose elements have been read as numbers. */
export interface Numbers {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

export function unsupported(node: Node, reason: string): UnsupportedError {
  return new UnsupportedError(
    `Interpreting ${describe(node)}`,
    reason,
    "The reference interpreter is for tests; run the model in onnxruntime.",
  );
}

function read(tensor: Tensor): Numbers {
  return { dtype: tensor.dtype, dims: tensor.dims, values: numbersOf(tensor) };
}

/** Input `index`, which the operator requires. */
export function input({ node, inputs }: Call, index: number): Numbers {
  const tensor = inputs[index];
  if (tensor === undefined) throw unsupported(node, `input ${index} is missing`);
  return read(tensor);
}

export function optional({ inputs }: Call, index: number): Numbers | undefined {
  const tensor = inputs[index];
  return tensor && read(tensor);
}

/** The only element. */
export function scalar(call: Call, index: number): number {
  const { values } = input(call, index);
  const [value] = values;
  if (value === undefined || values.length !== 1)
    throw unsupported(call.node, `input ${index} has ${values.length} elements, expected 1`);
  return value;
}

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The whole numbers of an integer type (of 64 bits: as near as doubles are). */
export function rangeOf(dtype: DType): Range {
  const { bits, kind } = DTYPES[dtype];
  const low = kind === "int" ? -(2 ** (bits - 1)) : 0;
  return { low, high: low + 2 ** bits - 1 };
}

export function isWhole(dtype: DType): boolean {
  const { kind, bits } = DTYPES[dtype];
  return (kind === "int" || kind === "uint") && bits <= 32;
}

/** Half to even; -0 for what rounds to it from below. */
export function roundHalfToEven(x: number): number {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** round(x) + zero, held within the type. */
export function saturated(x: number, zero: number, { low, high }: Range): number {
  return Math.min(Math.max(roundHalfToEven(x) + zero, low), high);
}

/** A tensor of these numbers in a type: floats round to the nearest, integers must fit (32-bit ones wrap around). */
export function store(dtype: DType, dims: readonly number[], values: readonly number[]): Tensor {
  const make = STORES[dtype];
  if (make === undefined) throw new Error(`internal: the interpreter cannot store ${dtype}`);
  if (values.length !== elementCount(dims))
    throw new Error(`internal: ${values.length} elements for dims [${dims.join(", ")}]`);
  return tensorOf(dtype, dims, make(values));
}

type Store = (values: readonly number[]) => ArrayBufferView;

const small =
  (format: Parameters<typeof encodeFloat>[0]): Store =>
  (values) =>
    Uint8Array.from(values, (x) => encodeFloat(format, x, true));

function packed(bits: number): Store {
  return (values) => {
    const out = new Uint8Array(Math.ceil((values.length * bits) / 8));
    values.forEach((x, i) => {
      const at = Math.floor((i * bits) / 8);
      out[at] = (out[at] ?? 0) | ((x & ((1 << bits) - 1)) << ((i * bits) % 8));
    });
    return out;
  };
}

const STORES: { readonly [D in DType]?: Store } = {
  float32: (values) => Float32Array.from(values),
  float64: (values) => Float64Array.from(values),
  float16: (values) => float32ToFloat16(Float32Array.from(values)),
  bfloat16: (values) => float32ToBfloat16(Float32Array.from(values)),
  float8e4m3fn: small("float8e4m3fn"),
  float8e4m3fnuz: small("float8e4m3fnuz"),
  float8e5m2: small("float8e5m2"),
  float8e5m2fnuz: small("float8e5m2fnuz"),
  int8: (values) => Int8Array.from(values),
  uint8: (values) => Uint8Array.from(values),
  bool: (values) => Uint8Array.from(values, (x) => Number(x !== 0)),
  int16: (values) => Int16Array.from(values),
  uint16: (values) => Uint16Array.from(values),
  int32: (values) => Int32Array.from(values),
  uint32: (values) => Uint32Array.from(values),
  int64: (values) => BigInt64Array.from(values, BigInt),
  int4: packed(4),
  uint4: packed(4),
  int2: packed(2),
  uint2: packed(2),
};

/** An axis as a position from 0. */
export function axisOf({ node }: Call, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!(at >= 0 && at < Math.max(rank, 1)))
    throw unsupported(node, `axis ${axis} is outside of rank ${rank}`);
  return at;
}

export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

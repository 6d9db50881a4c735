// Elements of small tensors as typed arrays, for the evaluation rules: numbers, 64-bit integers, or words that are only moved.
import { DTYPES, elementCount, type DType } from "../../onnx/dtypes.js";
import { encodeFloat, float32ToBfloat16, float32ToFloat16 } from "../../onnx/float.js";
import { tensorOf, type Tensor } from "../../onnx/tensor.js";
import { bigintsOf, floatsOf, numbersOf } from "../../onnx/values.js";

export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;
export type BigArray = BigInt64Array | BigUint64Array;
export type Words = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

type Maker = (length: number) => NumberArray;
const float32: Maker = (n) => new Float32Array(n);

/** Arrays in which numbers of a type are computed: narrow floats are computed as float32 and rounded when they are stored. */
const ARRAYS: { readonly [D in DType]?: Maker } = {
  float32,
  float16: float32,
  bfloat16: float32,
  float64: (n) => new Float64Array(n),
  int8: (n) => new Int8Array(n),
  uint8: (n) => new Uint8Array(n),
  bool: (n) => new Uint8Array(n),
  int16: (n) => new Int16Array(n),
  uint16: (n) => new Uint16Array(n),
  int32: (n) => new Int32Array(n),
  uint32: (n) => new Uint32Array(n),
};

export const isWide = (dtype: DType): dtype is "int64" | "uint64" =>
  dtype === "int64" || dtype === "uint64";
export const isFloat = (dtype: DType): boolean => DTYPES[dtype].kind === "float";

/** An array for numbers of this type; undefined for types that are not computed with (64-bit integers have `bigArray`). */
export function numberArray(dtype: DType, length: number): NumberArray | undefined {
  return ARRAYS[dtype]?.(length);
}

export function bigArray(dtype: "int64" | "uint64", length: number): BigArray {
  return dtype === "int64" ? new BigInt64Array(length) : new BigUint64Array(length);
}

/** The elements as numbers; undefined for 64-bit integers, strings and types without arithmetic. */
export function readNumbers(tensor: Tensor): ArrayLike<number> | undefined {
  if (ARRAYS[tensor.dtype] === undefined) return undefined;
  return tensor.dtype === "float64" ? numbersOf(tensor) : floatsOrInts(tensor);
}

function floatsOrInts(tensor: Tensor): ArrayLike<number> {
  // 32-bit integers do not fit float32.
  return isFloat(tensor.dtype) ? floatsOf(tensor) : numbersOf(tensor);
}

/** The elements of any integer or bool tensor, exactly; undefined for others. */
export function readIntegers(tensor: Tensor): number[] | undefined {
  const kind = DTYPES[tensor.dtype].kind;
  return kind === "int" || kind === "uint" || kind === "bool" ? numbersOf(tensor) : undefined;
}

export function readBigs(tensor: Tensor): readonly bigint[] {
  return bigintsOf(tensor);
}

/** A tensor of numbers computed in the array that `numberArray` gave for this type. */
export function fromNumbers(dtype: DType, dims: readonly number[], values: NumberArray): Tensor {
  if (values instanceof Float32Array) {
    if (dtype === "float16") return tensorOf(dtype, dims, float32ToFloat16(values));
    if (dtype === "bfloat16") return tensorOf(dtype, dims, float32ToBfloat16(values));
  }
  return tensorOf(dtype, dims, values);
}

/** A tensor of an 8-bit float type. */
export function fromSmallFloats(
  dtype: "float8e4m3fn" | "float8e4m3fnuz" | "float8e5m2" | "float8e5m2fnuz",
  dims: readonly number[],
  values: ArrayLike<number>,
  saturate: boolean,
): Tensor {
  return tensorOf(
    dtype,
    dims,
    Uint8Array.from(values, (v) => encodeFloat(dtype, v, saturate)),
  );
}

/** The elements as words of their width, to be moved; undefined for strings, packed and 128-bit elements. */
export function wordsOf(tensor: Tensor): Words | undefined {
  const bits = DTYPES[tensor.dtype].bits;
  if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64) return undefined;
  const bytes = tensor.data.read();
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  const count = elementCount(tensor.dims);
  if (bits === 8) return aligned;
  if (bits === 16) return new Uint16Array(buffer, byteOffset, count);
  if (bits === 32) return new Uint32Array(buffer, byteOffset, count);
  return new BigUint64Array(buffer, byteOffset, count);
}

/** A tensor of type `dtype` whose element i is element `offsets[i]` of `words`; a negative offset takes `filler`'s only element, or 0. */
export function taken(
  dtype: DType,
  dims: readonly number[],
  words: Words,
  offsets: Int32Array,
  filler?: Words,
): Tensor {
  if (words instanceof BigUint64Array) {
    const fill = filler instanceof BigUint64Array ? (filler[0] ?? 0n) : 0n;
    const out = new BigUint64Array(offsets.length);
    for (let i = 0; i < out.length; i++) {
      const at = offsets[i] ?? -1;
      out[i] = at < 0 ? fill : (words[at] ?? 0n);
    }
    return tensorOf(dtype, dims, out);
  }
  const fill = filler === undefined || filler instanceof BigUint64Array ? 0 : (filler[0] ?? 0);
  const out = emptyLike(words, offsets.length);
  for (let i = 0; i < out.length; i++) {
    const at = offsets[i] ?? -1;
    out[i] = at < 0 ? fill : (words[at] ?? 0);
  }
  return tensorOf(dtype, dims, out);
}

function emptyLike(
  words: Uint8Array | Uint16Array | Uint32Array,
  length: number,
): Uint8Array | Uint16Array | Uint32Array {
  if (words instanceof Uint8Array) return new Uint8Array(length);
  return words instanceof Uint16Array ? new Uint16Array(length) : new Uint32Array(length);
}

/** The same bytes under other dims. */
export function reshaped(tensor: Tensor, dims: readonly number[]): Tensor {
  const { dtype, data, strings } = tensor;
  return strings === undefined ? { dtype, dims, data } : { dtype, dims, data, strings };
}

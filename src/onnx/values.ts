// The elements of a tensor as numbers: one row per element type says how its bytes are read.
import { elementCount, type DType } from "./dtypes.js";
import { bfloat16ToFloat32, float16ToFloat32, floatTable, type SmallFloat } from "./float.js";
import type { Tensor } from "./tensor.js";

type Values =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array;
type Decode = (bytes: Uint8Array, count: number) => Values;

interface ViewType<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

/** Little-endian elements in place where the address allows it, else in a copy. */
function view<T>(type: ViewType<T>): (bytes: Uint8Array, count: number) => T {
  return (bytes, count) => {
    const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
    return new type(aligned.buffer, aligned.byteOffset, count);
  };
}

/** Elements below a byte: packed from the lowest bit of the first byte on. */
function unpack(bytes: Uint8Array, count: number, bits: number): Uint8Array {
  const out = new Uint8Array(count);
  const mask = (1 << bits) - 1;
  for (let i = 0; i < count; i++) {
    const bit = i * bits;
    const at = Math.floor(bit / 8);
    const window = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    out[i] = (window >> (bit % 8)) & mask;
  }
  return out;
}

function packedInts(bits: number, signed: boolean): Decode {
  const wrap = 32 - bits;
  return (bytes, count) => {
    const codes = unpack(bytes, count, bits);
    return signed ? Int8Array.from(codes, (code) => (code << wrap) >> wrap) : codes;
  };
}

function byTable(
  format: SmallFloat | "float8e8m0",
  codesOf: (bytes: Uint8Array, count: number) => Uint8Array | Uint16Array,
): Decode {
  return (bytes, count) => {
    const table = floatTable(format);
    const codes = codesOf(bytes, count);
    const out = new Float32Array(count);
    for (let i = 0; i < count; i++) out[i] = table[codes[i] ?? 0] ?? 0;
    return out;
  };
}

const bytewise = (bytes: Uint8Array): Uint8Array => bytes;

const DECODERS: { readonly [D in DType]?: Decode } = {
  float32: view(Float32Array),
  float64: view(Float64Array),
  uint8: bytewise,
  int8: view(Int8Array),
  uint16: view(Uint16Array),
  int16: view(Int16Array),
  uint32: view(Uint32Array),
  int32: view(Int32Array),
  uint64: view(BigUint64Array),
  int64: view(BigInt64Array),
  bool: (bytes) => bytes.map((b) => (b === 0 ? 0 : 1)),
  float16: (bytes, count) => float16ToFloat32(view(Uint16Array)(bytes, count)),
  bfloat16: (bytes, count) => bfloat16ToFloat32(view(Uint16Array)(bytes, count)),
  float8e4m3fn: byTable("float8e4m3fn", bytewise),
  float8e4m3fnuz: byTable("float8e4m3fnuz", bytewise),
  float8e5m2: byTable("float8e5m2", bytewise),
  float8e5m2fnuz: byTable("float8e5m2fnuz", bytewise),
  float8e8m0: byTable("float8e8m0", bytewise),
  float6e2m3: byTable("float6e2m3", (bytes, count) => unpack(bytes, count, 6)),
  float6e3m2: byTable("float6e3m2", (bytes, count) => unpack(bytes, count, 6)),
  float4e2m1: byTable("float4e2m1", (bytes, count) => unpack(bytes, count, 4)),
  uint4: packedInts(4, false),
  int4: packedInts(4, true),
  uint2: packedInts(2, false),
  int2: packedInts(2, true),
};

function valuesOf(tensor: Tensor): Values {
  const decode = DECODERS[tensor.dtype];
  if (decode === undefined) throw new Error(`internal: ${tensor.dtype} elements are not numbers`);
  return decode(tensor.data.read(), elementCount(tensor.dims));
}

function isWide(values: Values): values is BigInt64Array | BigUint64Array {
  return values instanceof BigInt64Array || values instanceof BigUint64Array;
}

/**
 * All elements as float32: of a float32 tensor a view where its bytes are aligned (do not write into it), of any other numeric type a
 * converted copy. float64 and wide integers round to the nearest float32.
 */
export function floatsOf(tensor: Tensor): Float32Array {
  const values = valuesOf(tensor);
  if (values instanceof Float32Array) return values;
  if (!isWide(values)) return new Float32Array(values);
  const out = new Float32Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = Number(values[i] ?? 0n);
  return out;
}

/** All elements as numbers (booleans as 0 and 1); 64-bit integers beyond 2^53 are rounded. For small tensors. */
export function numbersOf(tensor: Tensor): number[] {
  const values = valuesOf(tensor);
  return isWide(values) ? Array.from(values, Number) : Array.from(values);
}

/** All elements of an integer or boolean tensor, exactly. */
export function bigintsOf(tensor: Tensor): bigint[] {
  const values = valuesOf(tensor);
  return isWide(values) ? Array.from(values) : Array.from(values, BigInt);
}

/** The element of a tensor that has exactly one, whatever its rank; undefined otherwise, and for strings and complex numbers. */
export function scalarOf(tensor: Tensor): number | undefined {
  if (DECODERS[tensor.dtype] === undefined || elementCount(tensor.dims) !== 1) return undefined;
  return numbersOf(tensor)[0];
}

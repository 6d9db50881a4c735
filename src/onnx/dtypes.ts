// The element types of ONNX tensors: one row each, with the code in the file, the width in bits and the name used everywhere in Octavo.

export interface DTypeRow {
  /** `TensorProto.DataType` in the file. */
  readonly code: number;
  /** Bits of one element; 0 where elements have no fixed width (string). */
  readonly bits: number;
  readonly kind: "float" | "int" | "uint" | "bool" | "string" | "complex";
}

export const DTYPES = {
  float32: { code: 1, bits: 32, kind: "float" },
  uint8: { code: 2, bits: 8, kind: "uint" },
  int8: { code: 3, bits: 8, kind: "int" },
  uint16: { code: 4, bits: 16, kind: "uint" },
  int16: { code: 5, bits: 16, kind: "int" },
  int32: { code: 6, bits: 32, kind: "int" },
  int64: { code: 7, bits: 64, kind: "int" },
  string: { code: 8, bits: 0, kind: "string" },
  bool: { code: 9, bits: 8, kind: "bool" },
  float16: { code: 10, bits: 16, kind: "float" },
  float64: { code: 11, bits: 64, kind: "float" },
  uint32: { code: 12, bits: 32, kind: "uint" },
  uint64: { code: 13, bits: 64, kind: "uint" },
  complex64: { code: 14, bits: 64, kind: "complex" },
  complex128: { code: 15, bits: 128, kind: "complex" },
  bfloat16: { code: 16, bits: 16, kind: "float" },
  float8e4m3fn: { code: 17, bits: 8, kind: "float" },
  float8e4m3fnuz: { code: 18, bits: 8, kind: "float" },
  float8e5m2: { code: 19, bits: 8, kind: "float" },
  float8e5m2fnuz: { code: 20, bits: 8, kind: "float" },
  uint4: { code: 21, bits: 4, kind: "uint" },
  int4: { code: 22, bits: 4, kind: "int" },
  float4e2m1: { code: 23, bits: 4, kind: "float" },
  float8e8m0: { code: 24, bits: 8, kind: "float" },
  uint2: { code: 25, bits: 2, kind: "uint" },
  int2: { code: 26, bits: 2, kind: "int" },
  float6e2m3: { code: 27, bits: 6, kind: "float" },
  float6e3m2: { code: 28, bits: 6, kind: "float" },
} as const satisfies Record<string, DTypeRow>;

export type DType = keyof typeof DTYPES;

const byCode = new Map<number, DType>(
  (Object.keys(DTYPES) as DType[]).map((name) => [DTYPES[name].code, name]),
);

/** The name of an element type by its code in the file; undefined for a code this version of the format does not have. */
export function dtypeOfCode(code: number): DType | undefined {
  return byCode.get(code);
}

/** Number of elements of `dims`: exact up to 2^53, Infinity beyond (never wrapped around). NaN where a dim is negative. */
export function elementCount(dims: readonly number[]): number {
  if (dims.some((d) => d === 0)) return 0;
  let n = 1;
  for (const d of dims) {
    if (d < 0) return Number.NaN;
    n *= d;
    if (n > Number.MAX_SAFE_INTEGER) return Infinity;
  }
  return n;
}

/** Bytes that `count` elements take in raw form (types below 8 bits are packed, the last byte padded). */
export function byteLengthOf(dtype: DType, count: number): number {
  return Math.ceil((count * DTYPES[dtype].bits) / 8);
}

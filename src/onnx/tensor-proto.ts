// Between TensorProto messages and tensor handles: finds the one place that holds the elements and checks it against dims before anything is read.
import { ExternalDataError, TensorDataError } from "../errors.js";
import { byteLengthOf, DTYPES, dtypeOfCode, elementCount, type DType } from "./dtypes.js";
import type { ExternalData } from "./external.js";
import type { Blob, Int64, TensorProto } from "./proto.js";
import { RangeBlob } from "./source.js";
import type { Tensor } from "./tensor.js";

type TypedField = "floatData" | "doubleData" | "int32Data" | "int64Data" | "uint64Data";

/**
 * Where elements stand that are not raw. Without `keep` the field's bytes are the raw form; with it, only the lowest `keep` bytes of each
 * number count.
 */
interface Storage {
  readonly field: TypedField;
  readonly width: 4 | 8;
  readonly keep?: 1 | 2 | 4;
}

const lowByte: Storage = { field: "int32Data", width: 4, keep: 1 };
const lowHalf: Storage = { field: "int32Data", width: 4, keep: 2 };

// In int32_data, types of 4 and 2 bits come packed as in raw form, one byte per number; types of 6 bits come one element per number.
const STORAGE: { readonly [D in Exclude<DType, "string">]: Storage } = {
  float32: { field: "floatData", width: 4 },
  complex64: { field: "floatData", width: 4 },
  float64: { field: "doubleData", width: 8 },
  complex128: { field: "doubleData", width: 8 },
  int32: { field: "int32Data", width: 4 },
  int64: { field: "int64Data", width: 8 },
  uint64: { field: "uint64Data", width: 8 },
  uint32: { field: "uint64Data", width: 8, keep: 4 },
  int16: lowHalf,
  uint16: lowHalf,
  float16: lowHalf,
  bfloat16: lowHalf,
  int8: lowByte,
  uint8: lowByte,
  bool: lowByte,
  float8e4m3fn: lowByte,
  float8e4m3fnuz: lowByte,
  float8e5m2: lowByte,
  float8e5m2fnuz: lowByte,
  float8e8m0: lowByte,
  float6e2m3: lowByte,
  float6e3m2: lowByte,
  float4e2m1: lowByte,
  int4: lowByte,
  uint4: lowByte,
  int2: lowByte,
  uint2: lowByte,
};

const EXTERNAL = 1;

/**
 * A handle on the tensor of a message; its elements are read when asked for. Throws TensorDataError where they are missing or do not fit
 * dims and element type, ExternalDataError where they stand in another file that cannot or must not be read.
 */
export function tensorFromProto(proto: TensorProto, external?: ExternalData): Tensor {
  const name = proto.name ?? "";
  const fail = (detail: string): never => {
    throw new TensorDataError(name, detail);
  };
  const code = proto.dataType ?? 0;
  const dtype = dtypeOfCode(code);
  if (dtype === undefined)
    return fail(
      code === 0
        ? "has no element type. Export the model again."
        : `has element type ${code}, which this version of Octavo does not know.`,
    );
  if (proto.segment !== undefined)
    return fail("is stored in segments, which no ONNX runtime reads. Save the model again.");
  const dims = (proto.dims ?? []).map((dim) => dimOf(dim, fail));
  const count = elementCount(dims);
  const size = byteLengthOf(dtype, count);
  const what = `${dtype} [${dims.join(", ")}]`;
  if (!Number.isSafeInteger(size)) return fail(`${what} is larger than any file.`);
  const location = proto.dataLocation ?? 0;
  if (location !== 0 && location !== EXTERNAL) return fail(`has data location ${location}.`);

  if (dtype === "string") {
    if (location === EXTERNAL || proto.rawData !== undefined)
      return fail("holds strings as raw or external data; ONNX has them in string_data.");
    const strings = proto.stringData ?? [];
    if (strings.length !== count)
      return fail(`${what} needs ${count} strings, the file holds ${strings.length}.`);
    return { dtype, dims, data: noRawForm(name), strings, proto };
  }
  if (location === EXTERNAL)
    return { dtype, dims, data: externalBlob(proto, name, what, size, external), proto };
  if (proto.rawData !== undefined) {
    if (proto.rawData.byteLength !== size)
      return fail(`${what} needs ${size} bytes, the file holds ${proto.rawData.byteLength}.`);
    return { dtype, dims, data: proto.rawData, proto };
  }
  return { dtype, dims, data: typedBlob(proto, dtype, count, size, what, fail), proto };
}

function dimOf(dim: Int64, fail: (detail: string) => never): number {
  if (typeof dim === "bigint") return fail(`has a dimension of ${dim}.`);
  if (dim < 0) return fail(`has a negative dimension, ${dim}.`);
  return dim;
}

function noRawForm(name: string): Blob {
  return {
    byteLength: 0,
    read() {
      throw new Error(`internal: the strings of tensor "${name}" have no raw form`);
    },
  };
}

function typedBlob(
  proto: TensorProto,
  dtype: Exclude<DType, "string">,
  count: number,
  size: number,
  what: string,
  fail: (detail: string) => never,
): Blob {
  const { field, width, keep } = STORAGE[dtype];
  const typed = proto[field];
  const have = (typed?.byteLength ?? 0) / width;
  // A complex number is two floats; a byte holds several elements of 4 or 2 bits, but 6-bit elements stand alone.
  const sixBit = DTYPES[dtype].bits === 6;
  const want = keep === undefined ? size / width : sixBit ? count : size / keep;
  if (have !== want) {
    const held = have === 0 ? "holds none" : `holds ${have} in ${field}`;
    return fail(`${what} needs ${want} stored numbers, the file ${held}.`);
  }
  if (typed === undefined) return { byteLength: 0, read: () => new Uint8Array(0) };
  if (keep === undefined) return typed;
  return {
    byteLength: size,
    read: () => (sixBit ? packSixBit(typed.read(), size) : lowBytes(typed.read(), width, keep)),
  };
}

function lowBytes(bytes: Uint8Array, width: number, keep: number): Uint8Array {
  const out = new Uint8Array((bytes.length / width) * keep);
  let at = 0;
  for (let from = 0; from < bytes.length; from += width)
    for (let i = 0; i < keep; i++) out[at++] = bytes[from + i] ?? 0;
  return out;
}

function packSixBit(numbers: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  for (let i = 0; i * 4 < numbers.length; i++) {
    const bits = ((numbers[i * 4] ?? 0) & 63) << ((i * 6) % 8);
    const at = Math.floor((i * 6) / 8);
    out[at] = (out[at] ?? 0) | (bits & 255);
    if (bits > 255) out[at + 1] = bits >> 8;
  }
  return out;
}

/** https://github.com/onnx/onnx/blob/main/docs/ExternalData.md; keys other than location, offset and length mean nothing here. */
function externalBlob(
  proto: TensorProto,
  name: string,
  what: string,
  size: number,
  external: ExternalData | undefined,
): Blob {
  const keys = new Map(
    (proto.externalData ?? []).map(({ key, value }) => [key ?? "", value ?? ""]),
  );
  const location = keys.get("location") ?? "";
  const fail = (detail: string): never => {
    throw new ExternalDataError(name, location, detail);
  };
  if (location === "") return fail("the model names no file for it. Export the model again.");
  const number = (key: string): number | undefined => {
    const text = keys.get(key);
    if (text === undefined || text === "") return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    return Number.isSafeInteger(value)
      ? value
      : fail(`its ${key} is "${text}", expected a number of bytes. Export the model again.`);
  };
  const offset = number("offset") ?? 0;
  const length = number("length");
  if (length !== undefined && length !== size)
    return fail(`${what} needs ${size} bytes, its length says ${length}. Export the model again.`);
  if (external === undefined)
    return fail(
      "the model was given without its folder. Open it as a file, or pass its data files.",
    );
  const source = external.open(location, name);
  if (offset + size > source.size)
    return fail(
      `${what} ends at byte ${offset + size}, the file has ${source.size}. ` +
        `Download or export the file again; it belongs to the same export as the model.`,
    );
  return new RangeBlob(source, offset, size);
}

/**
 * The message for a tensor, without its bytes being read. A tensor that came from a file keeps its message, renamed (`undefined` keeps the
 * name too); external data becomes raw data, since where it stood is the input's own matter.
 */
export function tensorToProto(name: string | undefined, tensor: Tensor): TensorProto {
  const { proto, dtype, dims } = tensor;
  const code = DTYPES[dtype].code;
  const same = proto?.dataType === code && sameDims(proto.dims ?? [], dims);
  if (proto !== undefined && same && proto.dataLocation !== EXTERNAL)
    return name === undefined ? proto : { ...proto, name };
  return {
    ...(proto === undefined ? {} : withoutData(proto)),
    dims: [...dims],
    dataType: code,
    ...(name !== undefined && { name }),
    ...(dtype === "string"
      ? { stringData: [...(tensor.strings ?? [])] }
      : { rawData: tensor.data }),
  };
}

/** What a message says about its tensor, without the fields that hold its elements or say where they are. */
export function withoutData(proto: TensorProto): TensorProto {
  const copy = { ...proto };
  for (const field of DATA_FIELDS) delete copy[field];
  return copy;
}

const DATA_FIELDS = [
  "rawData",
  "floatData",
  "int32Data",
  "stringData",
  "int64Data",
  "doubleData",
  "uint64Data",
  "segment",
  "externalData",
  "dataLocation",
] as const;

function sameDims(a: readonly Int64[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

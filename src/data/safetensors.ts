// Reads the safetensors format: a JSON header of names, types and offsets, then the raw bytes. Strict, because such files come from anywhere:
// nothing is believed before it is checked against the file's real size. https://github.com/huggingface/safetensors#format
import { SafetensorsError } from "../errors.js";
import { byteLengthOf, elementCount, type DType } from "../onnx/dtypes.js";
import { memorySource, type ByteSource } from "../onnx/source.js";
import { lazyTensor, type Tensor } from "../onnx/tensor.js";

export interface Safetensors {
  /** Tensors by name, in the order of their bytes; bytes are read when asked for. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The free text pairs under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** The format's own limit on the header. */
const MAX_HEADER = 100_000_000;

const DTYPE_OF = new Map<string, DType>([
  ["BOOL", "bool"],
  ["F4", "float4e2m1"],
  ["F6_E2M3", "float6e2m3"],
  ["F6_E3M2", "float6e3m2"],
  ["U8", "uint8"],
  ["I8", "int8"],
  ["F8_E5M2", "float8e5m2"],
  ["F8_E4M3", "float8e4m3fn"],
  ["F8_E8M0", "float8e8m0"],
  ["I16", "int16"],
  ["U16", "uint16"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["I32", "int32"],
  ["U32", "uint32"],
  ["F32", "float32"],
  ["F64", "float64"],
  ["I64", "int64"],
  ["U64", "uint64"],
  ["C64", "complex64"],
]);

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads the header and checks all of it: size, JSON, types, shapes against bytes, offsets that follow each other without gap or overlap up
 * to the end of the file. Throws SafetensorsError.
 */
export function readSafetensors(from: ByteSource | Uint8Array): Safetensors {
  const source = from instanceof Uint8Array ? memorySource(from) : from;
  const fail = (detail: string): never => {
    throw new SafetensorsError(detail, source.path);
  };
  if (source.size < 8) return fail(`it has ${source.size} bytes, the header's length needs 8`);
  const prefix = source.read(0, 8);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER)
    return fail(`the header claims ${length} bytes, the format allows ${MAX_HEADER}`);
  const base = 8 + Number(length);
  if (base > source.size)
    return fail(`the header claims ${length} bytes, the file has ${source.size - 8} after it`);
  const header = parseHeader(source.read(8, Number(length)), fail);

  const metadata = new Map<string, string>();
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (!isRecord(value)) return fail(`the entry "${name}" is no object`);
    if (name !== "__metadata__") entries.push(parseEntry(name, value, fail));
    else
      for (const [key, text] of Object.entries(value)) {
        if (typeof text !== "string") return fail(`__metadata__ "${key}" is no text`);
        metadata.set(key, text);
      }
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const available = source.size - base;
  let next = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== next)
      return fail(`tensor "${name}" begins at byte ${begin} of the data, expected ${next}`);
    if (end > available)
      return fail(`tensor "${name}" ends at byte ${end}, the data has ${available}`);
    next = end;
  }
  if (next !== available)
    return fail(`${available - next} bytes at the end of the file belong to no tensor`);

  const tensors = new Map<string, Tensor>();
  for (const { name, dtype, dims, begin, end } of entries)
    tensors.set(
      name,
      lazyTensor(dtype, dims, () => source.read(base + begin, end - begin)),
    );
  return { tensors, metadata };
}

type Fail = (detail: string) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  // Trailing spaces are padding; anything else around the object is not.
  if (bytes[0] !== 0x7b) return fail("the header does not begin with {");
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    return fail(
      `the header is no valid JSON (${error instanceof Error ? error.message : "unreadable"})`,
    );
  }
  return isRecord(header) ? header : fail("the header is no object");
}

function parseEntry(name: string, entry: Record<string, unknown>, fail: Fail): Entry {
  const { dtype: type, shape, data_offsets: offsets } = entry;
  const dtype = typeof type === "string" ? DTYPE_OF.get(type) : undefined;
  if (dtype === undefined)
    return fail(`tensor "${name}" has the unknown type ${JSON.stringify(type)}`);
  if (!isSizes(shape))
    return fail(`tensor "${name}" has the shape ${JSON.stringify(shape)}, expected whole numbers`);
  if (!isSizes(offsets) || offsets.length !== 2)
    return fail(`tensor "${name}" has the data_offsets ${JSON.stringify(offsets)}, expected two`);
  const [begin = 0, end = 0] = offsets;
  const expected = byteLengthOf(dtype, elementCount(shape));
  if (end - begin !== expected)
    return fail(
      `tensor "${name}" (${String(type)} [${shape.join(", ")}]) needs ${expected} bytes, ` +
        `its offsets span ${end - begin}`,
    );
  return { name, dtype, dims: shape, begin, end };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

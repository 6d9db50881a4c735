// A tensor is a handle: element type, dims, and bytes that are touched only when somebody asks. Memory follows the largest tensor, not the model.
import { TensorDataError } from "../errors.js";
import { byteLengthOf, DTYPES, elementCount, type DType } from "./dtypes.js";
import type { Blob, Int64, TensorProto } from "./proto.js";

export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /**
   * The elements as raw little-endian bytes (packed below 8 bits): a view where it can be one, not kept by the handle where it had to be
   * loaded or computed. Callers must not write into it. Throws for strings.
   */
  readonly data: Blob;
  /** String elements, for dtype "string" only. */
  readonly strings?: readonly Uint8Array[];
  /** The message this tensor was read from; written back as it was. */
  readonly proto?: TensorProto;
}

/** A tensor over bytes in memory. Throws TensorDataError where their number does not fit `dims`. */
export function tensorOf(dtype: DType, dims: readonly number[], values: ArrayBufferView): Tensor {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return lazyTensor(dtype, dims, () => bytes);
}

/** A tensor whose bytes `read` makes when asked; they are checked against `dims` each time. */
export function lazyTensor(dtype: DType, dims: readonly number[], read: () => Uint8Array): Tensor {
  const byteLength = byteLengthOf(dtype, elementCount(dims));
  if (DTYPES[dtype].bits === 0 || !Number.isSafeInteger(byteLength))
    throw new TensorDataError("", `internal: no raw form for ${dtype} [${dims.join(", ")}]`);
  return {
    dtype,
    dims,
    data: {
      byteLength,
      read() {
        const bytes = read();
        if (bytes.byteLength !== byteLength)
          throw new TensorDataError(
            "",
            `internal: ${dtype} [${dims.join(", ")}] needs ${byteLength} bytes, got ${bytes.byteLength}`,
          );
        return bytes;
      },
    },
  };
}

/** A scalar (dims []) or vector of a native element type. */
export function float32Tensor(values: readonly number[] | number): Tensor {
  const list = typeof values === "number" ? [values] : values;
  return tensorOf(
    "float32",
    typeof values === "number" ? [] : [list.length],
    Float32Array.from(list),
  );
}

export function int64Tensor(values: readonly Int64[] | Int64): Tensor {
  const isList = typeof values === "object";
  const list = isList ? values : [values];
  return tensorOf(
    "int64",
    isList ? [list.length] : [],
    BigInt64Array.from(list, (value) => BigInt(value)),
  );
}

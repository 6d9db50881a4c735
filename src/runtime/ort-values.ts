// What onnxruntime's libraries for JavaScript hand out, as Octavo's own: metadata as ports, tensors as elements of a known type.
import { RuntimeFailedError } from "../errors.js";
import type { DType } from "../onnx/dtypes.js";
import { isRunnable, type Elements, type Port, type RuntimeTensor } from "./runtime.js";

/** An input or output as the libraries describe it. */
export type OrtMetadata =
  | { readonly name: string; readonly isTensor: false }
  | {
      readonly name: string;
      readonly isTensor: true;
      readonly type: DType;
      readonly shape: readonly (number | string)[];
    };

export function portOf(metadata: OrtMetadata): Port {
  const { name } = metadata;
  if (!metadata.isTensor) return { name, dtype: undefined, shape: undefined };
  // A dim that is neither a number nor named arrives as "".
  const shape = metadata.shape.map((dim) => (dim === "" ? null : dim));
  return { name, dtype: metadata.type, shape };
}

/** Throws RuntimeFailedError for types that no typed array holds (strings). */
export function fromOrt(
  name: string,
  tensor: { readonly type: string; readonly dims: readonly number[]; readonly data: unknown },
): RuntimeTensor {
  const { type, dims } = tensor;
  if (!isRunnable(type))
    throw new RuntimeFailedError("run", `output "${name}" has type ${type}`, undefined);
  const data: unknown = tensor.data;
  return { dtype: type, dims, data: type === "float16" ? bitsOf(data) : (data as Elements) };
}

/** float16 elements as their bits: where JavaScript has a Float16Array, the libraries give that. */
function bitsOf(data: unknown): Uint16Array {
  if (data instanceof Uint16Array) return data;
  const { buffer, byteOffset, byteLength } = data as ArrayBufferView;
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}

export function mapValues<T, U>(
  record: Readonly<Record<string, T>>,
  f: (value: T) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
}

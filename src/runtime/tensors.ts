// Tensors of the file format as tensors of a runtime, and back: the same elements, in the typed array of their type.
import { UnsupportedError } from "../errors.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { ELEMENTS, isRunnable, type RuntimeTensor } from "./runtime.js";

/** A view where the bytes lie aligned, else a copy. Throws UnsupportedError for types that runtimes do not take (strings, 8-bit floats, …). */
export function toRuntime({ dtype, dims, data }: Tensor): RuntimeTensor {
  if (!isRunnable(dtype))
    throw new UnsupportedError(
      `A runtime tensor of type ${dtype}`,
      "runtimes take no such elements from outside",
      `Expected one of ${Object.keys(ELEMENTS).join(", ")}.`,
    );
  const kind = ELEMENTS[dtype];
  const bytes = data.read();
  const { buffer, byteOffset, byteLength } =
    bytes.byteOffset % kind.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return {
    dtype,
    dims,
    data: new kind(buffer as ArrayBuffer, byteOffset, byteLength / kind.BYTES_PER_ELEMENT),
  };
}

/** A view of the runtime's elements. */
export function fromRuntime({ dtype, dims, data }: RuntimeTensor): Tensor {
  return tensorOf(dtype, dims, data);
}

// Copies of a float model for runs that look inside it: activations quantized and back, and which of their rows are no padding.
import { rowMask, type BatchMask, type Masked } from "./observers.js";
import { cloneModel } from "../graph/clone.js";
import type { Value } from "../graph/graph.js";
import { emit } from "../graph/match.js";
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { float32Tensor, tensorOf } from "../onnx/tensor.js";
import { raiseOpset } from "../passes/opset.js";
import { affineOf } from "../quant/affine.js";
import type { ActivationSpec } from "../quant/plan.js";

/** The same graph anew, its tensors shared, with operators of a version that has Q/DQ. */
export function copyOf(model: Model): Model {
  const copy = cloneModel(model);
  inferTypes(copy);
  raiseOpset(copy, 13);
  return copy;
}

/** A value of the graph, quantized and back. */
export function fakeQuantized({ graph }: Model, value: Value, spec: ActivationSpec): Value {
  const [reader] = value.consumers();
  if (!reader) throw new Error(`internal: nothing reads "${value.name}"`);
  const { scale, zeroPoint } = affineOf(spec);
  const codes = spec.dtype === "int8" ? Int8Array.of(zeroPoint) : Uint8Array.of(zeroPoint);
  const constants = [
    graph.addInitializer(`${value.name}_scale`, float32Tensor(scale)),
    graph.addInitializer(`${value.name}_zero_point`, tensorOf(spec.dtype, [], codes)),
  ];
  const q = emit(reader, "QuantizeLinear", [value, ...constants]);
  return emit(reader, "DequantizeLinear", [q, ...constants]);
}

/** One byte per row, 0 for padding; undefined where all count. */
export function rowsThatCount(
  dims: readonly number[],
  masked: Masked,
  mask: BatchMask | undefined,
): Uint8Array | undefined {
  const rows = rowMask(masked, dims, mask);
  return typeof rows === "string" ? undefined : rows;
}

// An INT8 model of a constant matrix, made when its bytes are asked for: the plan costs no memory, and writing costs one matrix at a time.
import { WeightNotFiniteError } from "../errors.js";
import type { Value } from "../graph/graph.js";
import { lazyTensor, tensorOf, type Tensor } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";
import { cutValues, mseScales } from "./mse.js";
import type { WeightRange } from "./plan.js";
import type { RoundedWeight } from "./rounded.js";
import { channelScales, refineScales, encodeChannels, transposeCodes } from "./scales.js";
import type { MatrixView } from "./weight-view.js";

export interface MatrixFormat {
  /** Axis of the initializer, as it is stored, that has one scale per index. */
  readonly channelAxis: 0 | 1;
  /** Codes are written as the transpose of what is stored. */
  readonly transpose: boolean;
  /** Largest code. */
  readonly limit: number;
  /** What scales span: all values where left out. */
  readonly range?: WeightRange | undefined;
}

export interface QuantizedMatrix {
  /** INT8 codes, [rows, cols] as stored or transposed. */
  readonly codes: Tensor;
  /** float32, one scale per channel; `scaleDims` gives another shape of the same elements. */
  scales(scaleDims?: readonly number[]): Tensor;
}

/**
 * Symmetric INT8 codes and scales of a stored matrix. The weight is read when codes or scales are read, not now; scales are kept (they are
 * small), codes and floats are not. Reading throws WeightNotFiniteError for NaN or Inf.
 */
export function quantizedMatrix(
  weight: Value,
  rows: number,
  cols: number,
  format: MatrixFormat,
): QuantizedMatrix {
  const source = weight.tensor;
  if (source === undefined) throw new Error(`internal: "${weight.name}" is no constant`);
  const { channelAxis, transpose, limit, range } = format;
  let kept: Float32Array | undefined;
  const onBad = (values: Float32Array) => (index: number) => {
    throw new WeightNotFiniteError(weight.name, values[index] ?? Number.NaN, index);
  };
  const scalesOf = (values: Float32Array): Float32Array => {
    if (kept !== undefined) return kept;
    const widest = channelScales(values, rows, cols, channelAxis, limit, onBad(values));
    const refined = refineScales(values, rows, cols, channelAxis, widest, limit);
    kept = range === "mse" ? mseScales(values, rows, cols, channelAxis, refined, limit) : refined;
    return kept;
  };
  const dims = transpose ? [cols, rows] : [rows, cols];
  return {
    codes: lazyTensor("int8", dims, () => {
      const values = floatsOf(source);
      const scales = scalesOf(values);
      const held =
        range === "mse" ? cutValues(values, rows, cols, channelAxis, scales, limit) : values;
      const codes = encodeChannels(held, rows, cols, channelAxis, scales);
      return bytesOf(transpose ? transposeCodes(codes, rows, cols) : codes);
    }),
    scales(scaleDims = [channelAxis === 0 ? rows : cols]) {
      return lazyTensor("float32", scaleDims, () => bytesOf(kept ?? scalesOf(floatsOf(source))));
    },
  };
}

/** A weight [rows, cols] whose codes were chosen already, with a scale per column. */
export function roundedMatrix(
  { rows, cols }: MatrixView,
  { codes, scales }: RoundedWeight,
): QuantizedMatrix {
  return {
    codes: tensorOf("int8", [rows, cols], codes),
    scales: (scaleDims = [cols]) => tensorOf("float32", scaleDims, scales),
  };
}

function bytesOf(array: Int8Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

// What stands behind codes while they are trained: the float weights that training starts from, and the codes that it ends at.
import type { Value } from "../graph/graph.js";
import { floatsOf } from "../onnx/values.js";
import { quantizedMatrix, type MatrixFormat } from "../quant/quantized-matrix.js";
import { roundHalfEven } from "../quant/round.js";
import type { RoundedWeight } from "../quant/rounded.js";
import type { MatrixView } from "../quant/weight-view.js";
import { CELL } from "./defaults.js";

/** How a constant is written that has a scale per channel, or, of a table, per block of a row. */
export interface ChannelForm extends Pick<MatrixFormat, "limit" | "range"> {
  readonly block?: number | undefined;
}

/** Codes [K, N] and scales of a weight rounded to the nearest, as targets write it. Throws WeightNotFiniteError. */
export function nearest(view: MatrixView, { limit, range }: ChannelForm): RoundedWeight {
  const { initializer, transposed } = view;
  const [rows, cols] = transposed ? [view.cols, view.rows] : [view.rows, view.cols];
  const channelAxis = transposed ? 0 : 1;
  const format = { channelAxis, transpose: transposed, limit, range } as const;
  const matrix = quantizedMatrix(initializer, rows, cols, format);
  return {
    codes: Int8Array.from(floatsOf(matrix.codes)),
    scales: floatsOf(matrix.scales()).slice(),
  };
}

/** The values of a table as its rows, or their blocks, are stored. Throws WeightNotFiniteError. */
export function dequantized(table: Value, { limit, range, block }: ChannelForm): Float32Array {
  const [rows = 1, cols = 1] = table.tensor?.dims ?? [];
  const width = block !== undefined && block < cols ? block : cols;
  const count = (rows * cols) / width;
  const format = { channelAxis: 0, transpose: false, limit, range } as const;
  const matrix = quantizedMatrix(table, count, width, format);
  const values = floatsOf(matrix.codes).slice();
  const scales = floatsOf(matrix.scales());
  for (let r = 0, i = 0; r < count; r++)
    for (let c = 0; c < width; c++, i++) values[i] = (values[i] as number) * (scales[r] as number);
  return values;
}

/** A weight, stored as its initializer is, moved no further than that it rounds to these codes. */
export function latent(
  { initializer, rows, cols, transposed }: MatrixView,
  { codes, scales }: RoundedWeight,
  limit: number,
): Float32Array {
  if (initializer.tensor === undefined)
    throw new Error(`internal: "${initializer.name}" is no constant`);
  const values = floatsOf(initializer.tensor).slice();
  for (let k = 0, i = 0; k < rows; k++)
    for (let n = 0; n < cols; n++, i++) {
      const at = transposed ? n * rows + k : i;
      const [code, scale] = [codes[i] as number, scales[n] as number];
      const low = Math.max(-limit, code - CELL) * scale;
      const high = Math.min(limit, code + CELL) * scale;
      values[at] = Math.min(high, Math.max(low, values[at] as number));
    }
  return values;
}

/** The codes [K, N] of weights stored as `transposed` says, by these steps: to the bit what the training graph computes. */
export function codesOf(
  values: Float32Array,
  { rows, cols, transposed }: Pick<MatrixView, "rows" | "cols" | "transposed">,
  steps: Float32Array,
  limit: number,
): Int8Array {
  const codes = new Int8Array(rows * cols);
  for (let k = 0, i = 0; k < rows; k++)
    for (let n = 0; n < cols; n++, i++) {
      const value = values[transposed ? n * rows + k : i] as number;
      const free = Math.fround(value / (steps[n] as number));
      codes[i] = roundHalfEven(Math.min(limit, Math.max(-limit, free)));
    }
  return codes;
}

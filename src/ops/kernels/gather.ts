// Constant evaluation of indexed reads and writes.
import { elementCount } from "../../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../../onnx/tensor.js";
import type { EvaluateRule } from "../facts.js";
import { offsetsOf, stridesOf } from "../strided.js";
import { readIntegers, taken, wordsOf } from "./arrays.js";

/** Indices as positions in an axis of size `n`, negative ones counted from its end; undefined where one is outside. */
function positions(indices: readonly number[] | undefined, n: number): number[] | undefined {
  const list = indices?.map((i) => (i < 0 ? i + n : i));
  return list?.every((i) => i >= 0 && i < n) ? list : undefined;
}

export const gather: EvaluateRule = ({ node, inputs: [data, indices], limit }) => {
  const words = data && wordsOf(data);
  if (data === undefined || words === undefined || indices === undefined) return undefined;
  const axis = node.int("axis", 0);
  const at = axis < 0 ? axis + data.dims.length : axis;
  const n = data.dims[at];
  const picked = n === undefined ? undefined : positions(readIntegers(indices), n);
  const dims = data.dims.toSpliced(at, 1, ...indices.dims);
  if (picked === undefined || n === undefined || !(elementCount(dims) <= limit)) return undefined;
  const inner = elementCount(data.dims.slice(at + 1));
  const outer = elementCount(data.dims.slice(0, at));
  const offsets = new Int32Array(elementCount(dims));
  let filled = 0;
  for (let o = 0; o < outer; o++)
    for (const p of picked)
      for (let i = 0; i < inner; i++) offsets[filled++] = (o * n + p) * inner + i;
  return [taken(data.dtype, dims, words, offsets)];
};

/** The offset in `dims` of the position of each element of `indices`, with the indices put in place of `axis`. */
function elementOffsets(
  dims: readonly number[],
  indices: Tensor,
  axis: number,
): Int32Array | undefined {
  const at = axis < 0 ? axis + dims.length : axis;
  const n = dims[at];
  const picked = n === undefined ? undefined : positions(readIntegers(indices), n);
  if (picked === undefined || indices.dims.length !== dims.length) return undefined;
  if (indices.dims.some((d, i) => i !== at && d > (dims[i] ?? 0))) return undefined;
  const strides = stridesOf(dims);
  const offsets = offsetsOf(indices.dims, strides.with(at, 0));
  const stride = strides[at] ?? 0;
  return offsets.map((o, i) => o + (picked[i] ?? 0) * stride);
}

export const gatherElements: EvaluateRule = ({ node, inputs: [data, indices] }) => {
  const words = data && wordsOf(data);
  const offsets = data && indices && elementOffsets(data.dims, indices, node.int("axis", 0));
  if (!data || !indices || !words || !offsets) return undefined;
  return [taken(data.dtype, indices.dims, words, offsets)];
};

/** Offsets and sizes of the blocks that rows of `indices` point at, from dim `batch` on. */
function blocks(dims: readonly number[], indices: Tensor, batch: number) {
  const depth = indices.dims.at(-1);
  const rows = readIntegers(indices);
  if (depth === undefined || rows === undefined || batch + depth > dims.length) return undefined;
  if (indices.dims.slice(0, batch).some((d, i) => d !== dims[i])) return undefined;
  const strides = stridesOf(dims);
  const count = elementCount(indices.dims.slice(0, -1));
  const perBatch = count / Math.max(1, elementCount(dims.slice(0, batch)));
  const batchSize = elementCount(dims.slice(batch));
  const starts = new Int32Array(count);
  for (let r = 0; r < count; r++) {
    let start = batch > 0 ? Math.floor(r / perBatch) * batchSize : 0;
    for (let k = 0; k < depth; k++) {
      const n = dims[batch + k] ?? 0;
      const i = rows[r * depth + k] ?? 0;
      const at = i < 0 ? i + n : i;
      if (at < 0 || at >= n) return undefined;
      start += at * (strides[batch + k] ?? 0);
    }
    starts[r] = start;
  }
  return { starts, size: elementCount(dims.slice(batch + depth)), rest: dims.slice(batch + depth) };
}

export const gatherND: EvaluateRule = ({ node, inputs: [data, indices], limit }) => {
  const words = data && wordsOf(data);
  const found = data && indices && blocks(data.dims, indices, node.int("batch_dims", 0));
  if (!data || !indices || !words || !found) return undefined;
  const { starts, size, rest } = found;
  const dims = [...indices.dims.slice(0, -1), ...rest];
  if (!(elementCount(dims) <= limit)) return undefined;
  const offsets = new Int32Array(starts.length * size);
  starts.forEach((start, r) => {
    for (let i = 0; i < size; i++) offsets[r * size + i] = start + i;
  });
  return [taken(data.dtype, dims, words, offsets)];
};

/** `data` with the element at each of `places` replaced by the next of `updates`. */
function scattered(data: Tensor, updates: Tensor, places: Int32Array): Tensor[] | undefined {
  const [into, from] = [wordsOf(data), wordsOf(updates)];
  if (into === undefined || from === undefined || data.dtype !== updates.dtype) return undefined;
  if (from.length !== places.length) return undefined;
  const source = new Int32Array(into.length).map((_, i) => i);
  // Both ends to end: an index past the data means an update.
  places.forEach((place, i) => (source[place] = into.length + i));
  const bytes = new Uint8Array(into.byteLength + from.byteLength);
  bytes.set(new Uint8Array(into.buffer, into.byteOffset, into.byteLength));
  bytes.set(new Uint8Array(from.buffer, from.byteOffset, from.byteLength), into.byteLength);
  const both = tensorOf(data.dtype, [into.length + from.length], bytes);
  const words = wordsOf(both);
  return words && [taken(data.dtype, data.dims, words, source)];
}

export const scatterElements: EvaluateRule = ({ node, inputs: [data, indices, updates] }) => {
  if (!data || !indices || !updates || node.string("reduction", "none") !== "none")
    return undefined;
  const places = elementOffsets(data.dims, indices, node.int("axis", 0));
  return places && scattered(data, updates, places);
};

export const scatterND: EvaluateRule = ({ node, inputs: [data, indices, updates] }) => {
  if (!data || !indices || !updates || node.string("reduction", "none") !== "none")
    return undefined;
  const found = blocks(data.dims, indices, 0);
  if (found === undefined) return undefined;
  const { starts, size } = found;
  const places = new Int32Array(starts.length * size);
  starts.forEach((start, r) => {
    for (let i = 0; i < size; i++) places[r * size + i] = start + i;
  });
  return scattered(data, updates, places);
};

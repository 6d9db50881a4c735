// Constant evaluation of operators that move elements without looking at them: offsets into the input, then one copy.
import { elementCount } from "../../onnx/dtypes.js";
import type { Tensor } from "../../onnx/tensor.js";
import type { EvaluateContext, EvaluateRule } from "../facts.js";
import { broadcastOffsets, broadcastSizes, offsetsOf, stridesOf } from "../strided.js";
import { readIntegers, taken, wordsOf, type Words } from "./arrays.js";

export const transpose: EvaluateRule = ({ node, inputs: [input] }) => {
  const words = input && wordsOf(input);
  if (input === undefined || words === undefined) return undefined;
  const order = node.ints("perm") ?? input.dims.map((_, i) => i).toReversed();
  if (order.length !== input.dims.length) return undefined;
  const strides = stridesOf(input.dims);
  const dims = order.map((i) => input.dims[i] ?? 0);
  const steps = order.map((i) => strides[i] ?? 0);
  return [taken(input.dtype, dims, words, offsetsOf(dims, steps))];
};

/** An integer input, or the attribute that stood for it in older operator sets. */
function integers(c: EvaluateContext, index: number, attribute: string): number[] | undefined {
  const input = c.inputs[index];
  return input === undefined ? c.node.ints(attribute) : readIntegers(input);
}

export const slice: EvaluateRule = (c) => {
  const [input] = c.inputs;
  const words = input && wordsOf(input);
  const starts = integers(c, 1, "starts");
  const ends = integers(c, 2, "ends");
  if (input === undefined || words === undefined || !starts || !ends) return undefined;
  const axes = integers(c, 3, "axes") ?? starts.map((_, i) => i);
  const steps = integers(c, 4, "steps") ?? starts.map(() => 1);
  const dims = [...input.dims];
  const strides = stridesOf(input.dims);
  const walk = [...strides];
  let start = 0;
  for (const [i, axis] of axes.entries()) {
    const at = axis < 0 ? axis + dims.length : axis;
    const n = input.dims[at];
    const step = steps[i] ?? 0;
    if (n === undefined || step === 0) return undefined;
    const bound = (p: number, low: number, high: number) =>
      Math.min(Math.max(p < 0 ? p + n : p, low), high);
    const back = step < 0;
    const from = bound(starts[i] ?? 0, 0, back ? n - 1 : n);
    const to = bound(ends[i] ?? 0, back ? -1 : 0, back ? n - 1 : n);
    dims[at] = Math.max(0, Math.ceil((to - from) / step));
    walk[at] = (strides[at] ?? 0) * step;
    start += from * (strides[at] ?? 0);
  }
  return [taken(input.dtype, dims, words, offsetsOf(dims, walk, start))];
};

export const concat: EvaluateRule = ({ node, inputs, limit }) => {
  const parts = inputs.filter((t) => t !== undefined);
  const [first] = parts;
  if (first === undefined || parts.length !== inputs.length) return undefined;
  const axis = node.int("axis", 1);
  const at = axis < 0 ? axis + first.dims.length : axis;
  if (first.dims[at] === undefined) return undefined;
  const dims = first.dims.with(
    at,
    parts.reduce((n, t) => n + (t.dims[at] ?? Number.NaN), 0),
  );
  const fits = (t: Tensor) =>
    t.dtype === first.dtype &&
    t.dims.length === dims.length &&
    t.dims.every((d, i) => i === at || d === dims[i]);
  if (!parts.every(fits) || !(elementCount(dims) <= limit)) return undefined;
  // All inputs end to end, then one walk: each row takes a stretch of every input.
  const words = joined(parts.map(wordsOf));
  if (words === undefined) return undefined;
  const rows = elementCount(dims.slice(0, at));
  const offsets = new Int32Array(elementCount(dims));
  let filled = 0;
  for (let row = 0; row < rows; row++) {
    let base = 0;
    for (const part of parts) {
      const size = elementCount(part.dims);
      const stretch = size / rows;
      for (let i = 0; i < stretch; i++) offsets[filled++] = base + row * stretch + i;
      base += size;
    }
  }
  return [taken(first.dtype, dims, words, offsets)];
};

function joined(list: readonly (Words | undefined)[]): Words | undefined {
  const [first] = list;
  if (first === undefined) return undefined;
  const bytes = list.map((w) => w && new Uint8Array(w.buffer, w.byteOffset, w.byteLength));
  const total = new Uint8Array(bytes.reduce((n, b) => n + (b?.length ?? 0), 0));
  let at = 0;
  for (const part of bytes) {
    if (part === undefined) return undefined;
    total.set(part, at);
    at += part.length;
  }
  if (first instanceof Uint8Array) return total;
  if (first instanceof Uint16Array) return new Uint16Array(total.buffer);
  return first instanceof Uint32Array
    ? new Uint32Array(total.buffer)
    : new BigUint64Array(total.buffer);
}

export const split: EvaluateRule = (c) => {
  const [input] = c.inputs;
  const words = input && wordsOf(input);
  const count = c.node.outputs.length;
  const axis = c.node.int("axis", 0);
  const at = axis < 0 ? axis + (input?.dims.length ?? 0) : axis;
  const size = input?.dims[at];
  if (input === undefined || words === undefined || size === undefined) return undefined;
  const part = Math.ceil(size / count);
  const even = Array.from({ length: count }, (_, i) =>
    i < count - 1 ? part : size - part * (count - 1),
  );
  const sizes = integers(c, 1, "split") ?? even;
  if (sizes.length !== count || sizes.reduce((a, b) => a + b, 0) !== size) return undefined;
  if (sizes.some((s) => s < 0)) return undefined;
  const strides = stridesOf(input.dims);
  let from = 0;
  return sizes.map((s) => {
    const dims = input.dims.with(at, s);
    const offsets = offsetsOf(dims, strides, from * (strides[at] ?? 0));
    from += s;
    return taken(input.dtype, dims, words, offsets);
  });
};

/** Where an output position of a padded axis lies in the input; -1 outside of it. */
const PAD_MODES: { readonly [mode: string]: (i: number, n: number) => number } = {
  constant: (i, n) => (i >= 0 && i < n ? i : -1),
  edge: (i, n) => Math.min(Math.max(i, 0), n - 1),
  reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
  wrap: (i, n) => ((i % n) + n) % n,
};

export const pad: EvaluateRule = (c) => {
  const [input, , value] = c.inputs;
  const words = input && wordsOf(input);
  const pads = integers(c, 1, "pads");
  const place = PAD_MODES[c.node.string("mode", "constant")];
  const ownValue = c.node.attributes.has("value") ? undefined : value;
  if (input === undefined || words === undefined || !pads || !place) return undefined;
  // The attribute form of the filler (opset 10 and before) is only known here as zero.
  if (c.node.attributes.has("value") && c.node.float("value", 0) !== 0) return undefined;
  const axes = integers(c, 3, "axes") ?? input.dims.map((_, i) => i);
  if (pads.length !== 2 * axes.length || input.dims.includes(0)) return undefined;
  const dims = [...input.dims];
  const before = input.dims.map(() => 0);
  for (const [i, axis] of axes.entries()) {
    const at = axis < 0 ? axis + dims.length : axis;
    before[at] = pads[i] ?? 0;
    dims[at] = (dims[at] ?? 0) + (pads[i] ?? 0) + (pads[i + axes.length] ?? 0);
  }
  if (!(elementCount(dims) <= c.limit)) return undefined;
  const strides = stridesOf(input.dims);
  let offsets: number[] = [0];
  for (const [axis, size] of dims.entries()) {
    const n = input.dims[axis] ?? 1;
    const places = Array.from({ length: size }, (_, i) => place(i - (before[axis] ?? 0), n));
    if (places.some((p) => p >= n)) return undefined;
    const stride = strides[axis] ?? 0;
    offsets = offsets.flatMap((o) => places.map((p) => (o < 0 || p < 0 ? -1 : o + p * stride)));
  }
  const filler = ownValue && wordsOf(ownValue);
  return [taken(input.dtype, dims, words, Int32Array.from(offsets), filler)];
};

export const trilu: EvaluateRule = ({ node, inputs: [input, diagonal] }) => {
  const words = input && wordsOf(input);
  const k = diagonal === undefined ? 0 : readIntegers(diagonal)?.[0];
  const [rows, columns] = input?.dims.slice(-2) ?? [];
  if (input === undefined || words === undefined || k === undefined) return undefined;
  if (rows === undefined || columns === undefined) return undefined;
  const upper = node.int("upper", 1) !== 0;
  const offsets = Int32Array.from({ length: elementCount(input.dims) }, (_, i) => {
    const above = (i % columns) - (Math.floor(i / columns) % rows) - k;
    return above === 0 || above > 0 === upper ? i : -1;
  });
  return [taken(input.dtype, input.dims, words, offsets)];
};

/** Elements of the second input where the condition holds, of the third one elsewhere. */
export const where: EvaluateRule = ({ inputs: [condition, yes, no], limit }) => {
  if (condition === undefined || yes === undefined || no?.dtype !== yes.dtype) return undefined;
  const dims = broadcastSizes([condition.dims, yes.dims, no.dims]);
  if (dims === undefined || elementCount(dims) > limit) return undefined;
  const [which, a, b] = [condition, yes, no].map((t) => broadcastOffsets(t.dims, dims));
  const bits = wordsOf(condition);
  const words = joined([wordsOf(yes), wordsOf(no)]);
  if (which === undefined || a === undefined || b === undefined) return undefined;
  if (words === undefined || !(bits instanceof Uint8Array)) return undefined;
  const second = elementCount(yes.dims);
  const offsets = which.map((at, i) => (bits[at] ? (a[i] ?? 0) : second + (b[i] ?? 0)));
  return [taken(yes.dtype, dims, words, offsets)];
};

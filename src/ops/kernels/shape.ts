// Constant evaluation of operators that make tensors or give them other shapes.
import type { Node } from "../../graph/graph.js";
import { dtypeOfCode, elementCount, type DType } from "../../onnx/dtypes.js";
import { float32Tensor, int64Tensor, tensorOf, type Tensor } from "../../onnx/tensor.js";
import type { EvaluateContext, EvaluateRule } from "../facts.js";
import { broadcastOffsets, broadcastSizes, offsetsOf, stridesOf } from "../strided.js";
import {
  bigArray,
  fromNumbers,
  isWide,
  numberArray,
  readBigs,
  readIntegers,
  readNumbers,
  reshaped,
  taken,
  wordsOf,
} from "./arrays.js";

/** The axes of a node over a tensor of `rank`: from the attribute (older operator sets) or input `index`; [] where none are given. */
export function axesGiven(c: EvaluateContext, index: number, rank: number): number[] | undefined {
  const input = c.inputs[index];
  const axes = c.node.ints("axes") ?? (input === undefined ? [] : readIntegers(input));
  const list = axes?.map((a) => (a < 0 ? a + rank : a));
  return list?.every((a) => a >= 0 && a < rank) ? list : undefined;
}

export const shapeOf: EvaluateRule = ({ node, inputs: [input] }) => {
  if (input === undefined) return undefined;
  const rank = input.dims.length;
  const bound = (i: number) => Math.min(Math.max(i < 0 ? i + rank : i, 0), rank);
  return [int64Tensor(input.dims.slice(bound(node.int("start", 0)), bound(node.int("end", rank))))];
};

export const sizeOf: EvaluateRule = ({ inputs: [input] }) =>
  input && [int64Tensor(elementCount(input.dims))];

/** First input as it is. */
export const copy: EvaluateRule = ({ node, inputs: [input, , training] }) => {
  if (input === undefined || node.outputs.length > 1 || training !== undefined) return undefined;
  return [reshaped(input, input.dims)];
};

type NewDims = (c: EvaluateContext, input: Tensor) => number[] | undefined;

const reshapeDims: NewDims = ({ node, inputs }, input) => {
  const target = inputs[1];
  const asked = node.ints("shape") ?? (target && readIntegers(target));
  const copies = node.int("allowzero", 0) === 0;
  const dims = asked?.map((d, i) => (d === 0 && copies ? (input.dims[i] ?? -2) : d));
  const open = dims?.indexOf(-1) ?? -1;
  if (dims === undefined || open < 0) return dims;
  const rest = elementCount(dims.toSpliced(open, 1));
  return rest > 0 ? dims.with(open, elementCount(input.dims) / rest) : undefined;
};

const flattenDims: NewDims = ({ node }, { dims }) => {
  const axis = node.int("axis", 1);
  const at = axis < 0 ? axis + dims.length : axis;
  return [elementCount(dims.slice(0, at)), elementCount(dims.slice(at))];
};

const squeezeDims: NewDims = (c, { dims }) => {
  const axes = axesGiven(c, 1, dims.length);
  const none = !c.node.attributes.has("axes") && c.inputs[1] === undefined;
  return axes && dims.filter((d, i) => (none ? d !== 1 : !axes.includes(i)));
};

const unsqueezeDims: NewDims = (c, { dims }) => {
  const input = c.inputs[1];
  const count = (c.node.ints("axes") ?? (input && readIntegers(input)))?.length ?? 0;
  const rank = dims.length + count;
  const axes = axesGiven(c, 1, rank);
  if (axes === undefined || new Set(axes).size !== axes.length) return undefined;
  const rest = dims.values();
  return Array.from({ length: rank }, (_, i) =>
    axes.includes(i) ? 1 : (rest.next().value ?? Number.NaN),
  );
};

const relabel =
  (newDims: NewDims): EvaluateRule =>
  (c) => {
    const [input] = c.inputs;
    const dims = input && newDims(c, input);
    if (input === undefined || dims === undefined) return undefined;
    return elementCount(dims) === elementCount(input.dims) && dims.every((d) => d >= 0)
      ? [reshaped(input, dims)]
      : undefined;
  };

export const reshape = relabel(reshapeDims);
export const flatten = relabel(flattenDims);
export const squeeze = relabel(squeezeDims);
export const unsqueeze = relabel(unsqueezeDims);

export const expand: EvaluateRule = ({ inputs: [input, target], limit }) => {
  const asked = target && readIntegers(target);
  const dims = input && asked && broadcastSizes([input.dims, asked]);
  if (input === undefined || dims === undefined || elementCount(dims) > limit) return undefined;
  const words = wordsOf(input);
  const offsets = broadcastOffsets(input.dims, dims);
  return words && offsets && [taken(input.dtype, dims, words, offsets)];
};

export const tile: EvaluateRule = ({ inputs: [input, repeats], limit }) => {
  const counts = repeats && readIntegers(repeats);
  const words = input && wordsOf(input);
  if (input === undefined || words === undefined || counts?.length !== input.dims.length)
    return undefined;
  const dims = input.dims.map((d, i) => d * (counts[i] ?? 1));
  if (!(elementCount(dims) <= limit)) return undefined;
  const strides = stridesOf(input.dims);
  // Each axis twice: once over the repetitions (stride 0), once over the elements.
  const walk = input.dims.flatMap((d, i) => [counts[i] ?? 1, d]);
  const steps = input.dims.flatMap((_, i) => [0, strides[i] ?? 0]);
  return [taken(input.dtype, dims, words, offsetsOf(walk, steps))];
};

export const constantOfShape: EvaluateRule = ({ node, inputs: [target], limit }) => {
  const dims = target && readIntegers(target);
  if (dims === undefined || !(elementCount(dims) <= limit)) return undefined;
  const value = node.tensor("value") ?? float32Tensor([0]);
  const words = wordsOf(value);
  return words && [taken(value.dtype, dims, words, new Int32Array(elementCount(dims)))];
};

export const range: EvaluateRule = ({ inputs: [start, end, step], limit }) => {
  if (start === undefined || end === undefined || step === undefined) return undefined;
  const { dtype } = start;
  if (end.dtype !== dtype || step.dtype !== dtype) return undefined;
  if (isWide(dtype)) {
    const [from, to, by] = [start, end, step].map((t) => readBigs(t)[0]);
    if (from === undefined || to === undefined || by === undefined || by === 0n) return undefined;
    const count = Math.max(0, Math.ceil(Number(to - from) / Number(by)));
    if (count > limit) return undefined;
    const out = bigArray(dtype, count);
    for (let i = 0; i < count; i++) out[i] = from + BigInt(i) * by;
    return [tensorOf(dtype, [count], out)];
  }
  const [from, to, by] = [start, end, step].map((t) => readNumbers(t)?.[0]);
  if (from === undefined || to === undefined || by === undefined || by === 0) return undefined;
  const count = Math.max(0, Math.ceil((to - from) / by));
  const out = count <= limit ? numberArray(dtype, count) : undefined;
  if (out === undefined) return undefined;
  // Runtimes add the step over and over, so rounding accumulates.
  let value = from;
  for (let i = 0; i < count; i++) {
    out[i] = value;
    value = (out[i] ?? 0) + by;
  }
  return [fromNumbers(dtype, [count], out)];
};

export const eyeLike: EvaluateRule = ({ node, inputs: [input] }) => {
  const dtype = input && (dtypeOfCode(node.int("dtype", 0)) ?? input.dtype);
  const [rows = 0, columns = 0] = input?.dims ?? [];
  if (dtype === undefined || input?.dims.length !== 2) return undefined;
  const k = node.int("k", 0);
  const ones = ones01(dtype, rows * columns, (i) => (i % columns) - Math.floor(i / columns) === k);
  return ones && [ones(input.dims)];
};

function ones01(dtype: DType, count: number, isOne: (i: number) => boolean) {
  if (isWide(dtype)) {
    const out = bigArray(dtype, count).map((_, i) => (isOne(i) ? 1n : 0n));
    return (dims: readonly number[]) => tensorOf(dtype, dims, out);
  }
  const out = numberArray(dtype, count);
  for (let i = 0; i < count && out; i++) out[i] = Number(isOne(i));
  return out && ((dims: readonly number[]) => fromNumbers(dtype, dims, out));
}

const CONSTANTS: { readonly [name: string]: (node: Node) => Tensor | undefined } = {
  value: (node) => node.tensor("value"),
  value_float: (node) => float32Tensor(node.float("value_float", 0)),
  value_floats: (node) => {
    const list = node.floats("value_floats");
    return list && float32Tensor(list);
  },
  value_int: (node) => int64Of(node, "value_int"),
  value_ints: (node) => int64Of(node, "value_ints"),
};

function int64Of(node: Node, name: string): Tensor | undefined {
  const attribute = node.attributes.get(name);
  if (attribute?.type === "int")
    return tensorOf("int64", [], BigInt64Array.of(BigInt(attribute.value)));
  if (attribute?.type !== "ints") return undefined;
  const list = attribute.value;
  return tensorOf(
    "int64",
    [list.length],
    BigInt64Array.from(list, (v) => BigInt(v)),
  );
}

export const constant: EvaluateRule = ({ node }) => {
  for (const [name, attribute] of node.attributes) {
    const value = attribute.type === "reference" ? undefined : CONSTANTS[name]?.(node);
    if (value !== undefined) return [value];
  }
  return undefined;
};

// Operators that move elements: their shapes, and the sizes that pass through them in shape computations.
import type { Dim } from "../graph/graph.js";
import {
  axesIn,
  axisIn,
  elementsOf,
  firstDType,
  likeInput,
  numbersIn,
  SMALL,
  unknownDims,
  type Fact,
  type InferContext,
  type InferRule,
  type OpRow,
  type OpTable,
} from "./facts.js";
import { concat, pad, slice, split, transpose, trilu } from "./kernels/movement.js";
import { gather, gatherElements, gatherND, scatterElements, scatterND } from "./kernels/gather.js";
import { slicedDim } from "./slices.js";
import { addDims, floorDivideDims, multiplyDims, subtractDims } from "./symbols.js";

const inferTranspose: InferRule = ({ node, inputs: [input] }) => {
  const shape = input?.shape;
  const dtype = input?.dtype;
  const order = node.ints("perm");
  if (shape === undefined) return [{ dtype, shape: order && unknownDims(order.length) }];
  if (order === undefined) return [{ dtype, shape: shape.toReversed(), ...flat(input) }];
  if (order.length !== shape.length) return [{ dtype }];
  return [{ dtype, shape: order.map((i) => shape[i] ?? null), ...flat(input) }];
};

/** Elements of a vector or scalar, which no transposition changes. */
const flat = (input: Fact | undefined): Fact =>
  (input?.shape?.length ?? 2) < 2 ? { elements: elementsOf(input) } : {};

const inferGather: InferRule = ({ node, inputs: [data, indices] }) => {
  const dtype = data?.dtype;
  const [shape, picked] = [data?.shape, indices?.shape];
  if (shape === undefined || picked === undefined) return [{ dtype }];
  const axis = axisIn(node.int("axis", 0), shape.length);
  if (axis === undefined) return [{ dtype }];
  const elements = elementsOf(data);
  const at = numbersIn(indices);
  const taken =
    shape.length === 1 && elements !== undefined
      ? at?.map((i) => elements[i < 0 ? i + elements.length : i] ?? null)
      : undefined;
  return [{ dtype, shape: shape.toSpliced(axis, 1, ...picked), elements: taken }];
};

const inferGatherND: InferRule = ({ node, inputs: [data, indices] }) => {
  const dtype = data?.dtype;
  const [shape, picked] = [data?.shape, indices?.shape];
  const depth = picked?.at(-1);
  if (shape === undefined || picked === undefined || typeof depth !== "number") return [{ dtype }];
  const batch = node.int("batch_dims", 0);
  if (batch < 0 || batch + depth > shape.length) return [{ dtype }];
  return [{ dtype, shape: [...picked.slice(0, -1), ...shape.slice(batch + depth)] }];
};

/** Starts, ends, axes and steps: attributes up to opset 9, inputs from 10 on. */
function sliceSpec(c: InferContext, rank: number) {
  const input = (i: number) => elementsOf(c.inputs[i]);
  const starts = c.node.ints("starts") ?? input(1);
  const ends = c.node.ints("ends") ?? input(2);
  const count = starts?.length ?? ends?.length;
  const all = Array.from({ length: count ?? 0 }, (_, i) => i);
  const axes = c.inputs[3] === undefined ? (c.node.ints("axes") ?? all) : numbersIn(c.inputs[3]);
  const steps = c.inputs[4] === undefined ? all.map(() => 1) : input(4);
  return { starts, ends, steps, axes: axes && axesIn(axes, rank) };
}

const inferSlice: InferRule = (c) => {
  const [input] = c.inputs;
  const dtype = input?.dtype;
  const shape = input?.shape;
  if (shape === undefined) return [{ dtype }];
  const { starts, ends, steps, axes } = sliceSpec(c, shape.length);
  if (axes === undefined) return [{ dtype, shape: unknownDims(shape.length) }];
  // Without axes and without a count of starts, every axis may be cut.
  if (starts === undefined && ends === undefined && c.inputs[3] === undefined)
    return [{ dtype, shape: unknownDims(shape.length) }];
  const dims = [...shape];
  axes.forEach((axis, i) => {
    const dim = shape[axis] ?? null;
    dims[axis] = slicedDim(dim, starts?.[i] ?? null, ends?.[i] ?? null, steps?.[i] ?? null);
  });
  return [{ dtype, shape: dims, elements: slicedVector(input, starts, ends, steps) }];
};

function slicedVector(
  input: Fact | undefined,
  ...spec: (readonly Dim[] | undefined)[]
): Dim[] | undefined {
  const elements = elementsOf(input);
  const [start, end, step] = spec.map((list) => (list?.length === 1 ? list[0] : null));
  if (elements === undefined || input?.shape?.length !== 1) return undefined;
  if (typeof start !== "number" || typeof end !== "number" || typeof step !== "number" || !step)
    return undefined;
  const n = elements.length;
  const bound = (i: number, low: number, high: number) =>
    Math.min(Math.max(i < 0 ? i + n : i, low), high);
  const taken: Dim[] = [];
  if (step > 0)
    for (let i = bound(start, 0, n); i < bound(end, 0, n); i += step)
      taken.push(elements[i] ?? null);
  else
    for (let i = bound(start, 0, n - 1); i > bound(end, -1, n - 1); i += step)
      taken.push(elements[i] ?? null);
  return taken;
}

const inferConcat: InferRule = ({ node, inputs: given }) => {
  const dtype = firstDType(given);
  // Old exporters join scalars with vectors; the runtimes of their time took each as one element.
  const inputs = given.map((i) => (i?.shape?.length === 0 ? { ...i, shape: [1] } : i));
  const rank = inputs.find((i) => i?.shape !== undefined)?.shape?.length;
  const axis = rank === undefined ? undefined : axisIn(node.int("axis", 1), rank);
  if (rank === undefined || axis === undefined) return [{ dtype }];
  const shape: Dim[] = Array.from({ length: rank }, (_, at) => {
    const dims = inputs.map((i) => i?.shape?.[at] ?? null);
    // Off the axis all agree: a number is the best to know, then a symbol of the caller's.
    if (at === axis) return dims.reduce(addDims);
    return (
      dims.find((d) => typeof d === "number") ?? dims.find((d) => isPublic(d)) ?? dims[0] ?? null
    );
  });
  const lists = rank === 1 ? inputs.map((i) => piece(i)) : [];
  const elements = lists.every((l) => l !== undefined) ? lists.flat() : [];
  const fits = elements.length > 0 && elements.length <= SMALL;
  return [{ dtype, shape, elements: fits ? elements : undefined }];
};

const isPublic = (dim: Dim): boolean => typeof dim === "string" && !dim.includes("?");

/** What a vector brings into a concatenation; unknown elements are fine as long as their number is known. */
function piece(input: Fact | undefined): readonly Dim[] | undefined {
  const length = input?.shape?.[0];
  if (typeof length !== "number" || length > SMALL) return undefined;
  return elementsOf(input) ?? unknownDims(length);
}

const inferSplit: InferRule = (c) => {
  const { node } = c;
  const [input, sizesInput] = c.inputs;
  const dtype = input?.dtype;
  const shape = input?.shape;
  const count = node.outputs.length;
  const axis = shape && axisIn(node.int("axis", 0), shape.length);
  if (shape === undefined || axis === undefined) return node.outputs.map(() => ({ dtype }));
  const dim = shape[axis] ?? null;
  const given = sizesInput === undefined ? node.ints("split") : unknownUnless(sizesInput, count);
  const sizes: readonly Dim[] = given ?? evenParts(dim, count, node.attributes.has("num_outputs"));
  let start = 0;
  const elements = shape.length === 1 ? elementsOf(input) : undefined;
  return node.outputs.map((_, i) => {
    const size = sizes[i] ?? null;
    const from = start;
    start += typeof size === "number" ? size : Number.NaN;
    const own = Number.isNaN(start) ? undefined : elements?.slice(from, start);
    return { dtype, shape: shape.with(axis, size), elements: own };
  });
};

/** Equal parts; where `uneven` ones are allowed (num_outputs, opset 18) the last one is shorter. */
function evenParts(dim: Dim, count: number, uneven: boolean): Dim[] {
  const part = floorDivideDims(uneven ? addDims(dim, count - 1) : dim, count);
  const last = uneven ? subtractDims(dim, multiplyDims(part, count - 1)) : part;
  return Array.from({ length: count }, (_, i) => (i < count - 1 ? part : last));
}

const unknownUnless = (fact: Fact, count: number): readonly Dim[] =>
  elementsOf(fact) ?? unknownDims(count);

/** Pads as attribute `pads` (or `paddings`) up to opset 10, as inputs from 11 on. */
const inferPad: InferRule = (c) => {
  const [input, pads, , axesInput] = c.inputs;
  const dtype = input?.dtype;
  const shape = input?.shape;
  if (shape === undefined) return [{ dtype }];
  const amounts = c.node.ints("pads") ?? c.node.ints("paddings") ?? elementsOf(pads);
  const all = shape.map((_, i) => i);
  const given = axesInput === undefined ? all : numbersIn(axesInput);
  const axes = given && axesIn(given, shape.length);
  if (amounts === undefined || axes === undefined || amounts.length !== 2 * axes.length)
    return [{ dtype, shape: unknownDims(shape.length) }];
  const dims = [...shape];
  axes.forEach((axis, i) => {
    const around = addDims(amounts[i] ?? null, amounts[i + axes.length] ?? null);
    dims[axis] = addDims(shape[axis] ?? null, around);
  });
  return [{ dtype, shape: dims }];
};

const inferSpaceToDepth: InferRule = ({ node, inputs: [input] }) => {
  const block = node.int("blocksize", 1);
  const [n, c, h, w] = input?.shape ?? unknownDims(4);
  const less = (d: Dim = null) => floorDivideDims(d, block);
  const shape = [n ?? null, multiplyDims(c ?? null, block * block), less(h), less(w)];
  return [{ dtype: input?.dtype, shape }];
};

const inferDepthToSpace: InferRule = ({ node, inputs: [input] }) => {
  const block = node.int("blocksize", 1);
  const [n, c, h, w] = input?.shape ?? unknownDims(4);
  const more = (d: Dim = null) => multiplyDims(d, block);
  const shape = [n ?? null, floorDivideDims(c ?? null, block * block), more(h), more(w)];
  return [{ dtype: input?.dtype, shape }];
};

/** `output_size` may be given by the condition: at most as many as it has elements. */
const inferCompress: InferRule = ({ node, inputs: [input] }) => {
  const shape = input?.shape;
  const axis = node.int("axis");
  if (axis === undefined) return [{ dtype: input?.dtype, shape: [null] }];
  const at = shape && axisIn(axis, shape.length);
  return [{ dtype: input?.dtype, shape: at === undefined ? undefined : shape?.with(at, null) }];
};

/** Scattering small vectors is how tracers write `shape[i] = x`. */
const inferScatterND: InferRule = ({ node, inputs: [data, indices, updates] }) => {
  const [own, put] = [elementsOf(data), elementsOf(updates)];
  const at = numbersIn(indices);
  const vector = data?.shape?.length === 1 && indices?.shape?.at(-1) === 1;
  const fact = { dtype: data?.dtype, shape: data?.shape };
  const writes = node.string("reduction", "none") === "none";
  if (!writes || !vector || own === undefined || at === undefined || put?.length !== at.length)
    return [fact];
  const elements = [...own];
  at.forEach((i, n) => {
    elements[i < 0 ? i + own.length : i] = put[n] ?? null;
  });
  return [{ ...fact, elements: elements.length === own.length ? elements : undefined }];
};

const inferUnique: InferRule = ({ node, inputs: [input] }) => {
  const axis = node.int("axis");
  const at = axis === undefined ? undefined : input?.shape && axisIn(axis, input.shape.length);
  const first = at === undefined ? undefined : input?.shape?.with(at, null);
  const shape = axis === undefined ? [null] : first;
  const counts: Fact = { dtype: "int64", shape: [null] };
  return [{ dtype: input?.dtype, shape }, counts, counts, counts];
};

const inferNonMaxSuppression: InferRule = () => [{ dtype: "int64", shape: [null, 3] }];

const move = (infer: InferRule, evaluate?: OpRow["evaluate"]): OpRow => ({
  infer,
  movement: true,
  ...(evaluate && { evaluate }),
});

export const MOVEMENT: OpTable = {
  Transpose: move(inferTranspose, transpose),
  Gather: move(inferGather, gather),
  GatherElements: move(
    ({ inputs: [data, indices] }) => [{ dtype: data?.dtype, shape: indices?.shape }],
    gatherElements,
  ),
  GatherND: move(inferGatherND, gatherND),
  Scatter: { infer: likeInput() },
  ScatterElements: { infer: likeInput(), evaluate: scatterElements },
  ScatterND: { infer: inferScatterND, evaluate: scatterND },
  TensorScatter: { infer: likeInput() },
  Slice: move(inferSlice, slice),
  Concat: move(inferConcat, concat),
  Split: move(inferSplit, split),
  Pad: { infer: inferPad, evaluate: pad },
  Trilu: { infer: likeInput(), evaluate: trilu },
  SpaceToDepth: move(inferSpaceToDepth),
  DepthToSpace: move(inferDepthToSpace),
  ReverseSequence: move(likeInput()),
  Compress: move(inferCompress),
  Unique: { infer: inferUnique },
  NonMaxSuppression: { infer: inferNonMaxSuppression },
};

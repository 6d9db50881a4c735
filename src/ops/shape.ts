// Operators that make, read or change shapes: here the sizes that graphs compute with become the dims of values.
import type { Dim, Node } from "../graph/graph.js";
import { scalarOf } from "../onnx/values.js";
import { elementCount } from "../onnx/dtypes.js";
import { broadcastShapes } from "./broadcast.js";
import {
  axesIn,
  axesOf,
  axisIn,
  dtypeAttribute,
  elementOf,
  elementsOf,
  SMALL,
  unknownDims,
  type Fact,
  type InferContext,
  type InferRule,
  type OpTable,
} from "./facts.js";
import {
  constant,
  constantOfShape,
  copy,
  expand,
  eyeLike,
  flatten,
  range,
  reshape,
  shapeOf,
  sizeOf,
  squeeze,
  tile,
  unsqueeze,
} from "./kernels/shape.js";
import {
  addDims,
  equalDims,
  floorDivideDims,
  isNonNegativeDim,
  maxDims,
  productOf,
  subtractDims,
} from "./symbols.js";

/** The dims that a shape input asks for; null per dim where only their number is known. */
export function requestedDims(fact: Fact | undefined): readonly Dim[] | undefined {
  const elements = elementsOf(fact);
  if (elements !== undefined) return elements.map((e) => (isNonNegativeDim(e) ? e : null));
  const rank = fact?.shape?.length === 1 ? fact.shape[0] : undefined;
  return typeof rank === "number" && rank <= SMALL ? unknownDims(rank) : undefined;
}

const inferShape: InferRule = ({ node, inputs: [input] }) => {
  const shape = input?.shape;
  if (shape === undefined) return [{ dtype: "int64", shape: [null] }];
  const bound = (i: number) => Math.min(Math.max(i < 0 ? i + shape.length : i, 0), shape.length);
  const dims = shape.slice(bound(node.int("start", 0)), bound(node.int("end", shape.length)));
  return [{ dtype: "int64", shape: [dims.length], elements: dims }];
};

const inferReshape: InferRule = (c) => {
  const [input, target] = c.inputs;
  const asked = c.node.ints("shape") ?? elementsOf(target);
  const dtype = input?.dtype;
  if (asked === undefined) return [{ dtype, shape: requestedDims(target) }];
  const copies = c.node.int("allowzero", 0) === 0;
  const shape: Dim[] = asked.map((e, i) => {
    if (e === 0 && copies) return input?.shape?.[i] ?? null;
    return isNonNegativeDim(e) ? e : null;
  });
  // One dim is left: it is what the others leave of the number of elements.
  const open = shape.flatMap((d, i) => (d === null ? [i] : []));
  const [only] = open;
  if (open.length === 1 && only !== undefined && input?.shape !== undefined)
    shape[only] = quotient(
      input.shape,
      shape.filter((_, i) => i !== only),
    );
  return [{ dtype, shape, elements: elementsOf(input) }];
};

/** The product of `dims` divided by the product of `by`. Dims that stand in both cancel first. */
function quotient(dims: readonly Dim[], by: readonly Dim[]): Dim {
  const left = [...by];
  const rest = dims.filter((dim) => {
    const at = dim === 0 ? -1 : left.findIndex((d) => equalDims(d, dim) === true);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  return floorDivideDims(productOf(rest), productOf(left));
}

const inferFlatten: InferRule = ({ node, inputs: [input] }) => {
  const shape = input?.shape;
  const dtype = input?.dtype;
  if (shape === undefined) return [{ dtype, shape: [null, null] }];
  const axis = node.int("axis", 1);
  const at = axis < 0 ? axis + shape.length : axis;
  return [{ dtype, shape: [productOf(shape.slice(0, at)), productOf(shape.slice(at))] }];
};

const inferSqueeze: InferRule = (c) => {
  const [input] = c.inputs;
  const dtype = input?.dtype;
  const shape = input?.shape;
  const axes = axesOf(c, 1);
  if (shape === undefined || axes === undefined) return [{ dtype, elements: elementsOf(input) }];
  if (axes === "all") {
    // Without axes every 1 goes: a symbol may be one.
    const sure = shape.every((d) => equalDims(d, 1) !== undefined);
    return [
      {
        dtype,
        shape: sure ? shape.filter((d) => d !== 1) : undefined,
        elements: elementsOf(input),
      },
    ];
  }
  const gone = axesIn(axes, shape.length);
  return [
    {
      dtype,
      shape: gone && shape.filter((_, i) => !gone.includes(i)),
      elements: elementsOf(input),
    },
  ];
};

const inferUnsqueeze: InferRule = (c): readonly Fact[] => {
  const [input, given] = c.inputs;
  const dtype = input?.dtype;
  const elements = elementsOf(input);
  const shape = input?.shape;
  const axes = axesOf(c, 1);
  if (shape === undefined || axes === "all") return [{ dtype, elements }];
  if (axes === undefined) {
    const more = requestedDims(given)?.length;
    return [
      { dtype, shape: more === undefined ? undefined : unknownDims(shape.length + more), elements },
    ];
  }
  const rank = shape.length + axes.length;
  const made = axesIn(axes, rank);
  if (made === undefined || new Set(made).size !== axes.length) return [{ dtype, elements }];
  const rest = shape.values();
  const dims = Array.from({ length: rank }, (_, i) =>
    made.includes(i) ? 1 : (rest.next().value ?? null),
  );
  return [{ dtype, shape: dims, elements }];
};

const inferExpand: InferRule = ({ inputs: [input, target] }) => {
  const asked = requestedDims(target);
  const shape = broadcastShapes([input?.shape, asked]);
  const count = shape?.every((d) => typeof d === "number") ? elementCount(shape) : undefined;
  const element = elementOf(input);
  const repeated = element !== null && count !== undefined && count <= SMALL;
  return [
    {
      dtype: input?.dtype,
      shape,
      elements: repeated ? Array.from({ length: count }, () => element) : undefined,
    },
  ];
};

const inferConstantOfShape: InferRule = ({ node, inputs: [target] }) => [
  { dtype: node.tensor("value")?.dtype ?? "float32", shape: requestedDims(target) },
];

/** max(0, ceil((limit - start) / delta)) elements. */
const inferRange: InferRule = ({ inputs: [start, limit, delta] }) => {
  const dtype = start?.dtype ?? limit?.dtype ?? delta?.dtype;
  const [from, to, step] = [elementOf(start), elementOf(limit), elementOf(delta)];
  let length: Dim = null;
  if (typeof step === "number" && step !== 0) {
    const span = step > 0 ? subtractDims(to, from) : subtractDims(from, to);
    const size = Math.abs(step);
    length = maxDims(0, floorDivideDims(addDims(span, size - 1), size));
  }
  return [{ dtype, shape: [length] }];
};

/** `Constant` and its six kinds of value. */
const inferConstant: InferRule = (c) => {
  const [tensor] = constant({ node: c.node, inputs: [], limit: Infinity }) ?? [];
  if (tensor !== undefined) return [{ dtype: tensor.dtype, shape: tensor.dims, tensor }];
  const strings = c.node.attributes.get("value_strings");
  if (strings?.type === "strings") return [{ dtype: "string", shape: [strings.value.length] }];
  return [c.node.attributes.has("value_string") ? { dtype: "string", shape: [] } : {}];
};

const identity: InferRule = ({ inputs: [input] }) => (input === undefined ? [] : [input]);

/** The mask has the input's type up to opset 9 and is bool from 10 on. */
const inferDropout: InferRule = (c) => [
  { dtype: c.inputs[0]?.dtype, shape: c.inputs[0]?.shape },
  { dtype: c.opset >= 10 ? "bool" : c.inputs[0]?.dtype, shape: c.inputs[0]?.shape },
];

/** Dropout drops only where its third input says that this is training. */
function isTraining(node: Node): boolean {
  const mode = node.input(2);
  return mode !== undefined && !(mode.isConstant && mode.tensor && scalarOf(mode.tensor) === 0);
}

const inferTile: InferRule = (c: InferContext) => {
  const [input, repeats] = c.inputs;
  const shape = input?.shape;
  const counts = elementsOf(repeats);
  const dtype = input?.dtype;
  if (shape === undefined) return [{ dtype, shape: requestedDims(repeats)?.map(() => null) }];
  const times = (dim: Dim, i: number) => productOf([dim, counts?.[i] ?? null]);
  return [{ dtype, shape: shape.map(times) }];
};

const inferOneHot: InferRule = ({ node, inputs: [indices, depth, values] }) => {
  const rank = indices?.shape?.length;
  const at = rank === undefined ? undefined : axisIn(node.int("axis", -1), rank + 1);
  const shape =
    at === undefined ? undefined : indices?.shape?.toSpliced(at, 0, positive(elementOf(depth)));
  return [{ dtype: values?.dtype, shape }];
};

const positive = (dim: Dim): Dim => (isNonNegativeDim(dim) ? dim : null);

const inferNonZero: InferRule = ({ inputs: [input] }) => [
  { dtype: "int64", shape: [input?.shape?.length ?? null, null] },
];

const inferEyeLike: InferRule = (c) => [
  { dtype: dtypeAttribute(c) ?? c.inputs[0]?.dtype, shape: c.inputs[0]?.shape },
];

const shapeAttribute = (c: InferContext) => c.node.ints("shape");
const pinned =
  (shape: (c: InferContext) => readonly Dim[] | undefined, missing?: "float32"): InferRule =>
  (c) => [{ dtype: dtypeAttribute(c) ?? missing ?? c.inputs[0]?.dtype, shape: shape(c) }];
const inputShape = (c: InferContext) => c.inputs[0]?.shape;

export const SHAPE: OpTable = {
  Shape: { infer: inferShape, evaluate: shapeOf },
  Size: {
    infer: ({ inputs: [input] }) => [
      { dtype: "int64", shape: [], elements: input?.shape && [productOf(input.shape)] },
    ],
    evaluate: sizeOf,
  },
  Reshape: { infer: inferReshape, evaluate: reshape, movement: true },
  Flatten: { infer: inferFlatten, evaluate: flatten, movement: true },
  Squeeze: { infer: inferSqueeze, evaluate: squeeze, movement: true },
  Unsqueeze: { infer: inferUnsqueeze, evaluate: unsqueeze, movement: true },
  Expand: { infer: inferExpand, evaluate: expand, movement: true },
  Tile: { infer: inferTile, evaluate: tile, movement: true },
  Identity: { infer: identity, evaluate: copy, elementwise: true, movement: true },
  Dropout: { infer: inferDropout, evaluate: copy, elementwise: true, random: isTraining },
  Constant: { infer: inferConstant, evaluate: constant },
  ConstantOfShape: { infer: inferConstantOfShape, evaluate: constantOfShape },
  Range: { infer: inferRange, evaluate: range },
  EyeLike: { infer: inferEyeLike, evaluate: eyeLike },
  OneHot: { infer: inferOneHot },
  NonZero: { infer: inferNonZero },
  RandomNormal: { infer: pinned(shapeAttribute, "float32"), random: true },
  RandomUniform: { infer: pinned(shapeAttribute, "float32"), random: true },
  RandomNormalLike: { infer: pinned(inputShape), random: true },
  RandomUniformLike: { infer: pinned(inputShape), random: true },
  Bernoulli: { infer: pinned(inputShape), random: true },
  Multinomial: {
    infer: (c) => [
      {
        dtype: dtypeAttribute(c) ?? "int32",
        shape: [c.inputs[0]?.shape?.[0] ?? null, c.node.int("sample_size", 1)],
      },
    ],
    random: true,
  },
};

// Operators that take axes away, and those that walk along one.
import type { Dim } from "../graph/graph.js";
import {
  axesIn,
  axesOf,
  axisIn,
  elementOf,
  elementsOf,
  likeInput,
  unknownDims,
  type Fact,
  type InferContext,
  type InferRule,
  type OpRow,
  type OpTable,
} from "./facts.js";
import { argExtreme, cumSum, reduce } from "./kernels/reduce.js";
import { requestedDims } from "./shape.js";
import { addDims, isNonNegativeDim, maxDims, minDims, multiplyDims } from "./symbols.js";

/** Axes as attribute in older operator sets, as input 1 in newer ones. */
const reducedShape = (c: InferContext): readonly Dim[] | undefined => {
  const shape = c.inputs[0]?.shape;
  const keep = c.node.int("keepdims", 1) !== 0;
  const given = axesOf(c, 1);
  const none = given === "all" || given?.length === 0;
  if (none && c.node.int("noop_with_empty_axes", 0) !== 0) return shape;
  if (given === undefined) {
    // Which axes is unknown; how many may be known.
    if (keep) return shape && unknownDims(shape.length);
    const count = requestedDims(c.inputs[1])?.length;
    return shape && count ? unknownDims(Math.max(0, shape.length - count)) : undefined;
  }
  if (none) return keep ? shape?.map(() => 1) : [];
  const axes = shape && axesIn(given, shape.length);
  if (axes === undefined) return undefined;
  return keep
    ? shape?.map((d, i) => (axes.includes(i) ? 1 : d))
    : shape?.filter((_, i) => !axes.includes(i));
};

/** Reduction of a vector of sizes to one size. */
export const reducing =
  (f?: (a: Dim, b: Dim) => Dim): InferRule =>
  (c) => {
    const [input] = c.inputs;
    const shape = reducedShape(c);
    const elements = elementsOf(input);
    const one = shape?.every((d) => d === 1) === true && (input?.shape?.length ?? 2) <= 1;
    const folded = f && elements !== undefined && elements.length > 0 && one;
    return [{ dtype: input?.dtype, shape, elements: folded ? [elements.reduce(f)] : undefined }];
  };

const inferArg: InferRule = (c) => {
  const shape = c.inputs[0]?.shape;
  const axis = shape && axisIn(c.node.int("axis", 0), shape.length);
  const keep = c.node.int("keepdims", 1) !== 0;
  if (axis === undefined) return [{ dtype: "int64" }];
  return [{ dtype: "int64", shape: keep ? shape?.with(axis, 1) : shape?.toSpliced(axis, 1) }];
};

/** `k` is an attribute up to opset 9, an input from 10 on. */
const inferTopK: InferRule = (c) => {
  const [input, count] = c.inputs;
  const shape = input?.shape;
  const axis = shape && axisIn(c.node.int("axis", -1), shape.length);
  const k = count === undefined ? (c.node.int("k") ?? null) : elementOf(count);
  const out = axis === undefined ? undefined : shape?.with(axis, isNonNegativeDim(k) ? k : null);
  return [
    { dtype: input?.dtype, shape: out },
    { dtype: "int64", shape: out },
  ];
};

const inferCumSum: InferRule = ({ node, inputs: [input] }) => {
  const elements = elementsOf(input);
  const plain = node.int("exclusive", 0) === 0 && node.int("reverse", 0) === 0;
  const vector = input?.shape?.length === 1 && plain;
  let total: Dim = 0;
  const sums = vector ? elements?.map((e) => (total = addDims(total, e))) : undefined;
  return [{ dtype: input?.dtype, shape: input?.shape, elements: sums }];
};

const row = (infer: InferRule, evaluate?: OpRow["evaluate"]): OpRow => ({
  infer,
  ...(evaluate && { evaluate }),
});
const like: OpRow = { infer: likeInput() };

/** det of [..., n, n]. */
const inferDet: InferRule = ({ inputs: [input] }): readonly Fact[] => [
  { dtype: input?.dtype, shape: input?.shape?.slice(0, -2) },
];

export const REDUCE: OpTable = {
  ReduceSum: row(reducing(addDims), reduce("sum")),
  ReduceMean: row(reducing(), reduce("mean")),
  ReduceProd: row(reducing(multiplyDims), reduce("prod")),
  ReduceMax: row(reducing(maxDims), reduce("max")),
  ReduceMin: row(reducing(minDims), reduce("min")),
  ReduceL1: row(reducing(), reduce("l1")),
  ReduceL2: row(reducing(), reduce("l2")),
  ReduceSumSquare: row(reducing(), reduce("sumSquare")),
  ReduceLogSum: row(reducing(), reduce("logSum")),
  ReduceLogSumExp: row(reducing(), reduce("logSumExp")),
  ArgMax: row(inferArg, argExtreme("max")),
  ArgMin: row(inferArg, argExtreme("min")),
  TopK: row(inferTopK),
  CumSum: row(inferCumSum, cumSum),
  CumProd: like,
  Softmax: like,
  LogSoftmax: like,
  Hardmax: like,
  Det: row(inferDet),
};

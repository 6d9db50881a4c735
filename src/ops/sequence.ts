// Sequences and optionals: only so far that tensors taken out of them have their type.
import type { Dim } from "../graph/graph.js";
import { axisIn, dtypeAttribute, type Fact, type InferRule, type OpTable } from "./facts.js";
import { merged } from "./merge.js";

const sequenceOf = (items: readonly (Fact | undefined)[]): Fact => {
  const facts = items.filter((i) => i !== undefined);
  return { sequence: facts.length === 0 ? {} : facts.reduce(merged) };
};

const construct: InferRule = ({ inputs }) => [sequenceOf(inputs)];
/** What goes into an empty sequence decides its type; into others it must agree. */
const insert: InferRule = ({ inputs: [sequence, item] }) => {
  const own = sequence?.sequence;
  return own === undefined ? [{}] : [sequenceOf(own.dtype === undefined ? [own] : [own, item])];
};
const element: InferRule = ({ inputs: [sequence] }) => [sequence?.sequence ?? {}];
const same: InferRule = ({ inputs: [sequence] }) => [sequence ?? {}];

const split: InferRule = ({ node, inputs: [x, sizes] }) => {
  const shape = x?.shape;
  const at = shape && axisIn(node.int("axis", 0), shape.length);
  const dropped = sizes === undefined && node.int("keepdims", 1) === 0;
  const size: Dim = sizes === undefined ? 1 : null;
  if (shape === undefined || at === undefined) return [{ sequence: { dtype: x?.dtype } }];
  return [
    {
      sequence: {
        dtype: x?.dtype,
        shape: dropped ? shape.toSpliced(at, 1) : shape.with(at, size),
      },
    },
  ];
};

const concat: InferRule = ({ node, inputs: [sequence] }) => {
  const item = sequence?.sequence;
  const shape = item?.shape;
  const fresh = node.int("new_axis", 0) !== 0;
  const rank = shape && shape.length + Number(fresh);
  const axis = node.int("axis");
  const at = rank === undefined || axis === undefined ? undefined : axisIn(axis, rank);
  if (shape === undefined || at === undefined) return [{ dtype: item?.dtype }];
  return [
    { dtype: item?.dtype, shape: fresh ? shape.toSpliced(at, 0, null) : shape.with(at, null) },
  ];
};

export const SEQUENCE: OpTable = {
  SequenceConstruct: { infer: construct },
  SequenceEmpty: { infer: (c) => [{ sequence: { dtype: dtypeAttribute(c) ?? "float32" } }] },
  SequenceInsert: { infer: insert },
  SequenceErase: { infer: same },
  SequenceAt: { infer: element },
  SequenceLength: { infer: () => [{ dtype: "int64", shape: [] }] },
  SplitToSequence: { infer: split },
  ConcatFromSequence: { infer: concat },
  Optional: { infer: ({ inputs: [item] }) => [item === undefined ? {} : { sequence: item }] },
  OptionalGetElement: { infer: ({ inputs: [item] }) => [item?.sequence ?? item ?? {}] },
  OptionalHasElement: { infer: () => [{ dtype: "bool", shape: [] }] },
};

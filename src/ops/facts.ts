// What inference knows about a value, and what a row of the operator tables may say. Knowledge is never wrong: what is not known is left out.
import type { Dim, Graph, Node } from "../graph/graph.js";
import { dtypeOfCode, elementCount, type DType } from "../onnx/dtypes.js";
import { bigintsOf, numbersOf } from "../onnx/values.js";
import type { Tensor } from "../onnx/tensor.js";

export interface Fact {
  readonly dtype?: DType | undefined;
  /** null only in what a rule returns: inference puts a private symbol in its place. */
  readonly shape?: readonly Dim[] | undefined;
  /** Elements of a small tensor of whole numbers (or truth values), in order; null is an unknown element. */
  readonly elements?: readonly Dim[] | undefined;
  /** The content, where it is constant. */
  readonly tensor?: Tensor | undefined;
  /** A sequence of (or an optional) tensors like this one; the value itself is then no tensor. */
  readonly sequence?: Fact | undefined;
}

export interface InferContext {
  readonly node: Node;
  /** Version of the operator set that the node belongs to. */
  readonly opset: number;
  /** One per input slot; undefined is an input that is left out, `{}` one about which nothing is known. */
  readonly inputs: readonly (Fact | undefined)[];
  /** Infers a body of this node for such inputs and returns what is known of its outputs. */
  readonly inferBody: (body: Graph, inputs: readonly Fact[]) => readonly Fact[];
  /** How often the body of a loop may be inferred to find what its turns have in common; fewer in nested loops. */
  readonly turns: number;
}

/** Facts by output position. Outputs that are missing are unknown; surplus ones are ignored. Never throws, whatever the graph holds. */
export type InferRule = (c: InferContext) => readonly Fact[];

export interface EvaluateContext {
  readonly node: Node;
  readonly inputs: readonly (Tensor | undefined)[];
  /** Number of elements that an output may have at most. */
  readonly limit: number;
}

/** The outputs for constant inputs, equal to what onnxruntime computes; undefined where the rule cannot. */
export type EvaluateRule = (c: EvaluateContext) => readonly Tensor[] | undefined;

/** All that shared code may ask about an operator. */
export interface OpRow {
  readonly infer?: InferRule;
  readonly evaluate?: EvaluateRule;
  /** The order of the inputs does not matter. */
  readonly commutative?: true;
  /** Each output element depends on the input elements at its (broadcast) position alone. */
  readonly elementwise?: true;
  /** Output elements are input elements, placed anew: ranges and scales pass through. */
  readonly movement?: true;
  /** The same inputs may give other outputs: such a node is never folded, never merged. */
  readonly random?: true | ((node: Node) => boolean);
}

export type OpTable = Partial<Record<string, OpRow>>;

/** Tensors of at most so many elements are read by inference. */
export const SMALL = 1024;

const known = new WeakMap<Tensor, readonly Dim[]>();

/** The elements of a small tensor of whole numbers, as far as they are known. */
export function elementsOf(fact: Fact | undefined): readonly Dim[] | undefined {
  if (fact === undefined) return undefined;
  if (fact.elements !== undefined) return fact.elements;
  const tensor = fact.tensor;
  if (tensor === undefined || !(elementCount(tensor.dims) <= SMALL)) return undefined;
  let elements = known.get(tensor);
  if (elements === undefined) {
    elements = readElements(tensor);
    known.set(tensor, elements);
  }
  return elements;
}

function readElements(tensor: Tensor): Dim[] {
  const unknown = () => Array.from({ length: elementCount(tensor.dims) }, () => null);
  switch (tensor.dtype) {
    case "int64":
    case "int32":
    case "int16":
    case "int8":
    case "uint64":
    case "uint32":
    case "uint16":
    case "uint8":
    case "bool":
      return bigintsOf(tensor).map(Number);
    case "float32":
    case "float64":
    case "float16":
      return numbersOf(tensor).map((x) => (Number.isSafeInteger(x) ? x : null));
    default:
      return unknown();
  }
}

/** The elements where all are numbers. */
export function numbersIn(fact: Fact | undefined): readonly number[] | undefined {
  const elements = elementsOf(fact);
  return elements?.every((e) => typeof e === "number") ? elements : undefined;
}

/** The one element of a scalar (or of a tensor with one element). */
export function elementOf(fact: Fact | undefined): Dim {
  const elements = elementsOf(fact);
  return elements?.length === 1 ? (elements[0] ?? null) : null;
}

/** An axis as a position from 0; undefined outside the rank. */
export function axisIn(axis: number, rank: number): number | undefined {
  const at = axis < 0 ? axis + rank : axis;
  return Number.isInteger(at) && at >= 0 && at < rank ? at : undefined;
}

/** Axes as positions from 0; undefined where one is outside the rank. */
export function axesIn(axes: readonly number[], rank: number): number[] | undefined {
  const list = axes.map((a) => axisIn(a, rank));
  return list.every((a) => a !== undefined) ? list : undefined;
}

/** Axes given as an attribute (older operator sets) or as input `index` (newer ones): a list, "all" where none are given, undefined if unknown. */
export function axesOf(c: InferContext, index: number): readonly number[] | "all" | undefined {
  const attribute = c.node.ints("axes");
  if (attribute !== undefined) return attribute;
  const input = c.inputs[index];
  return input === undefined ? "all" : numbersIn(input);
}

/** `length` dims about which nothing is known. */
export function unknownDims(length: number): null[] {
  return Array.from({ length }, () => null);
}

export function firstDType(facts: readonly (Fact | undefined)[]): DType | undefined {
  for (const fact of facts) if (fact?.dtype !== undefined) return fact.dtype;
  return undefined;
}

/** The element type that the attribute `dtype` names. */
export function dtypeAttribute(c: InferContext): DType | undefined {
  return dtypeOfCode(c.node.int("dtype", 0));
}

/** Every output like input `from`: same type, same shape. */
export const likeInput =
  (from = 0): InferRule =>
  (c) => [{ dtype: c.inputs[from]?.dtype, shape: c.inputs[from]?.shape }];

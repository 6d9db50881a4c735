// What the reading of inputs and of lengths has in common: nodes that pass values on as they are, and content that no input changes.
import type { Dim, Node, Value } from "../graph/graph.js";
import { elementCount } from "../onnx/dtypes.js";
import type { Tensor } from "../onnx/tensor.js";
import { scalarOf } from "../onnx/values.js";
import { hasTrait } from "../ops/traits.js";

/** Operators whose output elements are elements of these inputs, unchanged and perhaps placed anew. "all": of every input. */
const PASSING: { readonly [op: string]: readonly number[] | "all" } = {
  Identity: [0],
  Cast: [0],
  Reshape: [0],
  Flatten: [0],
  Squeeze: [0],
  Unsqueeze: [0],
  Expand: [0],
  Tile: [0],
  Transpose: [0],
  Slice: [0],
  Split: [0],
  Pad: [0],
  Gather: [0],
  GatherElements: [0],
  GatherND: [0],
  Concat: "all",
  Where: [1, 2],
};

/** The inputs whose elements a node passes on; empty where it computes new ones. */
export function passedInputs(node: Node): readonly Value[] {
  const slots = Object.hasOwn(PASSING, node.op) ? PASSING[node.op] : undefined;
  if (slots === undefined) return [];
  return node.inputs.filter(
    (value, i): value is Value => value !== undefined && (slots === "all" || slots.includes(i)),
  );
}

/** The tensor of a constant, also where a Constant node makes it. */
export function constantOf(value: Value | undefined): Tensor | undefined {
  if (value === undefined) return undefined;
  if (value.isConstant) return value.tensor;
  return value.producer?.op === CONSTANT ? value.producer.tensor("value") : undefined;
}
const CONSTANT = "Constant";

/** The one number of a constant. */
export function constantNumber(value: Value | undefined): number | undefined {
  const tensor = constantOf(value);
  return tensor !== undefined && elementCount(tensor.dims) === 1 ? scalarOf(tensor) : undefined;
}

const MAX_DEPTH = 8;

/** What only unpacks or retypes a constant. The shape stays. */
function isUnpacking(node: Node): boolean {
  return hasTrait(node, "same elements", "dequantizes");
}

/** Shape of content that no input changes (a constant, dequantized or cast); undefined for what is computed. */
export function constantShape(value: Value | undefined, depth = 0): readonly number[] | undefined {
  const tensor = constantOf(value);
  if (tensor !== undefined) return tensor.dims;
  const producer = value?.producer;
  if (producer === undefined || depth > MAX_DEPTH || !isUnpacking(producer)) return undefined;
  return constantShape(producer.input(0), depth + 1);
}

/** The size of one dim of a value, from its content or from inference. */
export function dimOf(value: Value | undefined, axis: number): Dim {
  return (constantShape(value) ?? value?.shape)?.at(axis) ?? null;
}

// Matrices that exporters wrote twice, one of them transposed mostly: a layer used again, an embedding that is the head's weight, too. They
// were one weight, and stay one while they are trained.
import type { Graph, Value } from "../graph/graph.js";
import { elementCount } from "../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";
import { LEAST_COPIED } from "./defaults.js";
import type { Parameter } from "./parameters.js";

export interface Copy {
  readonly name: string;
  /** The parameter that it equals. */
  readonly of: string;
  readonly transposed: boolean;
}

/** Lets readers of a copy read the first of its kind, and returns the copies, which are in the graph no more. */
export function tieCopies(graph: Graph, parameters: readonly Parameter[]): Copy[] {
  const seen = new Map<string, Value[]>();
  const copies: Copy[] = [];
  for (const { name, decay } of parameters) {
    const value = graph.value(name);
    const tensor = value?.tensor;
    if (value === undefined || tensor === undefined || !decay || value.isInput) continue;
    if (tensor.dims.length !== 2 || elementCount(tensor.dims) < LEAST_COPIED) continue;
    const key = keyOf(tensor);
    const alike = seen.get(key) ?? [];
    const found = alike.flatMap((of) => likeness(of, tensor) ?? [])[0];
    if (found === undefined) {
      seen.set(key, [...alike, value]);
      continue;
    }
    tie(graph, value, found);
    copies.push({ name, of: found.of.name, transposed: found.transposed });
  }
  return copies;
}

interface Likeness {
  readonly of: Value;
  readonly transposed: boolean;
}

function tie(graph: Graph, copy: Value, { of, transposed }: Likeness): void {
  if (!transposed) graph.replaceUses(copy, of);
  else {
    const node = { op: "Transpose", inputs: [of], attributes: { perm: [1, 0] } };
    const turned = graph.addNode({ ...node, before: graph.first }).output();
    turned.dtype = copy.dtype;
    turned.shape = copy.shape;
    graph.replaceUses(copy, turned);
  }
  graph.removeInitializer(copy);
}

/** Depends on the elements, not on their order. */
function keyOf({ dims, data }: Tensor): string {
  const bytes = data.read();
  const bits = new Uint32Array(bytes.slice().buffer);
  let sum = 0;
  for (let i = 0; i < bits.length; i++) sum = (sum + (bits[i] ?? 0)) | 0;
  return `${dims.toSorted((a, b) => a - b).join()} ${sum}`;
}

function likeness(of: Value, tensor: Tensor): Likeness | undefined {
  if (of.tensor === undefined) return undefined;
  const values = floatsOf(tensor);
  const others = floatsOf(of.tensor);
  // The same number everywhere is what new weights begin with, not a copy.
  if (values.every((value) => value === values[0])) return undefined;
  const [rows = 0, columns = 0] = of.tensor.dims;
  const same = (a: Float32Array) => a.every((value, i) => value === values[i]);
  if (of.tensor.dims.join() === tensor.dims.join() && same(others))
    return { of, transposed: false };
  if ([columns, rows].join() === tensor.dims.join() && same(transpose(others, rows, columns)))
    return { of, transposed: true };
  return undefined;
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c] ?? 0;
  return turned;
}

/** Puts trained weights, and those of their copies, into the initializers of these names. */
export function putWeights(
  graph: Graph,
  weights: ReadonlyMap<string, Float32Array>,
  copies: readonly Copy[],
): void {
  const put = (name: string, values: Float32Array) => {
    const value = graph.value(name);
    if (value?.tensor === undefined)
      throw new Error(`internal: the model has no initializer "${name}"`);
    value.tensor = tensorOf("float32", value.tensor.dims, values);
  };
  for (const [name, values] of weights) put(name, values);
  for (const { name, of, transposed } of copies) {
    const values = weights.get(of);
    const [rows = 0, columns = 0] = graph.value(of)?.tensor?.dims ?? [];
    if (values !== undefined) put(name, transposed ? transpose(values, rows, columns) : values);
  }
}

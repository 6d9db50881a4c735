// What is trained: the initializers of a graph that are weights, biases, norms or tables, told by where the graph reads them, never by their names.
import type { Graph, Node, Use, Value } from "../graph/graph.js";
import { elementCount } from "../onnx/dtypes.js";
import { hasTrait } from "../ops/traits.js";

export interface Parameter {
  /** The initializer's name in the training graph; its element type is float32. */
  readonly name: string;
  /** Multiple of the learning rate; above 0. */
  readonly rate: number;
  /** Whether weight decay pulls it to 0: weights and tables do, biases, norms and steps do not. */
  readonly decay: boolean;
  /** After each update, values below this are set to it (steps of quantizers stay above 0). */
  readonly least?: number;
}

/** What a reader tells of an initializer: `weight` decays, `vector` (bias, norm) does not. */
type Place = "weight" | "vector";

interface Reader {
  readonly node: Node;
  readonly index: number;
  /** The initializer, or what was made of it alone: transposed, reshaped, sliced. */
  readonly value: Value;
  readonly isActivation: (value: Value | undefined) => boolean;
}

/** What else a node with two inputs reads. */
const other = ({ node, index }: Reader): Value | undefined => node.input(1 - index);

const product = (reader: Reader): Place | undefined =>
  reader.index <= 1 &&
  (reader.isActivation(other(reader)) || (isTable(reader.value) && isTable(other(reader))))
    ? "weight"
    : undefined;

const norm = ({ index, value }: Reader): Place | undefined =>
  index === 0 ? tableItself(value) : "vector";

/** A whole table that is normalized before anything is looked up in it. */
function tableItself({ shape }: Value): Place | undefined {
  return shape?.length === 2 && !shape.includes(1) ? "weight" : undefined;
}

/** Which inputs of an operator are learned. A constant that is added to scores of attention is a mask, one of a single number a factor. */
const READERS: Readonly<Record<string, (reader: Reader) => Place | undefined>> = {
  MatMul: product,
  "com.microsoft.FusedMatMul": product,
  Einsum: product,
  Gemm: (reader) => (reader.index === 2 ? "vector" : product(reader)),
  Conv: ({ index }) => (index === 1 ? "weight" : "vector"),
  ConvTranspose: ({ index }) => (index === 1 ? "weight" : "vector"),
  Gather: ({ index, value }) => (index === 0 && (value.rank ?? 0) >= 2 ? "weight" : undefined),
  LayerNormalization: norm,
  "com.microsoft.SkipLayerNormalization": ({ index }) => (index > 1 ? "vector" : undefined),
  RMSNormalization: norm,
  SimplifiedLayerNormalization: norm,
  InstanceNormalization: ({ index }) => (index > 0 ? "vector" : undefined),
  GroupNormalization: ({ index }) => (index > 0 ? "vector" : undefined),
  PRelu: ({ index }) => (index === 1 ? "vector" : undefined),
  ReduceMean: ({ index, value }) => (index === 0 ? tableItself(value) : undefined),
  "com.microsoft.Attention": ({ index }) =>
    index === 1 ? "weight" : index === 2 ? "vector" : undefined,
  "com.microsoft.BiasGelu": ({ index }) => (index === 1 ? "vector" : undefined),
  "com.microsoft.FastGelu": ({ index }) => (index === 1 ? "vector" : undefined),
  Add: addend,
  Sum: addend,
  Mul: (reader) => (isVector(reader) && reader.isActivation(other(reader)) ? "vector" : undefined),
  Concat: ({ node, value, isActivation }) =>
    node.inputs.some((input) => input !== value && isActivation(input)) ? "weight" : undefined,
};

function addend(reader: Reader): Place | undefined {
  const { node, value, isActivation } = reader;
  const activation = node.inputs.find((input) => input !== value && isActivation(input));
  if (activation === undefined) return undefined;
  if (isVector(reader)) return "vector";
  // The bias of a single output, else any number that is added somewhere.
  const { opType } = activation.producer ?? {};
  if (sizeOf(value) === 1)
    return opType === "MatMul" && activation.shape?.at(-1) === 1 ? "vector" : undefined;
  return (activation.rank ?? 4) <= 3 ? "weight" : undefined;
}

/** The same for all tokens: its axis before the last has size 1, where it has one. */
function isVector({ value: { shape } }: Reader): boolean {
  const last = shape?.at(-1);
  return typeof last === "number" && last > 1 && (shape?.at(-2) ?? 1) === 1;
}

function sizeOf({ shape }: Value): number | undefined {
  return shape?.every((dim) => typeof dim === "number") === true ? elementCount(shape) : undefined;
}

/**
 * Initializers that training changes: float32, read in a learned place, and on the way to one of the outputs `reached`. Biases and norms do not
 * decay. Types must be known. In the order of the graph.
 */
export function trainableParameters(graph: Graph, reached: readonly Value[]): Parameter[] {
  const onTheWay = ancestors(reached);
  const activations = activationsOf(graph);
  const isActivation = (value: Value | undefined): boolean =>
    value !== undefined && activations.has(value);
  const placeOf = (value: Value, use: Use): Place | undefined => {
    if (use.kind === "output" || !use.node.outputs.some((o) => o !== undefined && onTheWay.has(o)))
      return undefined;
    const { node, index } = use;
    if (!isArranging(node)) return READERS[node.op]?.({ node, index, value, isActivation });
    return index === 0 ? placeIn(node.output()) : undefined;
  };
  const placeIn = (value: Value): Place | undefined => {
    const places = [...value.uses].map((use) => placeOf(value, use));
    return (
      places.find((place) => place === "weight") ?? places.find((place) => place !== undefined)
    );
  };
  const parameters: Parameter[] = [];
  for (const value of graph.initializers()) {
    if (value.dtype !== "float32" || value.tensor === undefined || !onTheWay.has(value)) continue;
    if (sizeOf(value) === 0) continue;
    const place = placeIn(value);
    if (place !== undefined)
      parameters.push({ name: value.name, rate: 1, decay: place === "weight" });
  }
  return parameters;
}

/** All values that these are computed from, themselves included. */
function ancestors(values: readonly Value[]): ReadonlySet<Value> {
  const found = new Set<Value>();
  const open = [...values];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (found.has(value)) continue;
    found.add(value);
    if (value.producer === undefined) continue;
    const bodies = [...value.producer.subgraphs()];
    open.push(...bodies.flatMap((body) => body.outputs));
    for (const node of [value.producer, ...bodies.flatMap((body) => [...body.allNodes()])])
      for (const input of node.inputs) if (input !== undefined) open.push(input);
  }
  return found;
}

/**
 * Values that depend on weights and are no weights themselves: rows of tables, tables that go through a layer or a norm as a whole, float inputs
 * of vectors, and all that comes of them.
 */
function activationsOf(graph: Graph): ReadonlySet<Value> {
  const found = new Set<Value>();
  for (const input of graph.inputs)
    if (input.dtype === "float32" && (input.rank ?? 0) >= 3) found.add(input);
  for (const node of graph.nodes()) {
    const [first, second] = node.inputs;
    const ofTable =
      isTable(first) &&
      (node.opType === "Gather" || isNorm(node) || (isProduct(node) && isTable(second)));
    if (ofTable && node.opType !== "Gather" && first !== undefined) found.add(first);
    if (!ofTable && !node.inputs.some((input) => input !== undefined && found.has(input))) continue;
    for (const output of node.outputs) if (output?.dtype === "float32") found.add(output);
  }
  return found;
}

/** An operator that only arranges what it reads. */
const isArranging = (node: Node): boolean => hasTrait(node, "same elements", "rearranges", "picks");

/** A norm, or how the older ones begin. */
const isNorm = (node: Node): boolean => hasTrait(node, "normalization") || node.op === "ReduceMean";

const isProduct = (node: Node): boolean => READERS[node.op] === product || node.op === "Gemm";

/** A float matrix among the initializers, or what was made of it alone. */
function isTable(value: Value | undefined): boolean {
  if (value?.dtype !== "float32") return false;
  if (value.tensor !== undefined) return (value.rank ?? 0) >= 2;
  return (
    value.producer !== undefined && isArranging(value.producer) && isTable(value.producer.input(0))
  );
}

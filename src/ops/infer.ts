// Type and shape inference: every value's element type, rank and dims (numbers, or expressions over the inputs' symbols), and on the way the
// content of the small integer tensors in which graphs compute shapes.
import type { Dim, Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { elementCount, type DType } from "../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { evaluate } from "./evaluate.js";
import { SMALL, type Fact } from "./facts.js";
import { displayDim, multiplyDims, namesIn, symbolNamed } from "./symbols.js";
import { sizesOf } from "./strided.js";
import { rowOf } from "./table.js";

/** Operator set version where a model imports none: the rules of the newest one. */
const NEWEST = 26;

/** How often the body of a loop may be inferred, by how deep it is nested: the product stays small whatever the file holds. */
const TURNS = [8, 3] as const;

interface State {
  readonly model: Model;
  /** Model-local functions, which hide operators of the same name. */
  readonly functions: ReadonlySet<string>;
  /** Names that stand alone as a dim of an input: what expressions may be made of. */
  readonly symbols: ReadonlySet<string>;
  readonly facts: Map<Value, Fact>;
  /** Whether the types that the file declares fill what inference leaves open. */
  readonly trusting: boolean;
  /** Number of private symbols so far: each unknown size gets one, so that it can be followed. */
  privates: number;
}

/**
 * Fills dtype and shape of every value, subgraphs included. Dims are numbers, symbols of the inputs, expressions of them, or null. What
 * the file declares for inner values and outputs fills what the rules leave open (outputs of unknown operators, sizes that depend on
 * data), unless it contradicts the rules somewhere: then it is stale, and ignored. Inputs and initializers keep their types.
 *
 * Throws only what reading a small constant throws (TensorDataError, ExternalDataError).
 */
export function inferTypes(model: Model): void {
  typed(model);
}

/** Types of a graph that grows at its end: what is known of each value, and the types of nodes as they are added. */
export interface GrowingTypes {
  /** What is known of a value. A size that is unknown has a symbol of its own, so that equal sizes are seen to be equal. */
  readonly factOf: (value: Value) => Fact;
  /** Fills dtype and shape of the outputs of a node whose inputs have theirs. */
  readonly addNode: (node: Node) => void;
  /** Tells what is known of a value where its node does not. */
  readonly setFact: (value: Value, fact: Fact) => void;
}

/** As `inferTypes`, for a builder that appends nodes to the outermost graph and asks for their types at once. */
export function inferGrowing(model: Model): GrowingTypes {
  const state = typed(model);
  return {
    factOf(value) {
      let fact = state.facts.get(value);
      if (fact === undefined) {
        fact = settled(state, {
          ...declared(state, value),
          tensor: value.isConstant ? value.tensor : undefined,
        });
        state.facts.set(value, fact);
      }
      return fact;
    },
    addNode(node) {
      for (const input of node.inputs) if (input !== undefined) this.factOf(input);
      for (const [value, fact] of inferOutputs(state, node, 0)) fill(value, fact);
    },
    setFact(value, fact) {
      state.facts.set(value, fact);
      fill(value, fact);
    },
  };
}

function typed(model: Model): State {
  let state = inferred(model, false);
  const { stale, open } = compareWithDeclared(state);
  if (open && !stale) state = inferred(model, true);
  for (const [value, fact] of state.facts) {
    if (value.tensor !== undefined || (value.isInput && value.graph.parent === undefined)) continue;
    fill(value, fact);
  }
  return state;
}

function fill(value: Value, fact: Fact): void {
  value.dtype = fact.sequence === undefined ? (fact.dtype ?? value.dtype) : undefined;
  value.shape = fact.shape?.map((d) => (isPrivate(d) ? null : displayDim(d)));
}

function inferred(model: Model, trusting: boolean): State {
  const state: State = {
    model,
    functions: new Set(model.functions.map((f) => key(f.domain ?? "", f.name ?? ""))),
    symbols: symbolsOf(model.graph),
    facts: new Map(),
    trusting,
    privates: 0,
  };
  for (const input of model.graph.inputs)
    state.facts.set(input, settled(state, declared(state, input)));
  inferGraph(state, model.graph, 0);
  return state;
}

const key = (domain: string, name: string): string =>
  `${domain === "ai.onnx" ? "" : domain}:${name}`;

function symbolsOf(graph: Graph): Set<string> {
  const symbols = new Set<string>();
  for (const input of graph.inputs)
    for (const dim of input.shape ?? [])
      if (typeof dim === "string" && namesIn(dim)?.has(dim) === true) symbols.add(dim);
  return symbols;
}

/** The type that the file gives a value. */
function declared(state: State, value: Value): Fact {
  return { dtype: value.dtype, shape: value.shape?.map((d) => declaredDim(state, d)) };
}

function declaredDim({ symbols }: State, dim: Dim): Dim {
  if (typeof dim !== "string")
    return dim !== null && Number.isSafeInteger(dim) && dim >= 0 ? dim : null;
  // What some exporters write for "unknown".
  if (dim === "" || dim === "None" || dim.includes("?")) return null;
  const names = namesIn(dim);
  if (names === undefined) return symbolNamed(dim);
  if (names.has(dim)) return dim;
  // An expression ("past_sequence_length + 1") only where its names are sizes of inputs; else a name with odd characters ("batch-size").
  return [...names].every((n) => symbols.has(n)) ? multiplyDims(dim, 1) : symbolNamed(dim);
}

function inferGraph(state: State, graph: Graph, depth: number): void {
  const { facts } = state;
  for (const value of graph.initializers()) {
    const { tensor } = value;
    if (tensor === undefined) facts.set(value, declared(state, value));
    else if (value.isConstant)
      facts.set(value, { dtype: tensor.dtype, shape: tensor.dims, tensor });
  }
  for (const node of graph.nodes()) inferOutputs(state, node, depth);
}

function inferOutputs(state: State, node: Node, depth: number): [Value, Fact][] {
  const found = inferNode(state, node, depth);
  const facts = node.outputs.flatMap((value, i): [Value, Fact][] =>
    value === undefined ? [] : [[value, completed(state, value, found[i] ?? {})]],
  );
  for (const [value, fact] of facts) state.facts.set(value, fact);
  return facts;
}

function inferNode(state: State, node: Node, depth: number): readonly Fact[] {
  const inputs = node.inputs.map((v) => (v === undefined ? undefined : (state.facts.get(v) ?? {})));
  const inferBody = (body: Graph, given: readonly Fact[]): readonly Fact[] => {
    body.inputs.forEach((input, i) => {
      state.facts.set(input, completed(state, input, given[i] ?? {}));
    });
    inferGraph(state, body, depth + 1);
    return body.outputs.map((value) => state.facts.get(value) ?? {});
  };
  const row = state.functions.has(key(node.domain, node.opType)) ? undefined : rowOf(node);
  if (row?.infer === undefined) {
    for (const body of node.subgraphs()) inferBody(body, []);
    return [];
  }
  const opset = state.model.opsets.get(node.domain) ?? NEWEST;
  const outputs = row.infer({ node, opset, inputs, inferBody, turns: TURNS[depth] ?? 0 });
  const folded = row.evaluate && foldedOutputs(node, inputs);
  if (folded === undefined) return outputs;
  return folded.map((tensor) => ({ dtype: tensor.dtype, shape: tensor.dims, tensor }));
}

/** The outputs where all inputs are small constants. */
function foldedOutputs(node: Node, inputs: readonly (Fact | undefined)[]): Tensor[] | undefined {
  const tensors: (Tensor | undefined)[] = [];
  for (const input of inputs) {
    const tensor = input?.tensor;
    if (input !== undefined && !(tensor !== undefined && elementCount(tensor.dims) <= SMALL))
      return undefined;
    tensors.push(tensor);
  }
  return evaluate(node, tensors, { limit: SMALL });
}

/** A fact whose unknown parts the file's declaration fills, where it is trusted. */
function completed(state: State, value: Value, fact: Fact): Fact {
  if (!state.trusting || fact.sequence !== undefined) return settled(state, fact);
  const other = declared(state, value);
  const shape =
    fact.shape === undefined
      ? other.shape
      : fact.shape.map((d, i) => (isPrivate(d) ? (other.shape?.[i] ?? d) : d));
  return settled(state, { ...fact, dtype: fact.dtype ?? other.dtype, shape });
}

/** Gives every unknown dim a symbol of its own, and content that is fully known the form of a tensor. */
function settled(state: State, fact: Fact): Fact {
  const shape = fact.shape?.map((d) => d ?? `?${++state.privates}`);
  const sizes = sizesOf(shape);
  const fits =
    fact.elements !== undefined &&
    (sizes === undefined || elementCount(sizes) === fact.elements.length);
  const elements = fits ? fact.elements : undefined;
  const tensor =
    fact.tensor ?? (sizes && fact.dtype && elements && tensorIn(fact.dtype, sizes, elements));
  return { dtype: fact.dtype, shape, elements, tensor, sequence: fact.sequence };
}

function tensorIn(
  dtype: DType,
  dims: readonly number[],
  elements: readonly Dim[],
): Tensor | undefined {
  if (!elements.every((e) => typeof e === "number" && Number.isSafeInteger(e))) return undefined;
  switch (dtype) {
    case "int64":
      return tensorOf(
        dtype,
        dims,
        BigInt64Array.from(elements, (e) => BigInt(e ?? 0)),
      );
    case "int32":
      return tensorOf(dtype, dims, Int32Array.from(elements, Number));
    case "bool":
      return tensorOf(dtype, dims, Uint8Array.from(elements, Number));
    case "float32":
      return tensorOf(dtype, dims, Float32Array.from(elements, Number));
    default:
      return undefined;
  }
}

const isPrivate = (dim: Dim): boolean =>
  dim === null || (typeof dim === "string" && dim.includes("?"));

/** Whether declarations contradict what was inferred, and whether they could fill something. */
function compareWithDeclared(state: State): { stale: boolean; open: boolean } {
  let open = false;
  for (const [value, fact] of state.facts) {
    if (value.tensor !== undefined || (value.isInput && value.graph.parent === undefined)) continue;
    const own = declared(state, value);
    if (own.dtype !== undefined && fact.dtype !== undefined && own.dtype !== fact.dtype)
      return { stale: true, open };
    open ||= fact.dtype === undefined && own.dtype !== undefined;
    if (own.shape === undefined) continue;
    if (fact.shape === undefined) {
      open = true;
      continue;
    }
    if (fact.shape.length !== own.shape.length) return { stale: true, open };
    for (const [i, dim] of fact.shape.entries()) {
      const other = own.shape[i] ?? null;
      if (isPrivate(dim)) open ||= other !== null;
      else if (typeof other === "number" && dim !== other) return { stale: true, open };
    }
  }
  return { stale: false, open };
}

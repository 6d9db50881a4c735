// Gradient checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost"): of the way there only the values at waists of the
// graph are kept, and what lies between two of them is computed once more when the way back gets there. Memory then follows one layer.
import type { Node, Value } from "../graph/graph.js";
import { DTYPES } from "../onnx/dtypes.js";
import { isDeterministic } from "../ops/table.js";
import { hasTrait } from "../ops/traits.js";
import type { Backward } from "./backward.js";
import { propagate, takeGradient, type Gradients } from "./propagate.js";

const INT64 = DTYPES.int64.code;

/** The walk back over `nodes`, segment by segment from the last one, which is not computed again. */
export function propagateRecomputing(
  nodes: readonly Node[],
  gradients: Gradients,
  wrt: readonly Value[],
  b: Backward,
): void {
  const data = dependentOnData(nodes, wrt, b);
  const segments = segmentsOf(nodes, data, b);
  const context = { data, wrt, awaited: new Set<Value>() };
  const last = segments.at(-1);
  for (const segment of segments.toReversed())
    if (segment === last) propagate(segment, gradients, b);
    else again(segment, gradients, context, b);
}

interface Context {
  readonly data: ReadonlySet<Value>;
  readonly wrt: readonly Value[];
  /** Gradients that some segment has waited for. */
  readonly awaited: Set<Value>;
}

/** Values that are computed from what is fed and not trained, other than from its sizes. */
function dependentOnData(nodes: readonly Node[], wrt: readonly Value[], b: Backward): Set<Value> {
  const trained = new Set(wrt);
  const found = new Set(b.graph.inputs.filter((input) => !trained.has(input) && !input.tensor));
  for (const node of nodes) {
    if (hasTrait(node, "sizes") || !node.inputs.some((x) => x !== undefined && found.has(x)))
      continue;
    for (const output of node.outputs) if (output !== undefined) found.add(output);
  }
  return found;
}

/**
 * Cuts the order of nodes at waists: places where one single activation goes on. Such a value ends a segment if a product lies behind it and
 * several nodes read it, as they do where a residual block begins.
 */
function segmentsOf(nodes: readonly Node[], data: ReadonlySet<Value>, b: Backward): Node[][] {
  const isActivation = (value: Value | undefined): value is Value =>
    b.wants(value) && data.has(value);
  const left = new Map<Value, number>();
  for (const node of nodes)
    for (const input of node.inputs)
      if (isActivation(input) && !hasTrait(node, "sizes"))
        left.set(input, (left.get(input) ?? 0) + 1);
  const live = new Set<Value>();
  const readers = new Map(left);
  const segments: Node[][] = [[]];
  let products = 0;
  for (const node of nodes) {
    segments.at(-1)?.push(node);
    // What makes a segment worth computing again: its inner values are more than its ends.
    if (hasTrait(node, "product")) products++;
    for (const input of node.inputs) {
      if (!isActivation(input) || hasTrait(node, "sizes")) continue;
      const rest = (left.get(input) ?? 0) - 1;
      left.set(input, rest);
      if (rest === 0) live.delete(input);
    }
    for (const output of node.outputs)
      if (isActivation(output) && (left.get(output) ?? 0) > 0) live.add(output);
    const [only] = live;
    if (live.size !== 1 || only === undefined || products === 0) continue;
    if (only.producer !== node || (readers.get(only) ?? 0) < 2) continue;
    segments.push([]);
    products = 0;
  }
  // The way back begins where the values of the last block are still there.
  const tail = segments.splice(-2).flat();
  return [...segments, tail];
}

/** Computes a segment once more and goes back through the copies. */
function again(
  segment: readonly Node[],
  gradients: Gradients,
  context: Context,
  b: Backward,
): void {
  const { data } = context;
  const zero = zeroAfter(segment, gradients, context, b);
  if (zero === undefined) return;
  const own = new Set(segment);
  const copies = new Map<Value, Value>();
  const passed = new Map<Value, Value>();
  const pass = (value: Value): Value => {
    let copy = passed.get(value);
    if (copy === undefined) {
      copy = b.alike(b.op("Reshape", [value, b.op("Add", [b.shapeOf(value), zero])]), value);
      passed.set(value, copy);
    }
    return copy;
  };
  const walked = segment.map((node) => {
    const isCopied = node.outputs.some((y) => b.wants(y) && data.has(y)) && isRepeatable(node, b);
    const needsCopy = node.inputs.some((x) => x !== undefined && copies.has(x));
    if (!isCopied && !(needsCopy && isRepeatable(node, b))) return node;
    const inputs = node.inputs.map((x) => {
      const copy = x && copies.get(x);
      if (copy !== undefined || x === undefined) return copy;
      // What is not computed again is read where it is.
      return data.has(x) && !(x.producer !== undefined && own.has(x.producer)) ? pass(x) : x;
    });
    const made = b.repeat(node, inputs);
    node.outputs.forEach((output, i) => {
      const copy = made.outputs[i];
      if (output === undefined || copy === undefined) return;
      copies.set(output, copy);
      const parts = gradients.get(output);
      if (parts !== undefined) gradients.set(copy, parts);
    });
    return made;
  });
  propagate(walked, gradients, b);
  for (const [value, copy] of passed) {
    const gradient = takeGradient(gradients, copy, b);
    if (gradient !== undefined) gradients.set(value, [...(gradients.get(value) ?? []), gradient]);
  }
}

/** Random operators would draw anew, and bodies are not copied: what those made is kept. */
const isRepeatable = (node: Node, b: Backward): boolean =>
  (isDeterministic(node) || node.domain === "octavo") &&
  node.subgraphs().next().done === true &&
  b.graph === node.graph;

/**
 * A zero (int64[1]) that is known only when the gradients that reach `segment`, and those of all that was trained behind it, have been computed. What
 * adds it to a shape waits for them, and no optimizer merges it with the first computation or does it beforehand.
 */
function zeroAfter(
  segment: readonly Node[],
  gradients: Gradients,
  { wrt, awaited }: Context,
  b: Backward,
): Value | undefined {
  const take = (values: readonly (Value | undefined)[]) =>
    values.flatMap((value) => (value && takeGradient(gradients, value, b)) ?? []);
  const reaching = take(segment.flatMap((node) => node.outputs));
  if (reaching.length === 0) return undefined;
  const fresh = take(wrt).filter((gradient) => !awaited.has(gradient));
  const flags = [...new Set([...reaching, ...fresh])].map((gradient) => {
    awaited.add(gradient);
    const flat = b.op("Reshape", [gradient, b.ints([-1])]);
    const first = b.op("Slice", [flat, b.ints([0]), b.ints([1]), b.ints([0])]);
    return b.op("IsNaN", [first]);
  });
  const all = b.op("Concat", flags, { axis: 0 });
  const never = b.op("And", [all, b.op("Not", [all])]);
  return b.reduce("ReduceMax", b.op("Cast", [never], { to: INT64 }), [0]);
}

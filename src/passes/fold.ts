// Computes what depends on constants alone, so that later steps see the constant. The model must not grow by it: a small description of a
// large tensor (an Expand, a Range, a dequantized weight) stays a description.
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { byteLengthOf, elementCount } from "../onnx/dtypes.js";
import { int64Tensor, type Tensor } from "../onnx/tensor.js";
import { evaluate } from "../ops/evaluate.js";
import { inferTypes } from "../ops/infer.js";
import { hasTrait } from "../ops/traits.js";

/** Results up to this many bytes are folded although the model grows by them, … */
const SMALL = 64 * 1024;
/** … until it has grown by this many. */
const MAX_GROWTH = 8 * 1024 * 1024;

/**
 * Replaces nodes whose inputs are all constant by their results, in the order of the graph, and Shape of a value whose shape is known. A
 * result is kept if it is small, or not larger than the constants that are no longer needed then. Operators that cannot be evaluated, and
 * those that make an output of a graph, stay. Linear time, besides type inference.
 */
export function foldConstants(model: Model): number {
  inferTypes(model);
  return foldTyped(model);
}

/** The same for a model whose types are inferred already. */
export function foldTyped(model: Model): number {
  let changes = 0;
  let growth = MAX_GROWTH;
  for (const node of model.graph.allNodes()) {
    const { graph } = node;
    if (graph === undefined || isKept(node)) continue;
    if (node.outputs.some((output) => output?.isOutput === true)) continue;
    const freed = bytesFreed(node);
    const allowed = Math.max(freed, Math.min(SMALL, growth));
    const results = knownShape(node) ?? computed(node, allowed);
    if (results === undefined || !agrees(node, results)) continue;
    const bytes = byteLength(results);
    if (bytes > allowed) continue;
    growth -= Math.max(0, bytes - freed);
    replace(graph, node, results);
    changes++;
  }
  return changes;
}

/** Never folded, whatever the size: integer weights are there to stay integers. */
function isKept(node: Node): boolean {
  return node.op === "Identity" || hasTrait(node, "dequantizes");
}

function computed(node: Node, allowed: number): readonly Tensor[] | undefined {
  const { inputs } = node;
  if (inputs.length === 0 || !inputs.every((v) => v === undefined || isFoldable(v)))
    return undefined;
  // Nothing is computed whose type tells already that it is too large.
  if (knownBytes(node) > allowed) return undefined;
  const limit = Math.max(allowed, SMALL);
  return evaluate(
    node,
    inputs.map((value) => value?.tensor),
    { limit },
  );
}

function byteLength(tensors: readonly Tensor[]): number {
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
}

function isFoldable({ isConstant, tensor }: Value): boolean {
  return isConstant && tensor?.dtype !== "string";
}

/** Bytes of constants that only this node reads. */
function bytesFreed(node: Node): number {
  let freed = 0;
  for (const value of new Set(node.inputs))
    if (value?.tensor !== undefined && !value.isInput && isReadByOnly(value, node))
      freed += value.tensor.data.byteLength;
  return freed;
}

/** Stops at the first other reader: a constant may have very many. */
function isReadByOnly(value: Value, node: Node): boolean {
  for (const use of value.uses) if (use.kind !== "node" || use.node !== node) return false;
  return true;
}

/** Bytes of the outputs, as far as their types tell. */
function knownBytes(node: Node): number {
  let bytes = 0;
  for (const output of node.outputs) {
    const { dtype, shape } = output ?? {};
    if (dtype === undefined || shape === undefined || !isStatic(shape)) continue;
    bytes += byteLengthOf(dtype, elementCount(shape));
  }
  return bytes;
}

function isStatic(shape: Value["shape"]): shape is readonly number[] {
  return shape?.every((dim) => typeof dim === "number") === true;
}

/** Shape of a value that need not be constant itself, when its dims (those that are asked for) are numbers. */
function knownShape(node: Node): readonly Tensor[] | undefined {
  if (node.op !== "Shape") return undefined;
  const shape = node.input(0)?.shape;
  if (shape === undefined) return undefined;
  const dims = shape.slice(node.int("start", 0), node.int("end", shape.length));
  return isStatic(dims) ? [int64Tensor(dims)] : undefined;
}

/** Evaluation and inference must say the same; where they do not, nothing is touched. */
function agrees(node: Node, results: readonly Tensor[]): boolean {
  return node.outputs.every((output, i) => {
    if (output === undefined) return true;
    const result = results[i];
    if (result === undefined) return output.uses.size === 0;
    return output.dtype === undefined || output.dtype === result.dtype;
  });
}

function replace(graph: Graph, node: Node, results: readonly Tensor[]): void {
  node.outputs.forEach((output, i) => {
    const result = results[i];
    if (output === undefined || result === undefined || output.uses.size === 0) return;
    const { name } = output;
    graph.rename(output, graph.freshName(name));
    graph.replaceUses(output, graph.addNamedInitializer(name, result));
  });
  graph.removeNode(node);
}

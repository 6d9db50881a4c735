// Writes the residual Add in front of a layer normalization as a Sum of two: the same function, which runtimes that fuse Add with
// LayerNormalization leave alone. For targets where the fused kernel is the slower one.
import type { Node, Value } from "../graph/graph.js";
import { opset, type Model } from "../graph/model.js";
import { hasTrait } from "../ops/traits.js";
import { succeed } from "./pass.js";

/** Sum broadcasts from this version of the operator set on. */
const BROADCASTING_SUM = 8;

/**
 * Each Add of two activations whose result is normalized (by a LayerNormalization, or by the chain of operators that spells one out)
 * becomes a Sum. The Add of a bias stays an Add: it belongs to the product in front of it. Bit-exact.
 */
export function unfuseResiduals(model: Model): number {
  if (opset(model) < BROADCASTING_SUM) return 0;
  let changes = 0;
  for (const node of model.graph.allNodes()) {
    const [sum] = node.outputs;
    if (node.op !== "Add" || sum === undefined || !isNormalized(sum)) continue;
    const [a, b] = node.inputs;
    if (a === undefined || b === undefined || isBias(a) || isBias(b)) continue;
    replaceBySum(node, sum, a, b);
    changes++;
  }
  return changes;
}

function replaceBySum(node: Node, old: Value, a: Value, b: Value): void {
  const { graph, name } = node;
  if (graph === undefined) return;
  const value = graph.addNode({ op: "Sum", name, inputs: [a, b], before: node }).output();
  succeed(old, value);
  graph.replaceUses(old, value);
  graph.removeNode(node);
}

/** A constant that is the same for every row: nothing but the last dim. */
function isBias({ isConstant, tensor }: Value): boolean {
  return isConstant && tensor !== undefined && tensor.dims.slice(0, -1).every((dim) => dim === 1);
}

/** Whether a normalization reads the value: an operator for it, or its mean (or mean square) taken and used on the value itself. */
function isNormalized(value: Value): boolean {
  const readers = new Set(value.consumers());
  for (const reader of readers) {
    if (hasTrait(reader, "normalization") && reader.input(0) === value) return true;
    if (reader.op === "ReduceMean" && isSubtracted(reader.outputs[0], readers)) return true;
    if ((reader.op === "Pow" || reader.op === "Mul") && isMeanSquare(reader, readers)) return true;
  }
  return false;
}

/** x - mean(x) */
function isSubtracted(mean: Value | undefined, readers: ReadonlySet<Node>): boolean {
  if (mean === undefined) return false;
  return [...mean.consumers()].some((node) => node.op === "Sub" && readers.has(node));
}

/** x² → mean → … → x / √…: root mean square normalization, up to the product with x. */
function isMeanSquare(square: Node, readers: ReadonlySet<Node>): boolean {
  let value = square.outputs[0];
  for (let steps = 0; steps < 6 && value !== undefined; steps++) {
    const next = [...value.consumers()];
    if (steps > 0 && next.some((node) => node !== square && readers.has(node))) return true;
    const [only] = next;
    if (only === undefined || next.length !== 1) return false;
    if (steps === 0 && only.op !== "ReduceMean") return false;
    value = only.outputs[0];
  }
  return false;
}

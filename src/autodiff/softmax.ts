// Gradients of Softmax and its logarithm.
import type { Node, Value } from "../graph/graph.js";
import { unary } from "./arithmetic.js";
import type { Backward } from "./backward.js";
import { noGradient } from "./no-gradient.js";
import type { GradientTable } from "./rule.js";

/** Sums over the axis of a Softmax; before operator set 13 over all axes from there on. */
function sumAlong(b: Backward, node: Node, value: Value): Value {
  if (b.opset >= 13) return b.reduce("ReduceSum", value, [node.int("axis", -1)]);
  const given = node.int("axis", 1);
  if (given === -1) return b.reduce("ReduceSum", value, [-1]);
  const rank = value.rank;
  if (rank === undefined) throw noGradient(node, "the rank of its input is not known");
  const axis = given < 0 ? given + rank : given;
  const axes = Array.from({ length: rank - axis }, (_, i) => axis + i);
  return b.reduce("ReduceSum", value, axes);
}

export const SOFTMAX: GradientTable = {
  Softmax: unary((b, dy, _, y, node) => {
    const weighted = b.op("Mul", [dy, y]);
    const total = sumAlong(b, node, weighted);
    return b.op("Sub", [weighted, b.op("Mul", [y, total])]);
  }),
  LogSoftmax: unary((b, dy, _, y, node) => {
    const total = sumAlong(b, node, dy);
    return b.op("Sub", [dy, b.op("Mul", [b.op("Exp", [y]), total])]);
  }),
};

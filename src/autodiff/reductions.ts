// Gradients of reductions and of sums along an axis.
import type { Node, Value } from "../graph/graph.js";
import type { Backward } from "./backward.js";
import type { GradientRule, GradientTable } from "./rule.js";

/** dx from dy and y, both with the reduced axes kept at size 1 (or scalars), so that they broadcast against x. */
type Through = (b: Backward, dy: Value, x: Value, y: Value, node: Node) => Value;

const reduction = (through: Through): GradientRule => ({
  gradient(node, [dy], b) {
    const [x] = node.inputs;
    if (dy === undefined || !b.wants(x)) return [];
    const keep = keeper(node, b);
    return [through(b, keep(dy), x, keep(node.output()), node)];
  },
});

/** Puts the reduced axes back. */
function keeper(node: Node, b: Backward): (value: Value) => Value {
  const input = node.input(1);
  const axes = node.ints("axes") ?? b.numbersOf(input);
  const none = input === undefined ? node.ints("axes") === undefined : axes?.length === 0;
  // All axes at once, or none: onnxruntime then applies what stands in front of the sum (a square, a logarithm) to each element.
  if (none || axes?.length === 0) return (value) => value;
  if (node.int("keepdims", 1) !== 0) return (value) => value;
  if (axes !== undefined) return (value) => b.unsqueeze(value, axes);
  return (value) => b.op("Unsqueeze", [value, input]);
}

const spread = (b: Backward, dy: Value, x: Value): Value =>
  b.sameShape(dy, x) ? dy : b.op("Expand", [dy, b.shapeOf(x)]);

/** How many elements each output of a reduction stands for. */
function countOf(b: Backward, x: Value, y: Value): Value {
  const [all, left] = [b.sizesOf(x), b.sizesOf(y)].map((s) => s?.reduce((n, d) => n * d, 1));
  if (all !== undefined && left !== undefined) return b.scalar(all / Math.max(1, left), x);
  const known = b.reducedCount(x, y);
  if (known !== undefined) return b.scalar(known, x);
  return b.cast(b.op("Div", [b.op("Size", [x]), b.op("Size", [y])]), x);
}

/** The extremes share the gradient evenly. */
const extreme: Through = (b, dy, x, y, node) => {
  if (b.sameShape(x, y)) return dy;
  const hit = b.cast(b.op("Equal", [x, y]), x);
  const [, axes] = node.inputs;
  const given = node.attributes.get("axes");
  const count = b.op("ReduceSum", [hit, axes ?? axesInput(node, b)], {
    keepdims: 1,
    ...(given === undefined || b.opset >= 13 ? {} : { axes: given }),
  });
  return b.op("Mul", [hit, b.op("Div", [dy, count])]);
};

function axesInput(node: Node, b: Backward): Value | undefined {
  const axes = node.ints("axes");
  return axes === undefined || b.opset < 13 ? undefined : b.ints(axes);
}

const cumSum: GradientRule = {
  gradient(node, [dy], b) {
    const [x, axis] = node.inputs;
    if (dy === undefined || !b.wants(x)) return [];
    const reverse = node.int("reverse", 0) === 0 ? 1 : 0;
    return [b.op("CumSum", [dy, axis], { exclusive: node.int("exclusive", 0), reverse })];
  },
};

export const REDUCTIONS: GradientTable = {
  ReduceSum: reduction(spread),
  ReduceMean: reduction((b, dy, x, y) => spread(b, b.op("Div", [dy, countOf(b, x, y)]), x)),
  ReduceMax: reduction(extreme),
  ReduceMin: reduction(extreme),
  ReduceSumSquare: reduction((b, dy, x) => b.op("Mul", [x, b.op("Mul", [dy, b.scalar(2, dy)])])),
  ReduceL1: reduction((b, dy, x) => b.op("Mul", [dy, b.op("Sign", [x])])),
  // A vector of zeros has no direction: its gradient is 0.
  ReduceL2: reduction((b, dy, x, y) => {
    const isZero = b.op("Equal", [y, b.scalar(0, y)]);
    const factor = b.op("Where", [isZero, b.scalar(0, y), b.op("Div", [dy, y])]);
    return b.op("Mul", [x, factor]);
  }),
  ReduceLogSum: reduction((b, dy, x, y) =>
    spread(b, b.op("Mul", [dy, b.op("Exp", [b.op("Neg", [y])])]), x),
  ),
  ReduceLogSumExp: reduction((b, dy, x, y) =>
    b.op("Mul", [dy, b.op("Exp", [b.op("Sub", [x, y])])]),
  ),
  CumSum: cumSum,
};

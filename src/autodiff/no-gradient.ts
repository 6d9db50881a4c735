// Why an operator has no gradient, and the error that says so of a node.
import type { Node } from "../graph/graph.js";
import { NoGradientError } from "../errors.js";

const CONTROL = "a gradient would have to pass through its body, and none is built for bodies";
const CODES = "it computes with 8-bit codes, which have no derivative; train the float model";
const DISCRETE = "its result is integers or truth values, which have no derivative";
const SIZES = "its result depends on sizes or constants alone";
const SEQUENCES = "sequences of tensors are not differentiated";
const STEPS = "its result moves in steps, so its derivative is 0 wherever there is one";
const FUSED = "it is a runtime's own fusion; train the graph as the exporter wrote it";

const all = (operators: string, reason: string): Readonly<Record<string, string>> =>
  Object.fromEntries(operators.split(" ").map((op) => [op, reason]));

/** Operators that stand in Transformers and have no row in the table, with the reason. */
export const WITHOUT_GRADIENT: Readonly<Record<string, string>> = {
  If: CONTROL,
  Loop: CONTROL,
  Scan: CONTROL,
  SequenceConstruct: SEQUENCES,
  SequenceInsert: SEQUENCES,
  SplitToSequence: SEQUENCES,
  ConcatFromSequence: SEQUENCES,
  ArgMax: STEPS,
  ArgMin: STEPS,
  TopK: "which elements it takes moves in steps, and no rule is written for those it takes",
  ...all(
    "And Or Not Xor Equal Greater GreaterOrEqual Less LessOrEqual IsNaN IsInf NonZero OneHot Mod",
    DISCRETE,
  ),
  ...all("Shape Size Range Constant ConstantOfShape EyeLike", SIZES),
  QuantizeLinear: STEPS,
  DequantizeLinear: CODES,
  DynamicQuantizeLinear: CODES,
  MatMulInteger: CODES,
  QLinearMatMul: CODES,
  ConvInteger: CODES,
  "com.microsoft.MatMulNBits": CODES,
  "com.microsoft.QAttention": CODES,
  "com.microsoft.EmbedLayerNormalization": FUSED,
};

/** The error for a node that no gradient passes; without `detail`, the reason of its operator. */
export function noGradient(node: Node, detail?: string): NoGradientError {
  const name = node.name || (node.outputs.find((o) => o !== undefined)?.name ?? "?");
  const reason = Object.hasOwn(WITHOUT_GRADIENT, node.op) ? WITHOUT_GRADIENT[node.op] : undefined;
  return new NoGradientError(node.op, name, detail ?? reason);
}

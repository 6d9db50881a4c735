// docs/GRADIENTS.md from the table of gradients: every operator that training passes, by which inputs, and those that it does not, with the reason.
import { WITHOUT_GRADIENT } from "../src/autodiff/no-gradient.js";
import { GRADIENTS } from "../src/autodiff/table.js";
import { table } from "./reference.js";

const HEAD = `# Gradients

Training differentiates the ONNX graph itself: the gradient is more nodes of the same graph, run by the same runtime. This page is written by
\`npm run docs\` from the table of rules (\`src/autodiff/table.ts\`); a test holds each row against finite differences.

A gradient goes from the loss to the trained weights, and only through floats: shapes, positions and masks beside the way need none. Models below
operator set 18 are raised first. An operator on the way that is not in the first table is an error that names it and its node.

`;

/** Inputs with a gradient, by position and as ONNX calls them; "" has none, "…" stands for all that follow. Operators that are not here: X alone. */
export const INPUTS: Readonly<Record<string, readonly string[]>> = {
  Add: ["A", "B"],
  Sub: ["A", "B"],
  Mul: ["A", "B"],
  Div: ["A", "B"],
  Sum: ["data…"],
  Mean: ["data…"],
  Min: ["data…"],
  Max: ["data…"],
  Pow: ["X", "Y"],
  Clip: ["input", "min", "max"],
  Where: ["", "X", "Y"],
  PRelu: ["X", "slope"],
  MatMul: ["A", "B"],
  Gemm: ["A", "B", "C"],
  Einsum: ["Inputs…"],
  Conv: ["X", "W", "B"],
  Attention: ["Q", "K", "V", "attn_mask"],
  "com.microsoft.Attention": ["input", "weights", "bias"],
  "com.microsoft.MultiHeadAttention": ["query", "key", "value", "bias"],
  "com.microsoft.FusedMatMul": ["A", "B"],
  "com.microsoft.BiasGelu": ["A", "B"],
  "com.microsoft.FastGelu": ["X", "bias"],
  LayerNormalization: ["X", "Scale", "B"],
  RMSNormalization: ["X", "scale"],
  SimplifiedLayerNormalization: ["X", "scale"],
  "com.microsoft.SkipLayerNormalization": ["input", "skip", "gamma", "beta", "bias"],
  "com.microsoft.SkipSimplifiedLayerNormalization": ["input", "skip", "gamma", "bias"],
  BatchNormalization: ["X", "scale", "B", "input_mean", "input_var"],
  InstanceNormalization: ["input", "scale", "B"],
  Concat: ["inputs…"],
  Pad: ["data", "", "constant_value"],
  ScatterElements: ["data", "", "updates"],
  ScatterND: ["data", "", "updates"],
};

const STEPS = "0: the result moves in steps";
const SHARED = "elements that are equally extreme share it";
const SORTED = "rows that several positions read are added by sorting, the same on every run";

const REMARKS: Readonly<Record<string, string>> = {
  Min: SHARED,
  Max: SHARED,
  ReduceMin: SHARED,
  ReduceMax: SHARED,
  Pow: "of the exponent where the base is above 0",
  Floor: STEPS,
  Ceil: STEPS,
  Round: STEPS,
  Sign: STEPS,
  Dropout: "in training mode it needs the mask as an output",
  Einsum: "no diagonals",
  Conv: "padding written out",
  BatchNormalization: "with the statistics of inference",
  Gather: SORTED,
  GatherND: SORTED,
  Pad: "all modes",
  Slice: "all forms; steps must be known beforehand",
  ScatterElements: "reduction none or add",
  ScatterND: "reduction none or add",
  Softmax: "from the probabilities alone",
  "com.microsoft.FusedMatMul": "not with transBatchA or transBatchB",
};

export function gradients(): string {
  const passed = Object.keys(GRADIENTS).map((op) => [
    ...named(op),
    (INPUTS[op] ?? ["X"]).filter((name) => name !== "").join(", "),
    REMARKS[op] ?? "",
  ]);
  const stopped = Object.entries(WITHOUT_GRADIENT).map(([op, reason]) => [...named(op), reason]);
  return [
    HEAD,
    "## Operators with a gradient\n\n",
    table(["operator", "domain", "inputs", "remarks"], byName(passed)),
    "\n## Operators without\n\n",
    table(["operator", "domain", "why"], byName(stopped)),
  ].join("");
}

function named(op: string): [string, string] {
  const at = op.lastIndexOf(".");
  return [`\`${op.slice(at + 1)}\``, at < 0 ? "ai.onnx" : op.slice(0, at)];
}

/** By operator, and by domain where two have the same. */
const byName = (rows: readonly string[][]): string[][] =>
  rows.toSorted(([a = "", x = ""], [b = "", y = ""]) =>
    a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1,
  );

// Tells whether a model is quantized already, and in which form.
import type { Model } from "../graph/model.js";

const FORMS: Partial<Record<string, string>> = {
  QuantizeLinear: "Q/DQ",
  DequantizeLinear: "Q/DQ",
  "com.microsoft.QuantizeLinear": "Q/DQ",
  "com.microsoft.DequantizeLinear": "Q/DQ",
  DynamicQuantizeLinear: "dynamic",
  "com.microsoft.DynamicQuantizeMatMul": "dynamic",
  MatMulInteger: "integer operators",
  ConvInteger: "integer operators",
  QLinearMatMul: "integer operators",
  QLinearConv: "integer operators",
  "com.microsoft.MatMulIntegerToFloat": "integer operators",
  "com.microsoft.QGemm": "integer operators",
  "com.microsoft.QAttention": "integer operators",
  "com.microsoft.MatMulNBits": "weight-only",
  "com.microsoft.GatherBlockQuantized": "weight-only",
};

/** The form in which a model is quantized and the operators that show it ("dynamic: DynamicQuantizeLinear × 12, …"); undefined for a float model. */
export function quantizedForm(model: Model): string | undefined {
  const counts = new Map<string, number>();
  for (const node of model.graph.allNodes())
    if (FORMS[node.op] !== undefined) counts.set(node.op, (counts.get(node.op) ?? 0) + 1);
  if (counts.size === 0) return undefined;
  const forms = new Set([...counts.keys()].map((op) => FORMS[op]));
  // Integer operators take codes that QuantizeLinear makes: it is Q/DQ where something makes floats of them.
  if (forms.size > 1 && ![...counts.keys()].some((op) => op.endsWith("DequantizeLinear")))
    forms.delete("Q/DQ");
  const operators = [...counts].map(([op, n]) => `${op} × ${n}`).join(", ");
  return `${[...forms].join(", ")}: ${operators}`;
}

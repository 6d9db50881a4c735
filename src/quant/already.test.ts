// How a model that is quantized already is told.
import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { quantizedForm } from "./already.js";

const formOf = (...ops: string[]): string | undefined =>
  quantizedForm(
    buildModel((b) => {
      for (const [i, op] of ops.entries()) b.op(`v${i}`, op, [b.input(`x${i}`, [2])]);
    }),
  );

test("a float model has no form", () => {
  expect(formOf("MatMul", "Add")).toBeUndefined();
});

test.each([
  [["QuantizeLinear", "DequantizeLinear"], "Q/DQ: QuantizeLinear × 1, DequantizeLinear × 1"],
  [
    ["com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear"],
    "Q/DQ: com.microsoft.QuantizeLinear × 1, com.microsoft.DequantizeLinear × 1",
  ],
  [
    ["DynamicQuantizeLinear", "MatMulInteger", "MatMulInteger"],
    "dynamic, integer operators: DynamicQuantizeLinear × 1, MatMulInteger × 2",
  ],
  [
    ["QuantizeLinear", "com.microsoft.MatMulIntegerToFloat"],
    "integer operators: QuantizeLinear × 1, com.microsoft.MatMulIntegerToFloat × 1",
  ],
  [
    ["QuantizeLinear", "QLinearMatMul", "DequantizeLinear"],
    "Q/DQ, integer operators: QuantizeLinear × 1, QLinearMatMul × 1, DequantizeLinear × 1",
  ],
  [["com.microsoft.MatMulNBits"], "weight-only: com.microsoft.MatMulNBits × 1"],
  [["com.microsoft.GatherBlockQuantized"], "weight-only: com.microsoft.GatherBlockQuantized × 1"],
  [["com.microsoft.DynamicQuantizeMatMul"], "dynamic: com.microsoft.DynamicQuantizeMatMul × 1"],
  ...["ConvInteger", "QLinearConv", "com.microsoft.QGemm", "com.microsoft.QAttention"].map(
    (op) => [[op], `integer operators: ${op} × 1`] as const,
  ),
] as const)("%j is told as %s", (ops, form) => expect(formOf(...ops)).toBe(form));

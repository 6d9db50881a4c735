import { expect, test } from "vitest";
import { hasTrait } from "./traits.js";

test("an operator has the traits of its row, one without a row has none", () => {
  expect(hasTrait({ op: "com.microsoft.DequantizeLinear" }, "dequantizes")).toBe(true);
  expect(hasTrait({ op: "Transpose" }, "same elements", "rearranges")).toBe(true);
  expect(hasTrait({ op: "Transpose" }, "same elements")).toBe(false);
  for (const op of ["constructor", "other.domain.Transpose", ""])
    expect(hasTrait({ op }, "rearranges")).toBe(false);
});

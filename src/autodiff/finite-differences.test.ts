// Every row of the gradient table against differences of the loss that onnxruntime computes, over random shapes and attributes.
import { expect, test } from "vitest";
import { holdsFor } from "../../test/finite-differences.js";
import { SAMPLES } from "../../test/gradient-samples-all.js";
import { GRADIENTS } from "./table.js";

test("every row of the table has samples, and every sample a row", () =>
  expect(Object.keys(SAMPLES).toSorted()).toEqual(Object.keys(GRADIENTS).toSorted()));

test.each(Object.entries(SAMPLES))("%s", async (op, samples) => {
  await holdsFor(op, samples);
});

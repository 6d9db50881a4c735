// Every row of the gradient table against differences of the loss that onnxruntime computes, over random shapes and attributes.
import fc from "fast-check";
import { expect, test } from "vitest";
import { INPUTS } from "../../scripts/gradients.js";
import { holdsFor } from "../../test/finite-differences.js";
import { SAMPLES } from "../../test/gradient-samples-all.js";
import { hasShared, zooGraphs } from "../../test/shared.js";
import { readModelFile } from "../../test/types.js";
import { inlineFunctions } from "../passes/functions.js";
import { WITHOUT_GRADIENT } from "./no-gradient.js";
import { GRADIENTS } from "./table.js";

test("every row of the table has samples, and every sample a row", () =>
  expect(Object.keys(SAMPLES).toSorted()).toEqual(Object.keys(GRADIENTS).toSorted()));

test.each(Object.entries(SAMPLES))(
  "the documents say which inputs of %s have a gradient",
  (op, samples) => {
    const found = new Set<number>();
    for (const { inputs } of fc.sample(samples, 60))
      inputs.forEach((operand, i) => {
        if (operand?.tensor.dtype === "float32" && !operand.constant && !operand.fixed)
          found.add(i);
      });
    const names = INPUTS[op] ?? ["X"];
    const said = names.flatMap((name, i) => (name === "" ? [] : [i]));
    const more = names.at(-1)?.endsWith("…") === true;
    const sure = more ? [...found].filter((i) => i < names.length) : [...found];
    expect(sure.toSorted((a, b) => a - b)).toEqual(said);
  },
);

test.skipIf(!hasShared)(
  "every operator of the zoo has a gradient, or a reason why it has none",
  () => {
    const known = new Set([...Object.keys(GRADIENTS), ...Object.keys(WITHOUT_GRADIENT)]);
    const unknown = new Set<string>();
    for (const { path } of zooGraphs()) {
      const model = readModelFile(path);
      inlineFunctions(model);
      for (const { op } of model.graph.allNodes()) if (!known.has(op)) unknown.add(op);
    }
    expect([...unknown]).toEqual([]);
  },
);

test("no operator has both", () =>
  expect(Object.keys(WITHOUT_GRADIENT).filter((op) => op in GRADIENTS)).toEqual([]));

test.each(Object.entries(SAMPLES))("%s", async (op, samples) => {
  await holdsFor(op, samples);
});

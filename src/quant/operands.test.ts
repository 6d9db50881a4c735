import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { isProbability } from "./operands.js";

test.each(["Flatten", "Transpose", "Identity"])(
  "a Softmax behind a %s is a probability still",
  (op) => {
    const model = buildModel((b) => {
      const softmax = b.op("softmax", "Softmax", [b.input("x", [2, 3, 4])]);
      b.output(b.op("moved", op, [softmax]), b.op("scaled", "Mul", [softmax, b.float("two", 2)]));
    });
    const [moved, scaled] = model.graph.outputs;
    expect(moved !== undefined && isProbability(moved)).toBe(true);
    expect(scaled !== undefined && isProbability(scaled)).toBe(false);
  },
);

import { describe, expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { Graph } from "../graph/graph.js";
import { verify } from "../graph/verify.js";
import { inferTypes } from "../ops/infer.js";
import { detectMask, rowMask, addObservers } from "./observers.js";

describe("tapping", () => {
  const model = () =>
    buildModel((b) => {
      const x = b.input("x", ["batch", 4]);
      const w = b.float("w", [1, 2, 3, 4]);
      const hidden = b.op("hidden", "Mul", [x, w]);
      const body = new Graph(b.graph);
      const inner = body.addNode({ op: "Neg", inputs: [hidden], outputs: ["inner"] }).output();
      body.addOutput(inner);
      const other = new Graph(b.graph);
      other.addOutput(other.addNode({ op: "Abs", inputs: [hidden], outputs: ["other"] }).output());
      const condition = b.op("condition", "IsNaN", [
        b.op("sum", "ReduceSum", [x], { keepdims: 0 }),
      ]);
      const attributes = {
        then_branch: { type: "graph", value: body },
        else_branch: { type: "graph", value: other },
      } as const;
      b.output(b.op("y", "If", [condition], attributes));
    });

  test("adds outputs after those there are, once each; inputs and outputs stay", () => {
    const observed = model();
    inferTypes(observed);
    expect(addObservers(observed, ["hidden", "x", "y", "hidden"])).toEqual([]);
    expect(observed.graph.outputs.map(({ name }) => name)).toEqual(["y", "hidden"]);
    verify(observed);
  });

  test("reports what cannot be observed, with the reason", () => {
    const observed = model();
    inferTypes(observed);
    const reasons = addObservers(observed, ["inner", "w", "none", "condition"]);
    expect(reasons.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
      "inner: it is inside the body of an If, Loop or Scan",
      "w: it is a constant",
      "none: the graph has no such value",
      "condition: its elements are bool, not real",
    ]);
    expect(observed.graph.outputs).toHaveLength(1);
  });
});

describe("how a tensor follows the mask", () => {
  test.each([
    [["batch", "seq", 768], "batch-length"],
    [["batch", "seq"], "batch-length"],
    [["batch", 12, "seq", 64], "length-at-2"],
    [["batch", 12, "seq", "seq"], "length-at-2"],
    [["batch", 12, 64, "seq"], "length-at-3"],
    [["12*batch", "seq", 64], "batch-length"],
    [["12*batch", 64, "seq"], "length-at-2"],
    [["batch*seq", 768], "flat"],
    [["batch", 768], "none"],
    [["seq", 768], "none"],
    [[1, 128, 768], "none"],
    [[], "none"],
    // Other symbols may be the same size; numbers are not.
    [["s10", "seq", 768], ["batch-length"]],
    [["s10", 12, "s11", 64], ["length-at-2"]],
    [["s10*s11", 768], ["flat"]],
    [["s10", 768], "none"],
    [["12*batch", 64, 128], "none"],
    [
      [null, "seq", 768],
      ["batch-length", "flat"],
    ],
    [[null, 768], ["flat"]],
    [["batch", 12, null, 64], ["length-at-2"]],
    [["batch", 12, 64, null], ["length-at-3"]],
    [undefined, ["batch-length", "length-at-2", "length-at-3", "flat"]],
  ] as const)("%j: %s", (shape, masked) => {
    expect(detectMask(shape, ["batch", "seq"])).toEqual(masked);
  });

  test("is not asked where there is no mask of batch and length, and is known of fixed dims", () => {
    expect(detectMask(["batch", "seq", 8], undefined)).toBe("none");
    expect(detectMask(["batch", "seq", 8], ["batch"])).toBe("none");
    expect(detectMask([6, 8], [2, 3])).toBe("flat");
    expect(detectMask([2, 3, 8], [2, 3])).toBe("batch-length");
  });

  test("gives the rows of each layout; what has another layout is not taken for it", () => {
    const mask = { dims: [2, 3], data: Uint8Array.of(1, 1, 0, 1, 0, 0) } as const;
    const guess = ["batch-length", "length-at-2", "flat"] as const;
    expect(rowMask("batch-length", [2, 3, 8], mask)).toBe(mask.data);
    expect(rowMask("flat", [6, 8], mask)).toBe(mask.data);
    expect(rowMask(guess, [6, 8], mask)).toBe(mask.data);
    expect(rowMask(guess, [5, 8], mask)).toBe(undefined);
    expect(rowMask("none", [6, 8], mask)).toBe(undefined);
    expect(rowMask("flat", [6, 8], undefined)).toBe(undefined);
    const perHead = Uint8Array.of(1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0);
    expect(rowMask("length-at-2", [2, 2, 3, 8], mask)).toEqual(perHead);
    expect(rowMask(guess, [2, 2, 3, 8], mask)).toEqual(perHead);
    expect(rowMask("batch-length", [4, 3, 8], mask)).toEqual(perHead);
    expect(rowMask("length-at-3", [2, 2, 1, 3], mask)).toEqual(perHead);
    expect(rowMask("batch-length", [2, 4, 8], mask)).toMatch(
      /2 × 4 × 8, not batch-length of 2 × 3/,
    );
  });
});

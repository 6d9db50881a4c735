import { describe, expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { Graph } from "../graph/graph.js";
import { verify } from "../graph/verify.js";
import { inferTypes } from "../ops/infer.js";
import { detectMask, rowMask, tapModel } from "./taps.js";

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
    const tapped = model();
    inferTypes(tapped);
    expect(tapModel(tapped, ["hidden", "x", "y", "hidden"])).toEqual([]);
    expect(tapped.graph.outputs.map(({ name }) => name)).toEqual(["y", "hidden"]);
    verify(tapped);
  });

  test("reports what cannot be tapped, with the reason", () => {
    const tapped = model();
    inferTypes(tapped);
    const reasons = tapModel(tapped, ["inner", "w", "none", "condition"]);
    expect(reasons.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
      "inner: it is inside the body of an If, Loop or Scan",
      "w: it is a constant",
      "none: the graph has no such value",
      "condition: its elements are bool, not real",
    ]);
    expect(tapped.graph.outputs).toHaveLength(1);
  });
});

describe("how a tensor follows the mask", () => {
  test.each([
    [["batch", "seq", 768], "batch-length"],
    [["batch", "seq"], "batch-length"],
    [["batch", 12, "seq", 64], "batch-heads-length"],
    [["batch", 12, 64, "seq"], "none"],
    [["batch*seq", 768], "flat"],
    [["batch", 768], "none"],
    [["seq", 768], "none"],
    [[], "none"],
    [[null, "seq", 768], "auto"],
    [[null, 768], "auto"],
    [["batch", 12, null, 64], "auto"],
    [["batch", 12, 64, null], "none"],
    [undefined, "auto"],
  ] as const)("%j: %s", (shape, masked) => {
    expect(detectMask(shape, ["batch", "seq"])).toBe(masked);
  });

  test("is not asked where there is no mask of batch and length, and is known of fixed dims", () => {
    expect(detectMask(["batch", "seq", 8], undefined)).toBe("none");
    expect(detectMask(["batch", "seq", 8], ["batch"])).toBe("none");
    expect(detectMask([6, 8], [2, 3])).toBe("flat");
    expect(detectMask([2, 3, 8], [2, 3])).toBe("batch-length");
  });

  test("gives the rows of each layout; what has another layout is not taken for it", () => {
    const mask = { dims: [2, 3], data: Uint8Array.of(1, 1, 0, 1, 0, 0) } as const;
    expect(rowMask("batch-length", [2, 3, 8], mask)).toBe(mask.data);
    expect(rowMask("flat", [6, 8], mask)).toBe(mask.data);
    expect(rowMask("auto", [6, 8], mask)).toBe(mask.data);
    expect(rowMask("auto", [5, 8], mask)).toBe(undefined);
    expect(rowMask("none", [6, 8], mask)).toBe(undefined);
    expect(rowMask("flat", [6, 8], undefined)).toBe(undefined);
    expect(rowMask("batch-heads-length", [2, 2, 3, 8], mask)).toEqual(
      Uint8Array.of(1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0),
    );
    expect(rowMask("batch-length", [2, 4, 8], mask)).toMatch(
      /2 × 4 × 8, not batch-length of 2 × 3/,
    );
  });
});

import { describe, expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { hasShared, sharedModels, zooGraphs } from "../../test/shared.js";
import { readModelFile } from "../../test/types.js";
import { print } from "../graph/print.js";
import { verify } from "../graph/verify.js";
import { simplify } from "./simplify.js";

test("rewrites that make room for each other are all found", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 3, 4]);
    const shape = b.op("shape", "Shape", [x]);
    const dim = b.op("dim", "Gather", [shape, b.op("i", "Constant", [], { value_int: 2 })]);
    const same = b.op("same", "Identity", [x]);
    const axes = b.op("axes", "Constant", [], { value_ints: [0] });
    const target = b.op(
      "target",
      "Concat",
      [b.int("head", [0, 0]), b.op("tail", "Unsqueeze", [dim, axes])],
      { axis: 0 },
    );
    const reshaped = b.op("reshaped", "Reshape", [same, target]);
    b.output(b.op("y", "Relu", [reshaped]));
  });
  expect(simplify(model)).toBeGreaterThan(0);
  verify(model);
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, 3, 4])
      %y: float32[batch, 3, 4] = Relu(x)
      return %y"
  `);
});

describe.skipIf(!hasShared)("on the graphs of ../shared", () => {
  test.each([...zooGraphs(), ...sharedModels()])("$name reaches a fixpoint", ({ path }) => {
    const model = readModelFile(path);
    const inputs = model.graph.inputs.map((v) => v.name);
    const outputs = model.graph.outputs.map((v) => v.name);
    simplify(model);
    verify(model);
    expect(model.graph.inputs.map((v) => v.name)).toEqual(inputs);
    expect(model.graph.outputs.map((v) => v.name)).toEqual(outputs);
    const ops = [...model.graph.nodes()].map((node) => node.op);
    expect(ops).not.toContain("Constant");
    expect(ops).not.toContain("Identity");
    expect(simplify(model)).toBe(0);
  });

  test("takes less than 100 ms on a BERT of 12 layers' worth of nodes", () => {
    const largest = sharedModels().find((m) => m.name === "minilm-stsb");
    if (largest === undefined) throw new Error("minilm-stsb is not there");
    const times = [1, 2, 3].map(() => {
      const model = readModelFile(largest.path);
      const start = performance.now();
      simplify(model);
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(100);
  });
});

import { expect, test } from "vitest";
import { builder, buildModel, bytesOf } from "../../test/build.js";
import { Graph } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import { print } from "../graph/print.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { unshareWeights } from "./unshare-weights.js";

test("each reader of an INT8 initializer has its own, bodies included; the rest stays as it is", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["n", 1], "uint8");
    const flag = b.input("flag", [], "bool");
    const w = b.graph.addInitializer("w", tensorOf("int8", [1, 32], new Int8Array(32)));
    // A name that a copy would have.
    const taken = b.op("w_2", "MatMulInteger", [x, w]);
    const branch = () => {
      const inner = builder(new Graph(b.graph));
      inner.graph.name = "branch";
      inner.output(inner.op("q", "MatMulInteger", [x, w]));
      return { type: "graph" as const, value: inner.graph };
    };
    const chosen = b.op("chosen", "If", [flag], { then_branch: branch(), else_branch: branch() });
    const c = b.graph.addInitializer("c", tensorOf("int32", [1], Int32Array.of(3)));
    b.output(b.op("y", "Add", [b.op("sum", "Add", [taken, c]), b.op("more", "Add", [chosen, c])]));
  });
  expect(print(importModel(unshareWeights(decodeModel(bytesOf(model)))))).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: uint8[n, 1], flag: bool[])
      %w_2 = MatMulInteger(x, w: int8[1, 32])
      %chosen = If(flag)
        then_branch = branch()
          %q: int32[n, 32] = MatMulInteger(x, w_3: int8[1, 32])
          return %q
        else_branch = branch()
          %q: int32[n, 32] = MatMulInteger(x, w_4: int8[1, 32])
          return %q
      %sum = Add(%w_2, int32 [3])
      %more = Add(%chosen, int32 [3])
      %y: int32[n, 32] = Add(%sum, %more)
      return %y"
  `);
});

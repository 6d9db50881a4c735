import { expect, test } from "vitest";
import { float32Tensor } from "../onnx/tensor.js";
import { buildModel, GraphBuilder } from "./builder.js";
import type { Value } from "./graph.js";
import { print } from "./print.js";

test("an architecture is written in scopes, its weights named by them; constants are shared", () => {
  const block = (b: GraphBuilder, x: Value): Value => {
    const weight = b.initializer("weight", float32Tensor([1, 2]));
    const product = b.add("Mul", [x, weight], {}, { outputs: ["product"] });
    const half = b.add("Mul", [product, b.number(0.5)], {}, { name: "half" });
    return b.add("com.microsoft.Gelu", [half]);
  };
  const model = buildModel({ opset: 18, irVersion: 8 }, (b) => {
    const layers = b.scope("layers");
    const x = b.input("x", ["batch", 2]);
    b.output(block(layers.scope("1"), block(layers.scope("0"), x)));
  });
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph(x: float32[batch, 2])
      %layers.0.product = Mul(x, [1.0, 2.0])
      %layers.0.half_out = Mul(%layers.0.product, 0.5)
      %Gelu_out = com.microsoft.Gelu(%layers.0.half_out)
      %layers.1.product = Mul(%Gelu_out, [1.0, 2.0])
      %layers.1.half_out = Mul(%layers.1.product, 0.5)
      %Gelu_out_1 = com.microsoft.Gelu(%layers.1.half_out)
      return %Gelu_out_1"
  `);
});

test("nodes go before the one that a builder is at, into its graph; constants to the outermost", () => {
  const model = buildModel({ opset: 18, irVersion: 8 }, (b) => {
    const last = b.add("Exp", [b.input("x", [2])], {}, { outputs: ["y"] });
    b.output(last);
    if (last.producer === undefined) throw new Error("no node");
    const before = b.at(last.producer);
    last.producer.setInput(0, before.add("Add", [b.graph.inputs[0], before.number(1)]));
    expect(before.number(1)).toBe(b.number(1));
  });
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18
    graph(x: float32[2])
      %Add_out = Add(x, 1.0)
      %y = Exp(%Add_out)
      return %y"
  `);
});

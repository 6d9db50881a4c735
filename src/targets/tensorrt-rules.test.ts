import { describe, expect, test } from "vitest";
import { buildModel, floats } from "../../test/build.js";
import { violations } from "../../test/tensorrt-rules.js";
import type { Model } from "../graph/model.js";
import { tensorOf } from "../onnx/tensor.js";
import { inferTypes } from "../ops/infer.js";
import { type GivenChoices } from "./choices.js";
import { layer, lowered } from "../../test/tensorrt-layer.js";

describe("the rule checker finds", () => {
  const broken = (change: (model: Model) => void, given: GivenChoices = {}): string[] => {
    const model = lowered(buildModel(layer), given);
    change(model);
    return violations(model, { residual: given.residual ?? "skip", fp16: given.fp16 ?? false });
  };
  const node = (model: Model, op: string, index = 0) => {
    const found = [...model.graph.nodes()].filter((one) => one.op === op)[index];
    if (found === undefined) throw new Error(`no ${op}`);
    return found;
  };
  const q = (model: Model, of: string) => {
    const value = model.graph.value(of);
    if (value === undefined) throw new Error(`no ${of}`);
    const made = model.graph.addNode({
      op: "QuantizeLinear",
      inputs: [value, model.graph.value("x_scale"), model.graph.value("x_zero_point")],
    });
    const dq = model.graph.addNode({
      op: "DequantizeLinear",
      inputs: [made.output(), model.graph.value("x_scale"), model.graph.value("x_zero_point")],
    });
    made.output().dtype = "int8";
    dq.output().dtype = "float32";
    return { value, dq: dq.output() };
  };

  const planted: Record<
    string,
    [change: (model: Model) => void, said: RegExp, given?: GivenChoices]
  > = {
    "a zero point": [
      (m) => {
        const zero = m.graph.addInitializer("z", tensorOf("int8", [], Int8Array.of(3)));
        node(m, "QuantizeLinear").setInput(2, zero);
      },
      /zero point that is not 0/,
    ],
    "UINT8 codes": [
      (m) => {
        const zero = m.graph.addInitializer("z", tensorOf("uint8", [], Uint8Array.of(0)));
        node(m, "QuantizeLinear").setInput(2, zero);
        inferTypes(m);
      },
      /UINT8 tensor/,
    ],
    "a scale per channel of an activation": [
      (m) => {
        const scale = m.graph.addInitializer("p", floats([32]));
        node(m, "QuantizeLinear").setInput(1, scale);
      },
      /scales per channel of an activation/,
    ],
    "a weight with a scale per row": [
      (m) => void node(m, "DequantizeLinear", 1).attributes.set("axis", { type: "int", value: 0 }),
      /no scale per output channel/,
    ],
    "one operand in float": [
      (m) => node(m, "MatMul").setInput(0, m.graph.value("x")),
      /one operand quantized/,
    ],
    "a quantized input of an operator that is none": [
      (m) => node(m, "Softmax").setInput(0, q(m, "masked").dq),
      /read by Softmax/,
    ],
    "a quantized mask": [
      (m) => {
        const { dq } = q(m, "mask");
        const masked = m.graph.value("masked")?.producer;
        masked?.setInput(
          masked.inputs.findIndex((input) => input?.name === "mask"),
          dq,
        );
      },
      /no residual/,
      { residual: "skip" },
    ],
    "a quantized bias": [
      (m) => {
        const add = m.graph.value("query.bias_out")?.producer;
        add?.setInput(0, q(m, "query.int8_out").dq);
      },
      /is a bias, and quantized/,
    ],
    "a residual that was not asked for": [
      (m) => m.graph.value("add1")?.producer?.setInput(1, q(m, "x").dq),
      /no residual was asked for/,
      { residual: "none" },
    ],
    "the branch quantized where the skip alone should be": [
      (m) => {
        const add = m.graph.value("add1")?.producer;
        add?.setInput(0, q(m, "out.bias_out").dq);
      },
      /2 operands quantized/,
    ],
    "a tensor quantized twice": [
      (m) => node(m, "MatMul").setInput(0, q(m, "x").dq),
      /quantized 2 times/,
    ],
    "a scale behind the product": [
      (m) => {
        const masked = m.graph.value("masked")?.producer;
        const scores = m.graph.value("scores");
        const factor = m.graph.addInitializer("f", floats([]));
        const made = m.graph.addNode({ op: "Mul", inputs: [scores, factor] });
        masked?.setInput(0, made.output());
      },
      /scale behind it/,
    ],
    "probabilities over another range": [
      (m) => {
        const scale = m.graph.addInitializer("p", floats([]));
        m.graph.value("probabilities")?.onlyUse?.node.setInput(1, scale);
      },
      /not \[0, 1\]/,
      { attention: "all" },
    ],
    "ranges found at run time": [
      (m) => {
        const made = m.graph.addNode({
          op: "DynamicQuantizeLinear",
          inputs: [m.graph.value("x")],
          outputs: 3,
        });
        m.graph.addOutput(made.output());
      },
      /no operator of explicit quantization/,
    ],
    "an old operator set": [(m) => void m.opsets.set("", 12), /operator set 12/],
    "an old operator set for FP16 scales": [
      (m) => void m.opsets.set("", 18),
      /no FP16 scales/,
      { fp16: true },
    ],
    "statistics of a normalization in FP16": [
      (m) =>
        void node(m, "LayerNormalization").attributes.set("stash_type", {
          type: "int",
          value: 10,
        }),
      /statistics in FP16/,
      { fp16: true },
    ],
    "a narrow product": [
      (m) => {
        const product = node(m, "MatMul");
        const value = product.input(0);
        if (value?.shape !== undefined) value.shape = [...value.shape.slice(0, -1), 8];
      },
      /narrow product/,
    ],
  };
  test.each(Object.entries(planted))("%s", (_what, [change, said, given]) => {
    expect(broken(() => undefined, given)).toEqual([]);
    expect(broken(change, given).join("\n")).toMatch(said);
  });
});

import { describe, expect, it } from "vitest";
import { namer, placeOf } from "./site-names.js";

describe("a site's name", () => {
  it.each([
    [
      "m.bert.encoder.layer.0.attention.self.query.weight",
      "m.bert.encoder.layer.0.attention.self.query",
    ],
    ["/bert/encoder/layer.3/output/dense/MatMul", "bert.encoder.layer.3.output.dense"],
    [
      "bert/encoder/layer_0/attention/self/query/kernel:0",
      "bert.encoder.layer_0.attention.self.query",
    ],
    [
      "tf_bert/bert/encoder/layer_._0/query/Tensordot/MatMul",
      "tf_bert.bert.encoder.layer_._0.query",
    ],
    ["classifier.bias", "classifier"],
    ["query_proj.bias_uncorrected", "query_proj"],
    ["query_proj.bias_uncorrected_1", "query_proj"],
  ])("comes from %s as %s", (name, place) => {
    expect(placeOf(name)).toBe(place);
  });

  it.each(["val_83", "onnx::MatMul_512", "417", "_v_12", ""])(
    "is not made from %j, which an exporter made up",
    (name) => {
      expect(placeOf(name)).toBeUndefined();
    },
  );

  it("is numbered when layers share a weight, and falls back to its place", () => {
    const name = namer();
    expect(name(["layer.weight"], "matmul.0")).toBe("layer");
    expect(name(["layer.weight"], "matmul.1")).toBe("layer#2");
    expect(name(["val_1", undefined], "matmul.2")).toBe("matmul.2");
  });
});

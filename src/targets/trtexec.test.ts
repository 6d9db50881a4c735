import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { shapeProfiles, trtexecCommand } from "./trtexec.js";

const { inputs } = buildModel((b) => {
  b.input("ids", ["batch", "length"], "int64");
  b.input("pixels", ["batch", 3, 224, 224]);
}).graph;

test("free dims get a smallest, a usual and a largest size, the length as far as the model goes", () =>
  expect(trtexecCommand({ path: "m/model.onnx", inputs, maxLength: 100, fp16: false })).toBe(
    "trtexec --onnx=m/model.onnx --saveEngine=m/model.plan --int8 --fp16 --minShapes=ids:1x1,pixels:1x3x224x224 " +
      "--optShapes=ids:8x100,pixels:8x3x224x224 --maxShapes=ids:32x100,pixels:32x3x224x224",
  ));

test("an FP16 model is strongly typed; fixed shapes need no profile; paths are one word", () => {
  const fixed = buildModel((b) => void b.input("x", [1, 16])).graph.inputs;
  expect(
    trtexecCommand({ path: "my model's.onnx", inputs: fixed, maxLength: undefined, fp16: true }),
  ).toBe("trtexec '--onnx=my model'\\''s.onnx' '--saveEngine=my model'\\''s.plan' --stronglyTyped");
});

test("inputs whose shapes are not known need no profile, and the largest batch is the caller's", () => {
  const { graph } = buildModel((b) => {
    b.input("ids", ["batch", "length"], "int64");
    b.graph.addInput("unknown", { dtype: "float32" });
  });
  const [ids, unknown] = graph.inputs;
  if (ids === undefined || unknown === undefined) throw new Error("no inputs");
  expect(shapeProfiles([unknown])).toEqual([]);
  expect(shapeProfiles([ids], { maxBatch: 4 })).toEqual(["ids:1x1", "ids:4x128", "ids:4x512"]);
  expect(shapeProfiles([ids], { maxBatch: 64 })).toEqual(["ids:1x1", "ids:8x128", "ids:64x512"]);
});

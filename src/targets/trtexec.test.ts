import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { dimsBySize } from "../inputs/dummy-inputs.js";
import { shapeProfiles, trtexecCommand } from "./trtexec.js";

const positions = Array.from({ length: 200 }, () => 0);
/** Ids into a table of 50 words, 100 positions that the graph counts, and an image. */
const texts = buildModel((b) => {
  const ids = b.input("ids", ["batch", "length"], "int64");
  const pixels = b.input("pixels", ["batch", 3, 224, 224]);
  const words = b.op("words", "Gather", [b.float("W", positions.slice(0, 100), [50, 2]), ids]);
  const size = b.op("size", "Gather", [b.op("shape", "Shape", [ids]), b.int("one", 1)]);
  const range = b.op("range", "Range", [b.int("zero", 0), size, b.int("step", 1)]);
  const places = b.op("places", "Gather", [b.float("P", positions, [100, 2]), range]);
  b.output(b.op("sum", "Add", [words, places]), b.op("out", "Identity", [pixels]));
});

test("free dims get a smallest, a usual and a largest size, the length as far as the model goes", () => {
  const dimsOf = dimsBySize(texts);
  expect(trtexecCommand({ path: "m/model.onnx", dimsOf, fp16: false })).toBe(
    "trtexec --onnx=m/model.onnx --saveEngine=m/model.plan --int8 --fp16 --minShapes=ids:1x1,pixels:1x3x224x224 " +
      "--optShapes=ids:8x100,pixels:8x3x224x224 --maxShapes=ids:32x100,pixels:32x3x224x224",
  );
});

test("an image has the channels and the size that the model has, whatever the length of texts", () => {
  const model = buildModel((b) => {
    const image = b.input("image", ["batch", "channels", "height", "width"]);
    const kernel = b.float("K", positions.slice(0, 96), [2, 3, 4, 4]);
    b.output(b.op("y", "Conv", [image, kernel], { strides: [4, 4] }));
  });
  expect(shapeProfiles(dimsBySize(model), 4)).toEqual([
    "image:1x3x56x56",
    "image:4x3x56x56",
    "image:4x3x56x56",
  ]);
});

test("a decoder's mask covers what it keeps and what it reads, within its positions", () => {
  const model = buildModel((b) => {
    const ids = b.input("ids", ["batch", "now"], "int64");
    const kept = b.input("kept", ["batch", "before", 2]);
    const mask = b.input("mask", ["batch", "before + now"], "int64");
    const words = b.op("words", "Gather", [b.float("W", positions.slice(0, 100), [50, 2]), ids]);
    b.output(
      b.op("all", "Concat", [kept, words], { axis: 1 }),
      b.op("not", "Not", [b.op("m", "Cast", [mask], { to: 9 })]),
    );
  });
  expect(shapeProfiles(dimsBySize(model), undefined)[0]).toBe("ids:1x1,kept:1x1x2,mask:1x2");
});

test("an FP16 model is strongly typed; fixed shapes need no profile; paths are one word", () => {
  const fixed = dimsBySize(buildModel((b) => void b.input("x", [1, 16])));
  expect(trtexecCommand({ path: "my model's.onnx", dimsOf: fixed, fp16: true })).toBe(
    "trtexec '--onnx=my model'\\''s.onnx' '--saveEngine=my model'\\''s.plan' --stronglyTyped",
  );
});

test("inputs whose shapes are not known need no profile, and the largest batch is the caller's", () => {
  const unknown = buildModel((b) => void b.graph.addInput("unknown", { dtype: "float32" }));
  expect(shapeProfiles(dimsBySize(unknown), undefined)).toEqual([]);
  const ids = dimsBySize(buildModel((b) => void b.input("ids", ["batch", "length"], "int64")));
  expect(shapeProfiles(ids, 4)).toEqual(["ids:1x1", "ids:4x128", "ids:4x512"]);
  expect(shapeProfiles(ids, 64)).toEqual(["ids:1x1", "ids:8x128", "ids:64x512"]);
});

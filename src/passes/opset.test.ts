import { describe, expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { fromOrt, numbers, openSession, toOrt } from "../../test/run.js";
import { exportModel } from "../graph/export.js";
import { print } from "../graph/print.js";
import { float32ToFloat16 } from "../onnx/float.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { encodeModel } from "../onnx/writer.js";
import type { Model } from "../graph/model.js";
import { raiseOpset } from "./opset.js";

async function outputOf(model: Model, x: Tensor): Promise<number[]> {
  const session = await openSession(encodeModel(exportModel(model)));
  const { y } = await session.run({ x: toOrt(x) });
  await session.release();
  if (y === undefined) throw new Error("no output");
  return numbers(fromOrt(y));
}

describe("a model of an older operator set computes the same when it is raised", () => {
  const INT64_MAX = 2n ** 63n - 1n;

  test("a Slice to the greatest int64, which no float holds, keeps its end", async () => {
    const model = buildModel(
      (b) => {
        const x = b.input("x", [4, 6]);
        const y = b.op("y", "Slice", [x], {
          starts: { type: "ints", value: [1] },
          ends: { type: "ints", value: [INT64_MAX] },
          axes: { type: "ints", value: [1] },
        });
        b.output(y);
      },
      { opset: 9, irVersion: 4 },
    );
    const x = tensorOf(
      "float32",
      [4, 6],
      Float32Array.from({ length: 24 }, (_, i) => i),
    );
    const before = await outputOf(model, x);
    raiseOpset(model, 13);
    expect(await outputOf(model, x)).toEqual(before);
    expect(before).toHaveLength(20);
  });

  test("bounds of a Clip are in the type of its input", async () => {
    const model = buildModel(
      (b) => {
        const x = b.input("x", [3], "float16");
        b.output(
          b.op("y", "Clip", [x], {
            min: { type: "float", value: -1 },
            max: { type: "float", value: 2 },
          }),
        );
      },
      { opset: 10, irVersion: 5 },
    );
    raiseOpset(model, 13);
    const x = tensorOf("float16", [3], float32ToFloat16(Float32Array.of(-5, 0.5, 5)));
    const y = tensorOf("float16", [3], float32ToFloat16(Float32Array.of(-1, 0.5, 2)));
    expect(await outputOf(model, x)).toEqual(numbers(y));
  });

  test("a RoiAlign keeps what it meant without a mode", () => {
    const model = buildModel(
      (b) => {
        const x = b.input("x", [1, 1, 8, 8]);
        b.output(b.op("y", "RoiAlign", [x, b.input("rois", [1, 4]), b.int("at", [0])]));
      },
      { opset: 11, irVersion: 6 },
    );
    raiseOpset(model, 18);
    expect(print(model)).toContain('coordinate_transformation_mode="output_half_pixel"');
  });

  test("a Resize in a mode that is gone is refused, others pass", () => {
    const resize = (mode: string) =>
      buildModel(
        (b) => {
          const inputs = [
            b.input("x", [1, 1, 4, 4]),
            b.float("roi", []),
            b.float("by", [1, 1, 2, 2]),
          ];
          b.output(b.op("y", "Resize", inputs, { coordinate_transformation_mode: mode }));
        },
        { opset: 11, irVersion: 6 },
      );
    expect(() => raiseOpset(resize("tf_half_pixel_for_nn"), 13)).toThrow("tf_half_pixel_for_nn");
    expect(raiseOpset(resize("half_pixel"), 13)).toBe(1);
  });
});

import { expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import type { Value } from "../graph/graph.js";
import { importModel } from "../graph/import.js";
import { decodeModel } from "../onnx/reader.js";
import { tensorOf } from "../onnx/tensor.js";
import { lintModel } from "../plan/lint-model.js";
import { lintTensorrt } from "./lint-tensorrt.js";

interface Form {
  readonly activation?: "int8" | "uint8" | "float";
  readonly zero?: number;
  readonly scale?: number;
  readonly weight?: "int8" | "uint8" | "float";
  readonly axis?: 0 | 1;
  readonly perChannel?: boolean;
  readonly gemm?: boolean;
  readonly bias?: "float" | "quantized";
  readonly opset?: number;
  readonly cols?: number;
}

const CODES = { int8: Int8Array, uint8: Uint8Array };

function build(form: Form) {
  const {
    activation = "int8",
    zero = 0,
    scale = 0.02,
    weight = "int8",
    axis = 1,
    cols = 32,
  } = form;
  const [rows, perChannel] = [32, form.perChannel ?? true];
  const model = buildModel(
    (b) => {
      let x = b.input("x", ["n", rows]);
      if (activation !== "float") {
        const zeroPoint = codes(b, "x.zero", activation, [], [zero]);
        const parameters = [b.float("x.scale", scale), zeroPoint];
        const q = b.op("q", "QuantizeLinear", [x, ...parameters]);
        x = b.op("dq", "DequantizeLinear", [q, ...parameters]);
      }
      const values = [...noise(rows * cols)];
      let w = weight === "float" ? b.float("layer.weight", values, [rows, cols]) : undefined;
      if (w === undefined && weight !== "float") {
        const size = axis === 0 ? rows : cols;
        const scales = b.float("w.scale", perChannel ? Array<number>(size).fill(0.01) : 0.01);
        const stored = codes(
          b,
          "layer.weight_quantized",
          weight,
          [rows, cols],
          values.map((v) => Math.round(Math.abs(v) * 90)),
        );
        w = b.op("w", "DequantizeLinear", [stored, scales], perChannel ? { axis } : {});
      }
      const inputs = [x, w];
      if (form.bias === "float") inputs.push(b.float("bias", [...noise(cols)]));
      if (form.bias === "quantized") {
        const stored = b.graph.addInitializer(
          "bias.codes",
          tensorOf("int32", [cols], new Int32Array(cols)),
        );
        inputs.push(b.op("bias", "DequantizeLinear", [stored, b.float("bias.scale", 0.01)]));
      }
      b.output(b.op("y", form.gemm === true ? "Gemm" : "MatMul", inputs));
    },
    { opset: form.opset ?? 17 },
  );
  return importModel(decodeModel(bytesOf(model)));
}

function codes(
  b: Builder,
  name: string,
  dtype: "int8" | "uint8",
  dims: number[],
  values: number[],
): Value {
  return b.graph.addInitializer(name, tensorOf(dtype, dims, CODES[dtype].from(values)));
}

const cases: Record<string, readonly [Form, "int8" | "stored" | "float", RegExp?]> = {
  "signed, symmetric, per output channel": [{}, "int8"],
  "one scale for the weight": [{ perChannel: false }, "int8"],
  "a Gemm with a float bias": [{ gemm: true, bias: "float" }, "int8"],
  "a Gemm with a quantized bias": [
    { gemm: true, bias: "quantized" },
    "stored",
    /bias is quantized/,
  ],
  "nothing quantized": [{ activation: "float", weight: "float" }, "float", /^not quantized$/],
  "a float activation": [{ activation: "float" }, "stored", /one side only: its activation/],
  "a float weight": [{ weight: "float" }, "float", /one side only: its weight/],
  "an unsigned activation": [{ activation: "uint8" }, "stored", /its activation is uint8/],
  "an unsigned weight": [{ weight: "uint8" }, "stored", /its weight is uint8/],
  "a zero point": [{ zero: 3 }, "stored", /zero point of its activation is 3/],
  "a scale of 0": [{ scale: 0 }, "stored", /not a positive number/],
  "channels along K": [{ axis: 0 }, "stored", /along axis 0: .* axis 1/],
  "scales per channel before opset 13": [
    { opset: 12 },
    "stored",
    /need opset 13, the model has 12/,
  ],
  "a narrow layer": [{ cols: 2 }, "int8", /side below 16/],
};

test.each(Object.entries(cases))("%s", (_, [form, runs, reason]) => {
  const [site, ...others] = lintModel(build(form), lintTensorrt);
  expect(others).toEqual([]);
  expect(site).toMatchObject({
    name: expect.stringMatching(/^layer$|^bias$/) as string,
    kind: "linear",
    runs,
  });
  if (reason === undefined) expect(site?.reason).toBeUndefined();
  else expect(site?.reason).toMatch(reason);
});

test("integer operators are none of TensorRT's", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["n", 16], "uint8");
    b.output(
      b.op("y", "MatMulInteger", [x, codes(b, "w", "int8", [16, 16], Array<number>(256).fill(1))]),
    );
  });
  const [site] = lintModel(model, lintTensorrt);
  expect(site?.runs).toBe("float");
  expect(site?.reason).toContain("no MatMulInteger");
});

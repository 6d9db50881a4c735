// Small quantized graphs as a description, for properties: one or two products with Q/DQ in every arrangement that tools write, and in some that none should.
import fc from "fast-check";
import type { Value } from "../src/graph/graph.js";
import type { Model } from "../src/graph/model.js";
import type { DType } from "../src/onnx/dtypes.js";
import { tensorOf } from "../src/onnx/tensor.js";
import { buildModel, noise, type Builder } from "./build.js";

export interface ProductSpec {
  readonly op: "MatMul" | "Gemm";
  readonly activation: "float" | "uint8" | "int8" | "uint16" | "codes";
  readonly weight: "float" | "int8" | "uint8" | "int16" | "float+q" | "activation";
  readonly granularity: "tensor" | "axis0" | "axis1";
  /** Where the weight is turned: nowhere, in front of its DequantizeLinear, or behind. */
  readonly turned: "no" | "before" | "behind";
  readonly transB: boolean;
  readonly bias:
    | "none"
    | "float"
    | "int32"
    | "add"
    | "add-left"
    | "add-matrix"
    | "add-wide"
    | "add-int32"
    | "sum";
  readonly carrier: "none" | "Reshape" | "Transpose";
  readonly behind: "none" | "Relu" | "Clip" | "Reshape" | "Max";
  readonly quantized: "no" | "uint8" | "int8" | "uint8-low" | "int8-low";
  /** Another node reads the product, too. */
  readonly shared: boolean;
  /** Another node reads the activation, behind its DequantizeLinear. */
  readonly sharedInput: boolean;
  readonly isOutput: boolean;
}

export interface GraphSpec {
  readonly opset: number;
  readonly dims: readonly (number | string)[];
  readonly products: readonly ProductSpec[];
}

const oneOf = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const rarely = fc.nat(4).map((n) => n === 0);

const productSpec: fc.Arbitrary<ProductSpec> = fc.record({
  op: oneOf("MatMul", "MatMul", "Gemm"),
  activation: oneOf("uint8", "uint8", "uint8", "int8", "int8", "float", "uint16", "codes"),
  weight: oneOf(
    "int8",
    "int8",
    "int8",
    "uint8",
    "uint8",
    "float",
    "int16",
    "float+q",
    "activation",
  ),
  granularity: oneOf("tensor", "tensor", "axis0", "axis1"),
  turned: oneOf("no", "no", "no", "before", "behind"),
  transB: fc.boolean(),
  bias: oneOf(
    "none",
    "none",
    "float",
    "int32",
    "add",
    "add",
    "add-left",
    "add-matrix",
    "add-wide",
    "add-int32",
    "sum",
  ),
  carrier: oneOf("none", "none", "none", "Reshape", "Transpose"),
  behind: oneOf("none", "none", "none", "Relu", "Clip", "Reshape", "Max"),
  quantized: oneOf("no", "no", "uint8", "int8", "uint8-low", "int8-low"),
  shared: rarely,
  sharedInput: rarely,
  isOutput: rarely,
});

export const graphSpec: fc.Arbitrary<GraphSpec> = fc.record({
  opset: oneOf(13, 17, 18, 21),
  dims: oneOf<readonly (number | string)[]>(["m"], [4], ["b", "l"], [2, "l"], [2, 3]),
  products: fc.array(productSpec, { minLength: 1, maxLength: 2 }),
});

const WIDTH = 8;

export function quantizedGraph({ opset, dims, products }: GraphSpec): Model {
  return buildModel(
    (b) => {
      let x = b.input("x", [...dims, WIDTH]);
      for (const [i, spec] of products.entries()) x = product(b, `p${i}`, x, spec, dims, i);
      b.output(b.op("y", "Neg", [x]));
    },
    { opset, irVersion: 8 },
  );
}

function product(
  b: Builder,
  name: string,
  x: Value,
  spec: ProductSpec,
  dims: readonly (number | string)[],
  i: number,
): Value {
  const gemm = spec.op === "Gemm" && dims.length === 1;
  const a = activation(b, name, x, spec, dims, i);
  const transB = gemm && spec.transB;
  const w = weight(b, name, a, spec, transB);
  const operands = [a, w];
  if (gemm && spec.bias === "float") operands.push(b.float(`${name}.bias`, [...noise(WIDTH, 3)]));
  if (gemm && spec.bias === "int32") operands.push(int32Bias(b, name));
  let y = b.op(`${name}.product`, gemm ? "Gemm" : "MatMul", operands, transB ? { transB: 1 } : {});
  if (spec.isOutput) b.output(typed(y, "float32", [...dims, WIDTH]));
  if (spec.shared) b.output(b.op(`${name}.abs`, "Abs", [y]));
  y = biased(b, name, y, spec);
  y = behind(b, name, y, spec, dims);
  return spec.quantized === "no" ? y : requantized(b, name, y, spec.quantized);
}

function typed(value: Value, dtype: DType, shape: readonly (number | string)[]): Value {
  value.dtype = dtype;
  value.shape = shape;
  return value;
}

function activation(
  b: Builder,
  name: string,
  x: Value,
  spec: ProductSpec,
  dims: readonly (number | string)[],
  i: number,
): Value {
  if (spec.activation === "float") return x;
  const dtype = spec.activation === "codes" ? "int8" : spec.activation;
  const parameters = [b.float(`${name}.a.scale`, 0.02), code(b, `${name}.a.zero`, dtype, 3)];
  const codes =
    spec.activation === "codes"
      ? b.input(`${name}.a.codes${i}`, [...dims, WIDTH], "int8")
      : b.op(`${name}.a.q`, "QuantizeLinear", [x, ...parameters]);
  const dq = b.op(`${name}.a.dq`, "DequantizeLinear", [codes, ...parameters]);
  if (spec.sharedInput) b.output(b.op(`${name}.a.abs`, "Abs", [dq]));
  if (spec.carrier === "Reshape")
    return b.op(`${name}.a.reshape`, "Reshape", [
      dq,
      b.int(`${name}.a.shape`, dims.map(() => 0).concat(WIDTH)),
    ]);
  if (spec.carrier === "Transpose" && dims.length === 2)
    return b.op(`${name}.a.turn`, "Transpose", [dq], { perm: [1, 0, 2] });
  return dq;
}

function weight(b: Builder, name: string, a: Value, spec: ProductSpec, transB: boolean): Value {
  if (spec.weight === "activation") {
    // Another activation, quantized alike: [WIDTH, WIDTH].
    const other = b.input(`${name}.other`, [WIDTH, WIDTH]);
    const parameters = [b.float(`${name}.b.scale`, 0.03), code(b, `${name}.b.zero`, "uint8", 100)];
    const q = b.op(`${name}.b.q`, "QuantizeLinear", [other, ...parameters]);
    return b.op(`${name}.b.dq`, "DequantizeLinear", [q, ...parameters]);
  }
  void a;
  const values = noise(WIDTH * WIDTH, name.length + 11);
  const turned = spec.turned !== "no";
  const perm = { perm: [1, 0] };
  if (spec.weight === "float") {
    const w = b.float(`${name}.w`, [...values], [WIDTH, WIDTH]);
    return turned ? b.op(`${name}.w.turn`, "Transpose", [w], perm) : w;
  }
  const dtype = spec.weight === "float+q" ? "int8" : spec.weight;
  // The channel of the output: axis 1 of [K, N], axis 0 where the product or a Transpose turns it.
  const perTensor = spec.granularity === "tensor";
  const axis = spec.granularity === "axis0" ? 0 : 1;
  void transB;
  const scale = perTensor
    ? b.float(`${name}.w.scale`, 0.01)
    : b.float(
        `${name}.w.scale`,
        [...noise(WIDTH, 9)].map((v) => 0.01 + Math.abs(v) / 100),
      );
  const zero = perTensor
    ? code(b, `${name}.w.zero`, dtype, 0)
    : codeVector(b, `${name}.w.zero`, dtype);
  const attributes = perTensor ? {} : { axis };
  let codes: Value;
  if (spec.weight === "float+q") {
    const w = b.float(`${name}.w`, [...values], [WIDTH, WIDTH]);
    codes = b.op(`${name}.w.q`, "QuantizeLinear", [w, scale, zero], attributes);
  } else {
    const kind = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array }[dtype as "int8"];
    const data = kind.from(values, (v) => Math.round(v * 60) + (dtype === "uint8" ? 64 : 0));
    codes = b.graph.addInitializer(`${name}.w_quantized`, tensorOf(dtype, [WIDTH, WIDTH], data));
  }
  if (spec.turned === "before") codes = b.op(`${name}.w.turn`, "Transpose", [codes], perm);
  const dq = b.op(`${name}.w.dq`, "DequantizeLinear", [codes, scale, zero], attributes);
  return spec.turned === "behind" ? b.op(`${name}.w.turn`, "Transpose", [dq], perm) : dq;
}

function int32Bias(b: Builder, name: string): Value {
  const codes = tensorOf(
    "int32",
    [WIDTH],
    Int32Array.from({ length: WIDTH }, (_, j) => j * 9),
  );
  return b.op(`${name}.bias.dq`, "DequantizeLinear", [
    b.graph.addInitializer(`${name}.bias_quantized`, codes),
    b.float(`${name}.bias.scale`, 0.0002),
  ]);
}

function biased(b: Builder, name: string, y: Value, { bias }: ProductSpec): Value {
  const values = [...noise(WIDTH, 3)];
  const dims = { "add-matrix": [1, WIDTH], "add-wide": [1, 1, WIDTH] }[bias as "add-wide"] ?? [
    WIDTH,
  ];
  switch (bias) {
    case "none":
    case "float":
    case "int32":
      return y;
    case "add-int32":
      return b.op(`${name}.add`, "Add", [y, int32Bias(b, name)]);
    case "add-left":
      return b.op(`${name}.add`, "Add", [b.float(`${name}.bias`, values), y]);
    case "sum":
      return b.op(`${name}.add`, "Sum", [y, b.float(`${name}.bias`, values)]);
    case "add":
    case "add-matrix":
    case "add-wide":
      return b.op(`${name}.add`, "Add", [y, b.float(`${name}.bias`, values, dims)]);
  }
}

function behind(
  b: Builder,
  name: string,
  y: Value,
  spec: ProductSpec,
  dims: readonly (number | string)[],
): Value {
  switch (spec.behind) {
    case "none":
      return y;
    case "Relu":
      return b.op(`${name}.relu`, "Relu", [y]);
    case "Clip":
      return b.op(`${name}.clip`, "Clip", [
        y,
        b.float(`${name}.low`, 0),
        b.float(`${name}.high`, 6),
      ]);
    case "Max":
      return b.op(`${name}.max`, "Max", [y, b.float(`${name}.low`, 0)]);
    case "Reshape": {
      const wide = spec.bias === "add-wide" && dims.length === 1;
      const shape = wide ? [0, 0, 0] : dims.map(() => 0).concat(WIDTH);
      return b.op(`${name}.reshape`, "Reshape", [y, b.int(`${name}.shape`, shape)]);
    }
  }
}

function requantized(b: Builder, name: string, y: Value, form: ProductSpec["quantized"]): Value {
  const dtype = form.startsWith("int8") ? "int8" : "uint8";
  const zero = form.endsWith("-low") ? (dtype === "int8" ? -128 : 0) : 5;
  const parameters = [b.float(`${name}.y.scale`, 0.02), code(b, `${name}.y.zero`, dtype, zero)];
  const q = b.op(`${name}.y.q`, "QuantizeLinear", [y, ...parameters]);
  return b.op(`${name}.y.dq`, "DequantizeLinear", [q, ...parameters]);
}

function code(b: Builder, name: string, dtype: string, value: number): Value {
  const kind = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array }[
    dtype as "int8"
  ];
  return b.graph.addInitializer(name, tensorOf(dtype as DType, [], kind.of(value)));
}

function codeVector(b: Builder, name: string, dtype: string): Value {
  const kind = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array }[dtype as "int8"];
  return b.graph.addInitializer(name, tensorOf(dtype as DType, [WIDTH], new kind(WIDTH)));
}

// Integer arithmetic with scales, in the default domain; contrib.ts has what runtimes add to it.
import { dtypeOfCode } from "../onnx/dtypes.js";
import { convolution } from "./convolution.js";
import { likeInput, type Fact, type InferContext, type InferRule, type OpTable } from "./facts.js";
import { dequantizeLinear, quantizeLinear } from "./kernels/quantization.js";
import { matMul } from "./linear.js";

/** The type of input `index`, or `missing` where that is left out. */
export const typeOfInput =
  (index: number, missing?: Fact["dtype"]) =>
  ({ inputs }: InferContext): Fact["dtype"] => {
    const input = inputs[index];
    return input === undefined ? missing : input.dtype;
  };

export const inferQuantize: InferRule = (c) => {
  const [x, , zero] = c.inputs;
  const asked = dtypeOfCode(c.node.int("output_dtype", 0));
  return [{ dtype: zero === undefined ? (asked ?? "uint8") : zero.dtype, shape: x?.shape }];
};

export const inferDequantize: InferRule = (c) => {
  const [x, scale] = c.inputs;
  return [{ dtype: dtypeOfCode(c.node.int("output_dtype", 0)) ?? scale?.dtype, shape: x?.shape }];
};

const inferDynamicQuantize: InferRule = ({ inputs: [x] }) => [
  { dtype: "uint8", shape: x?.shape },
  { dtype: "float32", shape: [] },
  { dtype: "uint8", shape: [] },
];

const int32 = () => "int32" as const;

export const QUANTIZATION: OpTable = {
  QuantizeLinear: { infer: inferQuantize, evaluate: quantizeLinear },
  DequantizeLinear: { infer: inferDequantize, evaluate: dequantizeLinear },
  DynamicQuantizeLinear: { infer: inferDynamicQuantize },
  MatMulInteger: { infer: matMul(0, 1, int32) },
  QLinearMatMul: { infer: matMul(0, 3, typeOfInput(7)) },
  ConvInteger: { infer: convolution(0, 1, int32) },
  QLinearConv: { infer: convolution(0, 3, typeOfInput(7)) },
  // Of training graphs; no runtime has it.
  "octavo.FakeQuantize": { infer: likeInput() },
};

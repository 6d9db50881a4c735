// Whether this CPU's own sums of 8-bit products saturate: x86-64 without VNNI adds two products in 16 bits.
import { exportModel } from "../graph/export.js";
import { Graph } from "../graph/graph.js";
import { tensorOf } from "../onnx/tensor.js";
import { encodeModel } from "../onnx/writer.js";
import type { Runtime } from "./runtime.js";

const OPSET = 13;
const IR_VERSION = 7;
/** More than the registers of any CPU hold, so that the kernels for many products are the ones that run. */
const LENGTH = 64;
/** The largest codes of an activation and of a weight. */
const [UINT8, INT8] = [255, 127];

const answers = new WeakMap<Runtime, Promise<boolean>>();

/** Asks each runtime once in a process. Throws RuntimeFailedError. */
export function saturates(runtime: Runtime): Promise<boolean> {
  const answer = answers.get(runtime) ?? probed(runtime);
  answers.set(runtime, answer);
  return answer;
}

async function probed(runtime: Runtime): Promise<boolean> {
  const session = await runtime.load(productModel(), { threads: 1, integerSums: "native" });
  try {
    const data = new Uint8Array(LENGTH).fill(UINT8);
    const { y } = await session.run({ a: { dtype: "uint8", dims: [1, LENGTH], data } });
    return Number(y?.data[0]) !== LENGTH * UINT8 * INT8;
  } finally {
    await session.release();
  }
}

/** y = a · b, with b all of the largest code. */
function productModel(): Uint8Array {
  const graph = new Graph();
  const a = graph.addInput("a", { dtype: "uint8", shape: [1, LENGTH] });
  const codes = new Int8Array(LENGTH).fill(INT8);
  const b = graph.addInitializer("b", tensorOf("int8", [LENGTH, 1], codes));
  const y = graph.addNode({ op: "MatMulInteger", inputs: [a, b], outputs: ["y"] }).output();
  y.dtype = "int32";
  y.shape = [1, 1];
  graph.addOutput(y);
  return encodeModel(
    exportModel({
      graph,
      opsets: new Map([["", OPSET]]),
      irVersion: IR_VERSION,
      functions: [],
      rest: {},
    }),
  );
}

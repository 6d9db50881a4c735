// Integer kernels of a quantized model: those that onnxruntime's optimizer leaves, and those that Octavo's lint tells.
import { importModel } from "../src/graph/import.js";
import type { ExternalData } from "../src/onnx/external.js";
import { decodeModel } from "../src/onnx/reader.js";
import { lintModel } from "../src/plan/lint-model.js";
import { lintCpu } from "../src/targets/lint-cpu.js";
import { openSession, optimizedByOrt } from "./run.js";

/** Operators that compute with codes. */
const KERNELS: ReadonlySet<string> = new Set([
  "MatMulIntegerToFloat",
  "MatMulInteger",
  "DynamicQuantizeMatMul",
  "QLinearMatMul",
  "QGemm",
  "QLinearConv",
  "ConvInteger",
  "QAttention",
  "MatMulNBits",
]);

export async function integerKernels(model: Uint8Array | string): Promise<string[]> {
  const { graph } = importModel(decodeModel(await optimizedByOrt(model)));
  return [...graph.allNodes()]
    .map(({ opType }) => opType)
    .filter((op) => KERNELS.has(op))
    .toSorted();
}

export function lintedKernels(bytes: Uint8Array, external?: ExternalData): string[] {
  const findings = lintModel(importModel(decodeModel(bytes), external), lintCpu);
  return findings
    .map(({ kernel = "" }) => kernel)
    .filter((kernel) => KERNELS.has(kernel))
    .toSorted();
}

/** One name for what was made of MatMulInteger and what stands behind it. */
export function asOne(kernels: readonly string[]): string[] {
  const same = new Set(["MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"]);
  return kernels.map((kernel) => (same.has(kernel) ? "MatMulInteger" : kernel)).toSorted();
}

export async function loads(model: Uint8Array | string): Promise<boolean> {
  try {
    await (await openSession(model)).release();
    return true;
  } catch {
    return false;
  }
}

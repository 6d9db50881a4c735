// A product on its way through onnxruntime's rules.
import type { Node, Value } from "../graph/graph.js";
import type { After } from "./lint-edges.js";
import type { Dequantized } from "./lint.js";

export interface Product {
  readonly node: Node;
  /** What it is when fusing begins: a MatMul and an Add may have become a Gemm. */
  readonly op: "MatMul" | "Gemm" | "Conv";
  readonly operands: readonly Operand[];
  readonly output: Value;
  readonly after: After;
  /** Gemm only: factor of the bias. */
  readonly beta: number;
}

export interface Operand {
  readonly value: Value;
  readonly dq: Dequantized | undefined;
  /** Of its codes, when fusing begins. */
  readonly type: string | undefined;
}

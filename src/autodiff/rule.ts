// What a row of the gradient table is: the way back through one operator, written with operators that inference builds have.
import type { Node, Value } from "../graph/graph.js";
import type { Backward } from "./backward.js";

export interface GradientRule {
  /**
   * Gradients by input of `node` from those of its outputs (undefined: none reaches it), each of its input's shape. Undefined for inputs that
   * have none or where `b.wants(input)` is false.
   */
  gradient(
    node: Node,
    upstream: readonly (Value | undefined)[],
    b: Backward,
  ): readonly (Value | undefined)[];
}

/** Keyed as rules name operators: `MatMul`, `com.microsoft.Gelu`. */
export type GradientTable = Readonly<Record<string, GradientRule>>;

// Constant evaluation of one node.
import type { Node } from "../graph/graph.js";
import type { Tensor } from "../onnx/tensor.js";
import { isDeterministic, rowOf } from "./table.js";

/** Elements that an output may have where the caller sets no limit. */
const LIMIT = 2 ** 24;

/**
 * The outputs of a node for constant inputs (undefined: an optional input that is left out), equal to what onnxruntime computes. Undefined
 * where the operator has no such rule, the result is not defined (a division by zero), or an output would have more than `limit` elements.
 * Reads the inputs' data, so it throws what reading throws (TensorDataError, ExternalDataError).
 */
export function evaluate(
  node: Node,
  inputs: readonly (Tensor | undefined)[],
  options: { readonly limit?: number } = {},
): Tensor[] | undefined {
  const rule = rowOf(node)?.evaluate;
  if (rule === undefined || !isDeterministic(node)) return undefined;
  const outputs = rule({ node, inputs, limit: options.limit ?? LIMIT });
  return outputs === undefined ? undefined : [...outputs];
}

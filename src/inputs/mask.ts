// The input that tells how rows are padded.
import type { Graph, Value } from "../graph/graph.js";

/** The first input [batch, length] that is no float: the attention mask, or ids, which have its shape. Undefined where there is none. */
export function maskInput({ inputs }: Graph): Value | undefined {
  return inputs.find(({ rank, dtype }) => rank === 2 && dtype !== "float32");
}

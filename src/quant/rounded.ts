// Weights whose codes were chosen by more than their own values, ready to be written as they are.
import type { Value } from "../graph/graph.js";

export interface RoundedWeight {
  /** [K, N]. */
  readonly codes: Int8Array;
  /** [N]. */
  readonly scales: Float32Array;
}

/** By the weight's initializer. */
export type RoundedWeights = ReadonlyMap<Value, RoundedWeight>;

// Samples for every operator that has a gradient.
import { ACTIVATION_SAMPLES } from "./gradient-samples-activations.js";
import { ARITHMETIC_SAMPLES } from "./gradient-samples-arithmetic.js";
import { ATTENTION_SAMPLES } from "./gradient-samples-attention.js";
import { LAYER_SAMPLES } from "./gradient-samples-layers.js";
import { MOVEMENT_SAMPLES } from "./gradient-samples-movement.js";
import type { Samples } from "./gradient-samples.js";

export const SAMPLES: Readonly<Record<string, Samples>> = {
  ...ARITHMETIC_SAMPLES,
  ...ACTIVATION_SAMPLES,
  ...LAYER_SAMPLES,
  ...ATTENTION_SAMPLES,
  ...MOVEMENT_SAMPLES,
};

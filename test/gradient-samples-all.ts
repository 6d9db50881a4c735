// Samples for every operator that has a gradient.
import { ARITHMETIC_SAMPLES } from "./gradient-samples-arithmetic.js";
import type { Samples } from "./gradient-samples.js";
import { MOVEMENT_SAMPLES } from "./gradient-samples-movement.js";

export const SAMPLES: Readonly<Record<string, Samples>> = {
  ...ARITHMETIC_SAMPLES,
  ...MOVEMENT_SAMPLES,
};

// The gradient of every operator that has one, one row each, keyed as rules name them: `MatMul`, `com.microsoft.Gelu`.
import { ACTIVATIONS } from "./activations.js";
import { ARITHMETIC } from "./arithmetic.js";
import { ATTENTION } from "./attention.js";
import { CONVOLUTIONS } from "./convolution.js";
import { GATHERS } from "./gather.js";
import { JOINS } from "./joins.js";
import { NORMALIZATION } from "./normalization.js";
import { PRODUCTS } from "./products.js";
import { REDUCTIONS } from "./reductions.js";
import type { GradientTable } from "./rule.js";
import { SHAPES } from "./shapes.js";
import { SLICES } from "./slices.js";
import { SOFTMAX } from "./softmax.js";

/** A missing row is an operator that no gradient passes. */
export const GRADIENTS: GradientTable = {
  ...ARITHMETIC,
  ...ACTIVATIONS,
  ...REDUCTIONS,
  ...SOFTMAX,
  ...NORMALIZATION,
  ...PRODUCTS,
  ...CONVOLUTIONS,
  ...ATTENTION,
  ...SHAPES,
  ...JOINS,
  ...SLICES,
  ...GATHERS,
};

// The gradient of every operator that has one, one row each, keyed as rules name them: `MatMul`, `com.microsoft.Gelu`.
import { ARITHMETIC } from "./arithmetic.js";
import { GATHERS } from "./gather.js";
import { JOINS } from "./joins.js";
import { PRODUCTS } from "./products.js";
import type { GradientTable } from "./rule.js";
import { SHAPES } from "./shapes.js";
import { SLICES } from "./slices.js";

/** A missing row is an operator that no gradient passes. */
export const GRADIENTS: GradientTable = {
  ...ARITHMETIC,
  ...PRODUCTS,
  ...SHAPES,
  ...JOINS,
  ...SLICES,
  ...GATHERS,
};

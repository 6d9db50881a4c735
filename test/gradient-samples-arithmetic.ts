// Samples for the gradients of arithmetic, reductions and products.
import fc from "fast-check";
import { broadcast, floatsIn, type Samples } from "./gradient-samples.js";

const APART = { low: 0.5, high: 1.5, signed: true };

const binary: Samples = broadcast().chain(([a, b]) =>
  fc.tuple(floatsIn(a, APART), floatsIn(b, APART)).map((inputs) => ({ inputs })),
);

/** Matrices with batch axes that broadcast, or vectors. */
const matMul: Samples = fc
  .tuple(broadcast(2), fc.tuple(...[1, 2, 3].map(() => fc.integer({ min: 1, max: 4 }))), fc.nat(5))
  .chain(([[left, right], [m = 1, k = 1, n = 1], form]) => {
    const a = form === 0 ? [k] : [...left, m, k];
    const b = form === 1 ? [k] : [...right, k, n];
    return fc.tuple(floatsIn(a), floatsIn(b)).map((inputs) => ({ inputs }));
  });

export const ARITHMETIC_SAMPLES: Readonly<Record<string, Samples>> = {
  Add: binary,
  Mul: binary,
  MatMul: matMul,
};

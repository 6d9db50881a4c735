// Whether this CPU's own sums of 8-bit products saturate, and what tests do about it: they are independent of it, or say that they are skipped.
import type { TestContext } from "vitest";
import { saturates as probe } from "../src/runtime/integer-sums.js";
import { ortNode } from "../src/runtime/ort-node.js";

/** On x86-64 CPUs without VNNI. */
export const saturates = await probe(ortNode);

/**
 * Skips a test, and says why, where onnxruntime cannot make sums exact: of two operands that are both computed, or with its optimizations off.
 * In a `beforeEach` it holds for all tests of a block.
 */
export function needsExactSums({ skip }: TestContext): void {
  skip(saturates, "needs a CPU whose sums of 8-bit products are exact (x86-64 with VNNI, ARM)");
}

const SATURATED = /^On this CPU \(x86-64 without VNNI\) sums of 8-bit products saturate: /;

/** What is said on every CPU. */
export function withoutSaturation(warnings: readonly string[]): string[] {
  return warnings.filter((warning) => !(saturates && SATURATED.test(warning)));
}

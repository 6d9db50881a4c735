// Which constants are read as matrices, and how they lie in memory.
import { expect, test } from "vitest";
import { buildModel, floats, type Builder } from "../../test/build.js";
import type { Value } from "../graph/graph.js";
import { inferTypes } from "../ops/infer.js";
import { matrixOf } from "./weight-view.js";

/** "[rows, cols]" of what is read, with "ᵀ" where it is stored the other way round. */
function viewOf(build: (b: Builder) => Value): string | undefined {
  let value: Value | undefined;
  const model = buildModel((b) => {
    value = build(b);
    b.output(b.op("y", "MatMul", [b.input("x", [1]), value]));
  });
  inferTypes(model);
  const view = value && matrixOf(value);
  return view && `[${view.rows}, ${view.cols}]${view.transposed ? "ᵀ" : ""}`;
}

const weight = (b: Builder, dims: readonly number[]): Value =>
  b.graph.addInitializer("w", floats([...dims]));
const turned = (b: Builder, w: Value, perm?: readonly number[]): Value =>
  b.op("turned", "Transpose", [w], perm === undefined ? {} : { perm: [...perm] });
const shaped = (b: Builder, w: Value, dims: readonly number[]): Value =>
  b.op("shaped", "Reshape", [w, b.int("shape", dims)]);

test.each<[string, string, (b: Builder) => Value]>([
  ["itself", "[4, 8]", (b) => weight(b, [4, 8])],
  ["behind leading axes of 1", "[4, 8]", (b) => weight(b, [1, 1, 4, 8])],
  ["turned", "[4, 8]ᵀ", (b) => turned(b, weight(b, [8, 4]), [1, 0])],
  ["turned by a Transpose that names no order", "[4, 8]ᵀ", (b) => turned(b, weight(b, [8, 4]))],
  [
    "turned twice",
    "[4, 8]",
    (b) => turned(b, b.op("once", "Transpose", [weight(b, [4, 8])]), [1, 0]),
  ],
  ["in its own order", "[4, 8]", (b) => turned(b, weight(b, [4, 8]), [0, 1])],
  ["turned behind an axis of 1", "[4, 8]ᵀ", (b) => turned(b, weight(b, [1, 8, 4]), [0, 2, 1])],
  ["folded from a vector", "[4, 8]", (b) => shaped(b, weight(b, [32]), [4, 8])],
  [
    "turned, and an axis of 1 in front",
    "[4, 8]ᵀ",
    (b) => shaped(b, turned(b, weight(b, [8, 4])), [1, 4, 8]),
  ],
  ["of float16", "[4, 8]", (b) => b.op("half", "Cast", [weight(b, [4, 8])], { to: 10 })],
  ["flattened", "[4, 8]", (b) => b.op("flat", "Flatten", [weight(b, [4, 2, 4])])],
])("a weight %s is %s", (_, view, build) => expect(viewOf(build)).toBe(view));

test.each<[string, (b: Builder) => Value]>([
  ["a vector", (b) => weight(b, [8])],
  ["a stack of matrices", (b) => weight(b, [2, 4, 8])],
  ["turned and folded anew", (b) => shaped(b, turned(b, weight(b, [8, 4])), [8, 4])],
  ["a stack whose axes are mixed", (b) => turned(b, weight(b, [2, 4, 8]), [1, 0, 2])],
  [
    "a matrix whose axes change places with one of 1",
    (b) => turned(b, weight(b, [1, 4, 8]), [1, 0, 2]),
  ],
  ["whole numbers", (b) => b.int("w", [1, 2, 3, 4], [2, 2])],
  ["made whole", (b) => b.op("whole", "Cast", [weight(b, [4, 8])], { to: 7 })],
  ["computed", (b) => b.op("negative", "Neg", [weight(b, [4, 8])])],
  ["an input", (b) => b.input("w", [4, 8])],
  ["an input behind a Transpose", (b) => turned(b, b.input("w", [4, 8]))],
  [
    "folded into sizes that are not known",
    (b) => b.op("s", "Reshape", [weight(b, [32]), b.input("sizes", [2], "int64")]),
  ],
  [
    "an input with a default, which the caller may replace",
    (b) => {
      const w = b.input("w", [4, 8]);
      w.tensor = floats([4, 8]);
      return w;
    },
  ],
])("no matrix: %s", (_, build) => expect(viewOf(build)).toBeUndefined());

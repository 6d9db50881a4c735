import { expect, test } from "vitest";
import { buildModel, noise, type Builder } from "../../test/build.js";
import type { Value } from "../graph/graph.js";
import { inferTypes } from "../ops/infer.js";
import { findSites } from "./sites.js";

function residuals(build: (b: Builder) => void): string[] {
  const model = buildModel(build);
  inferTypes(model);
  return findSites(model).flatMap((site) =>
    site.kind === "residual" ? [`${site.name}: ${site.skip.name} around ${site.branch.name}`] : [],
  );
}

const layer = (b: Builder, name: string, x: Value, cols = 4): Value =>
  b.op(`${name}_out`, "Add", [
    b.op(`${name}_product`, "MatMul", [
      x,
      b.float(`${name}.weight`, [...noise(4 * cols)], [4, cols]),
    ]),
    b.float(`${name}.bias`, [...noise(cols)]),
  ]);
const norm = (b: Builder, name: string, x: Value): Value =>
  b.op(name, "LayerNormalization", [x, b.float(`${name}.weight`, [1, 1, 1, 1])]);

test("in front of a normalization, in either order, by Add or Sum", () => {
  for (const op of ["Add", "Sum"]) {
    const build = (turned: boolean) => (b: Builder) => {
      const x = norm(b, "first", b.input("x", ["batch", 4]));
      const branch = layer(b, "dense", x);
      b.output(norm(b, "last", b.op("sum", op, turned ? [x, branch] : [branch, x])));
    };
    for (const turned of [false, true])
      expect(residuals(build(turned))).toEqual(["dense.residual: first around dense_out"]);
  }
});

test("normalized beforehand: the stream goes on beside the next block", () =>
  expect(
    residuals((b) => {
      const x = b.input("x", ["batch", 4]);
      const one = b.op("one", "Add", [x, layer(b, "attention", norm(b, "n1", x))]);
      const two = b.op("two", "Add", [layer(b, "output", norm(b, "n2", one)), one]);
      b.output(norm(b, "n3", two));
    }),
  ).toEqual([
    "attention.residual: x around attention_out",
    "output.residual: one around output_out",
  ]));

test("a skip that is a layer's result too: the block's is the one that nothing else reads", () =>
  expect(
    residuals((b) => {
      const mapped = layer(b, "mapping", b.input("x", ["batch", 4]));
      b.output(norm(b, "n", b.op("sum", "Add", [mapped, layer(b, "dense", mapped)])));
    }),
  ).toEqual(["dense.residual: mapping_out around dense_out"]));

test("through casts, reshapes and a share computed apart", () =>
  expect(
    residuals((b) => {
      const x = norm(b, "first", b.input("x", ["batch", 4]));
      const parts = b.op("parts", "Add", [layer(b, "main", x), layer(b, "apart", x)]);
      const turned = b.op("turned", "Reshape", [parts, b.int("shape", [-1, 4])]);
      b.output(norm(b, "n", b.op("sum", "Add", [x, turned])));
    }),
  ).toEqual(["main.residual: first around turned"]));

test("not: biases, masks, sums of lookups, sums of two layers, what is read once and not normalized", () => {
  const none = (build: (b: Builder) => void) => expect(residuals(build)).toEqual([]);
  none((b) => b.output(norm(b, "n", layer(b, "dense", b.input("x", ["batch", 4])))));
  none((b) =>
    b.output(norm(b, "n", b.op("s", "Add", [b.input("x", ["b", 4]), b.input("y", ["b", 4])]))),
  );
  none((b) => {
    const x = b.input("x", ["batch", 4]);
    b.output(norm(b, "n", b.op("s", "Add", [layer(b, "a", x), layer(b, "c", x)])));
  });
  none((b) => {
    const x = b.input("x", ["batch", 4]);
    b.output(b.op("y", "Relu", [b.op("s", "Add", [x, layer(b, "a", x)])]));
  });
  // One element per row is broadcast.
  none((b) => {
    const [x, y] = [b.input("x", ["batch", 4]), b.input("y", ["batch", 1])];
    b.output(norm(b, "n", b.op("s", "Add", [y, layer(b, "a", x)])));
  });
});

test.each<[string, (b: Builder, x: Value) => Value]>([
  ["of three", (b, x) => b.op("s", "Sum", [x, layer(b, "a", x), b.input("z", ["batch", 4])])],
  [
    "with a constant",
    (b, x) => b.op("s", "Add", [layer(b, "a", x), b.float("c", [...noise(12)], [3, 4])]),
  ],
  [
    "of a layer with itself",
    (b, x) => {
      const a = layer(b, "a", x);
      return b.op("s", "Add", [a, a]);
    },
  ],
  [
    "with a layer whose result is read elsewhere",
    (b, x) => {
      const a = layer(b, "a", x);
      b.output(b.op("elsewhere", "Neg", [a]));
      return b.op("s", "Add", [x, a]);
    },
  ],
  [
    "with a layer's result that was bent",
    (b, x) => b.op("s", "Add", [x, b.op("bent", "Tanh", [layer(b, "a", x)])]),
  ],
  [
    "with a layer and something that is no layer",
    (b, x) =>
      b.op("s", "Add", [x, b.op("parts", "Add", [layer(b, "a", x), b.input("z", ["batch", 4])])]),
  ],
  [
    "with an axis more",
    (b, x) => b.op("s", "Add", [b.input("z", [1, "batch", 4]), layer(b, "a", x)]),
  ],
  [
    "with a layer that no input reaches",
    (b, x) => b.op("s", "Add", [x, layer(b, "a", b.float("table", [...noise(4)], [1, 4]))]),
  ],
])("not: a sum %s", (_, sum) => {
  expect(residuals((b) => b.output(norm(b, "n", sum(b, b.input("x", ["batch", 4])))))).toEqual([]);
});

test("not: a sum that a normalization takes as its bias", () => {
  expect(
    residuals((b) => {
      const x = b.input("x", [4]);
      const s = b.op("s", "Add", [
        x,
        b.op("a", "Reshape", [layer(b, "d", b.input("z", [1, 4])), b.int("flat", [4])]),
      ]);
      const scale = b.float("scale", [1, 1, 1, 1]);
      b.output(b.op("n", "LayerNormalization", [b.input("y", ["batch", 4]), scale, s]));
    }),
  ).toEqual([]);
});

test("two sums around one shared weight are told apart; a root mean square normalizes, too", () => {
  expect(
    residuals((b) => {
      const x = b.input("x", ["batch", 4]);
      const w = b.float("shared.weight", [...noise(16)], [4, 4]);
      const scale = b.float("scale", [1, 1, 1, 1]);
      let at = x;
      for (const name of ["one", "two"]) {
        const product = b.op(`${name}_p`, "MatMul", [at, w]);
        const sum = b.op(`${name}_s`, "Add", [at, product]);
        at = b.op(name, "SimplifiedLayerNormalization", [sum, scale]);
      }
      b.output(at);
    }),
  ).toEqual(["shared.residual: x around one_p", "shared#2.residual: one around two_p"]);
});

test("names of other sites are what they are without residuals", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 4]);
    const one = b.op("val_1", "Add", [x, layer(b, "dense", norm(b, "n1", x))]);
    const turned = b.op("val_2", "Transpose", [one], { perm: [1, 0] });
    b.output(b.op("val_3", "MatMul", [norm(b, "n2", one), turned]));
  });
  inferTypes(model);
  expect(findSites(model).map(({ name }) => name)).toEqual(["dense", "dense.residual", "matmul.1"]);
});

// Which product of one graph is which of another: by name, else by the value that it hands on, else by order.
import { expect, test } from "vitest";
import type { Value } from "../graph/graph.js";
import { matchProducts, type Product } from "./match-products.js";

const product = (name: string, value: string, shape = [8, 4], kind = "linear"): Product => ({
  name,
  kind,
  shape,
  value: { name: value } as Value,
});

function matched(reference: readonly Product[], candidate: readonly Product[]) {
  const { pairs, unmatched } = matchProducts(reference, candidate);
  return {
    pairs: pairs.map((pair) => [pair.reference.name, pair.candidate.name, pair.matched]),
    unmatched: unmatched.map(({ name }) => name),
  };
}

test("names come first, then values, then the order among those of one kind and shape", () => {
  const reference = [
    product("a", "v1"),
    product("b", "v2"),
    product("c", "v3"),
    product("d", "v4"),
  ];
  const candidate = [
    product("x", "w1"),
    product("y", "w2"),
    product("z", "v2"),
    product("a", "v3"),
  ];
  expect(matched(reference, candidate)).toEqual({
    pairs: [
      ["a", "a", "name"],
      ["b", "z", "value"],
      ["c", "x", "order"],
      ["d", "y", "order"],
    ],
    unmatched: [],
  });
});

test("order tells nothing where some are missing, or where kind or shape differ", () => {
  const reference = [product("a", "v1"), product("b", "v2"), product("c", "v3", [4, 8])];
  const candidate = [product("x", "w1"), product("y", "w2", [8, 4], "embedding")];
  expect(matched(reference, candidate)).toEqual({ pairs: [], unmatched: ["a", "b", "c"] });
  expect(matched([product("a", "v")], [product("a", "w", [8, 4], "embedding")]).pairs).toEqual([]);
});

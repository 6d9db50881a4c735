import { describe, expect, test } from "vitest";
import { buildModel, noise, type Builder } from "../../test/build.js";
import type { Value } from "../graph/graph.js";
import { inferTypes } from "../ops/infer.js";
import { findSites, type Site } from "./sites.js";

function sitesOf(build: (b: Builder) => void): Site[] {
  const model = buildModel(build);
  inferTypes(model);
  return findSites(model);
}

/** A site in one line. */
function line(site: Site): string {
  switch (site.kind) {
    case "linear": {
      const { rows, cols, transposed, initializer } = site.weight;
      const bias = site.bias === undefined ? "" : ` + ${site.bias.name}`;
      const turned = transposed ? "ᵀ" : "";
      return `${site.name}: ${site.activation.name} × ${initializer.name}${turned}[${rows}, ${cols}]${bias} → ${site.output.name}`;
    }
    case "embedding":
      return `${site.name}: ${site.table.initializer.name}[${site.table.rows}, ${site.table.cols}] at ${site.indices.name}`;
    case "attention":
      return `${site.name}: ${site.left.name} × ${site.right.name}`;
    case "residual":
      return `${site.name}: ${site.skip.name} + ${site.branch.name}`;
    case "convolution":
      return `${site.name}: ${site.activation.name} * ${site.weight.name}`;
    case "opaque":
      return `${site.name}: ${site.reason}`;
  }
}

const lines = (build: (b: Builder) => void) => sitesOf(build).map(line);
const matrix = (b: Builder, name: string, rows: number, cols: number) =>
  b.float(name, [...noise(rows * cols)], [rows, cols]);

describe("sites are found by structure", () => {
  test("a layer with its bias, on either side of the Add", () => {
    expect(
      lines((b) => {
        const x = b.input("x", ["batch", 4]);
        const up = b.op("up", "MatMul", [x, matrix(b, "m.up.weight", 4, 8)]);
        const biased = b.op("biased", "Add", [b.float("m.up.bias", [...noise(8)]), up]);
        const down = b.op("down", "MatMul", [biased, matrix(b, "m.down.weight", 8, 4)]);
        b.output(b.op("y", "Add", [down, b.float("m.down.bias", [...noise(4)])]));
      }),
    ).toEqual([
      "m.up: x × m.up.weight[4, 8] + m.up.bias → biased",
      "m.down: biased × m.down.weight[8, 4] + m.down.bias → y",
    ]);
  });

  test("a Gemm: transB turns the weight; transA, alpha and beta make it opaque, with the reason", () => {
    expect(
      lines((b) => {
        const x = b.input("x", ["batch", 4]);
        const c = b.float("m.a.bias", [...noise(8)]);
        b.output(
          b.op("a", "Gemm", [x, matrix(b, "m.a.weight", 8, 4), c], { transB: 1 }),
          b.op("b", "Gemm", [x, matrix(b, "m.b.weight", 4, 8)], {
            alpha: { type: "float", value: 0.5 },
          }),
          b.op("c", "Gemm", [b.input("z", [4, 3]), matrix(b, "m.c.weight", 4, 8)], { transA: 1 }),
        );
      }),
    ).toEqual([
      "m.a: x × m.a.weightᵀ[4, 8] + m.a.bias → a",
      "b: alpha or beta is not 1",
      "c: its activation is transposed (transA)",
    ]);
  });

  test("a Gemm whose bias is scaled (beta) is no layer with that bias; without a bias, beta means nothing", () => {
    expect(
      lines((b) => {
        const x = b.input("x", ["batch", 4]);
        const beta = { type: "float", value: 0.5 } as const;
        const w = matrix(b, "m.a.weight", 4, 8);
        b.output(
          b.op("a", "Gemm", [x, w, b.float("m.a.bias", [...noise(8)])], { beta }),
          b.op("b", "Gemm", [x, matrix(b, "m.b.weight", 4, 8)], { beta }),
          b.op("c", "Gemm", [x, w, b.input("bias", [8])]),
          b.op("d", "Gemm", [x, w, b.float("rows", [...noise(3)], [3, 1])]),
          b.op("e", "Gemm", [x, w, b.float("many", [...noise(24)], [3, 8])]),
        );
      }),
    ).toEqual([
      "a: alpha or beta is not 1",
      "m.b: x × m.b.weight[4, 8] → b",
      "c: its third input is no constant bias",
      "d: its third input is no constant bias",
      "e: its third input is no constant bias",
    ]);
  });

  test("a weight behind Transpose, Reshape, Cast and Identity, and none where elements are mixed", () => {
    expect(
      lines((b) => {
        const x = b.input("x", ["batch", 4]);
        const t = b.op("t", "Transpose", [matrix(b, "m.t.weight", 8, 4)], { perm: [1, 0] });
        const flat = b.float("m.r.weight", [...noise(32)]);
        const r = b.op("r", "Reshape", [flat, b.int("shape", [4, 8])]);
        const i = b.op("i", "Identity", [r]);
        const moved = b.op("mixed", "Reshape", [t, b.int("wide", [8, 4])]);
        b.output(b.op("a", "MatMul", [x, t]), b.op("c", "MatMul", [x, i]));
        b.output(b.op("e", "MatMul", [b.input("w", ["batch", 8]), moved]));
      }),
    ).toEqual([
      "m.t: x × m.t.weightᵀ[4, 8] → a",
      "m.r: x × m.r.weight[4, 8] → c",
      expect.stringContaining("w × mixed"),
    ]);
  });

  test("a weight that several layers share gives each its own name", () => {
    expect(
      lines((b) => {
        const w = matrix(b, "albert.layer.weight", 4, 4);
        let x = b.input("x", ["batch", 4]);
        for (const name of ["a", "b", "c"]) x = b.op(name, "MatMul", [x, w]);
        b.output(x);
      }).map((text) => text.split(":")[0]),
    ).toEqual(["albert.layer", "albert.layer#2", "albert.layer#3"]);
  });

  test("a bias that has another use, or is added to something wider, stays where it is", () => {
    const [first, second] = sitesOf((b) => {
      const x = b.input("x", ["batch", 4]);
      const p = b.op("p", "MatMul", [x, matrix(b, "m.p.weight", 4, 8)]);
      const c = b.float("m.p.bias", [...noise(8)]);
      b.output(b.op("y", "Add", [p, c]), b.op("again", "Relu", [p]));
      const q = b.op("q", "MatMul", [x, matrix(b, "m.q.weight", 4, 1)]);
      b.output(b.op("wide", "Add", [q, c]));
    });
    expect(first).toMatchObject({ kind: "linear", bias: undefined });
    expect(second).toMatchObject({ kind: "linear", bias: undefined });
  });

  test("lookups, convolutions and products of two activations", () => {
    expect(
      lines((b) => {
        const ids = b.input("ids", ["batch", "length"], "int64");
        const rows = b.op("rows", "Gather", [matrix(b, "m.words.weight", 50, 4), ids]);
        const scores = b.op("scores", "MatMul", [
          rows,
          b.op("t", "Transpose", [rows], { perm: [0, 2, 1] }),
        ]);
        const kernel = b.float("m.patch.weight", [...noise(48)], [4, 3, 2, 2]);
        b.output(scores, b.op("patch", "Conv", [b.input("image", [1, 3, 8, 8]), kernel]));
      }),
    ).toEqual([
      "m.words: m.words.weight[50, 4] at ids",
      "scores: rows × t",
      "m.patch: image * m.patch.weight",
    ]);
  });

  test("a product of whole numbers, and the columns of a table, are none", () => {
    expect(
      lines((b) => {
        const x = b.input("x", ["batch", 4], "int64");
        const table = matrix(b, "table", 4, 50);
        const column = b.op("column", "Gather", [table, x], { axis: 1 });
        b.output(b.op("y", "MatMul", [x, b.int("w", [1, 2, 3, 4], [4, 1])]), column);
      }),
    ).toEqual([]);
  });

  test("a product that no input reaches is known as such", () => {
    const sites = sitesOf((b) => {
      const p = b.op("p", "MatMul", [matrix(b, "table", 6, 4), matrix(b, "m.weight", 4, 4)]);
      const x = b.input("x", ["batch", 6]);
      b.output(b.op("y", "MatMul", [x, p]));
    });
    expect(sites.map((site) => [site.kind, site.constantInput])).toEqual([
      ["linear", true],
      ["attention", false],
    ]);
  });
});

test("a bias that layers of different weights share, or a norm reads, names none of them: their nodes do", () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 4]);
    const zeros = b.float("encoder.norm.bias", [0, 0, 0, 0]);
    const layer = (name: string, from: Value) => {
      const weight = b.float(
        `val_${name.length}${from.name.length}`,
        Array.from({ length: 16 }, () => 1),
        [4, 4],
      );
      const product = b.graph
        .addNode({ op: "MatMul", name: `/encoder/${name}/MatMul`, inputs: [from, weight] })
        .output();
      return b.op(`${name}.out`, "Add", [product, zeros]);
    };
    b.output(layer("layer.1/value", layer("layer.0/query", x)));
  });
  inferTypes(model);
  expect(findSites(model).map(({ name }) => name)).toEqual([
    "encoder.layer.0.query",
    "encoder.layer.1.value",
  ]);
});

import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, noise, type Builder } from "../../../test/build.js";
import { hasShared, zooGraphs } from "../../../test/shared.js";
import { reference, runModel, snr } from "../../../test/run.js";
import { exportModel } from "../../graph/export.js";
import { importModel } from "../../graph/import.js";
import type { Model } from "../../graph/model.js";
import { print } from "../../graph/print.js";
import { verify } from "../../graph/verify.js";
import { openModelFile } from "../../onnx/files.js";
import { decodeModel } from "../../onnx/reader.js";
import { encodeModel } from "../../onnx/writer.js";
import { inferTypes } from "../../ops/infer.js";
import { prepare } from "../../plan/prepare.js";
import { findSites } from "../../quant/sites.js";
import { cpu } from "../../targets/cpu.js";
import type { ChannelFacts } from "./scales.js";
import { smooth } from "./smooth.js";

/** An activation whose channels differ much in size. */
function uneven(channels: number): ChannelFacts {
  const highest = Float64Array.from({ length: channels }, (_, k) => 2 ** (k % 7));
  return {
    highest,
    lowest: highest.map((v) => -v / 3),
    meanSquares: highest.map((v) => v ** 2 / 9),
  };
}

function smoothed(model: Model): Model {
  const sites = findSites(model);
  const channels = new Map(
    sites.flatMap((site) =>
      site.kind === "linear" ? [[site.activation.name, site.weight.rows] as const] : [],
    ),
  );
  smooth(model, sites, (name) => {
    const width = channels.get(name);
    return width === undefined ? undefined : uneven(width);
  });
  model.graph.sort();
  inferTypes(model);
  verify(model);
  return model;
}

const copyOf = (model: Model) => {
  const copy = importModel(decodeModel(bytesOf(model)));
  inferTypes(copy);
  return copy;
};
const matrix = (b: Builder, name: string, rows: number, cols: number) =>
  b.float(name, [...noise(rows * cols)], [rows, cols]);

describe("smoothing", () => {
  test("divides an activation once for all that read it, and keeps the names of the weights", () => {
    const model = buildModel((b) => {
      const x = b.input("x", ["batch", 8]);
      b.output(
        b.op("q", "MatMul", [x, matrix(b, "query.weight", 8, 4)]),
        b.op("k", "Gemm", [x, matrix(b, "key.weight", 4, 8)], { transB: 1 }),
        b.op("rest", "Neg", [x]),
      );
    });
    expect(print(smoothed(copyOf(model)))).toMatchInlineSnapshot(`
      "opset 18, com.microsoft 1
      graph(x: float32[batch, 8])
        unused query.weight_unsmoothed: float32[8, 4]
        unused key.weight_unsmoothed: float32[4, 8]
        %Mul_out: float32[batch, 8] = Mul(x, [2.5595052, 1.9535022, 1.4185541, 1.0266562, 0.66245437, 0.38832158, 0.21966633, 2.4302347])
        %q: float32[batch, 4] = MatMul(%Mul_out, query.weight: float32[8, 4])
        %k: float32[batch, 4] = Gemm(%Mul_out, key.weight: float32[8, 4])
        %rest: float32[batch, 8] = Neg(x)
        return %q, %k, %rest"
    `);
  });

  test("goes into the LayerNormalization where only products read its output", () => {
    const model = copyOf(
      buildModel((b) => {
        const x = b.input("x", ["batch", 8]);
        const parts = ["norm.weight", "norm.bias"].map((name, i) =>
          b.float(name, [...noise(8, i + 1)]),
        );
        const normed = b.op("normed", "LayerNormalization", [x, ...parts]);
        b.output(b.op("q", "MatMul", [normed, matrix(b, "query.weight", 8, 4)]));
      }),
    );
    expect([...smoothed(model).graph.nodes()].map((node) => node.op)).toEqual([
      "LayerNormalization",
      "MatMul",
    ]);
  });

  test("leaves alone a weight that is looked up too", () => {
    const model = copyOf(
      buildModel((b) => {
        const table = matrix(b, "words.weight", 20, 8);
        const rows = b.op("rows", "Gather", [table, b.input("ids", ["batch"], "int64")]);
        const turned = b.op("turned", "Transpose", [table], { perm: [1, 0] });
        b.output(b.op("logits", "MatMul", [rows, turned]));
      }),
    );
    const before = print(model);
    expect(print(smoothed(model))).toBe(before);
  });

  test("keeps the function of layers that share a weight, and of square and transposed weights", async () => {
    const model = buildModel((b) => {
      const w = matrix(b, "shared.weight", 8, 8);
      let x = b.input("x", ["batch", 8]);
      for (const name of ["a", "b"]) x = b.op(name, "MatMul", [x, w]);
      const turned = b.op("t", "Transpose", [matrix(b, "last.weight", 8, 8)], { perm: [1, 0] });
      b.output(b.op("y", "MatMul", [x, turned]));
    });
    const feeds = { x: floats([5, 8], 3) };
    const changed = smoothed(copyOf(model));
    expect([...changed.graph.nodes()].filter((node) => node.op === "Mul")).toHaveLength(3);
    const [want, got] = [
      await runModel(bytesOf(model), feeds),
      await runModel(bytesOf(changed), feeds),
    ];
    expect(snr(want["y"]!, got["y"]!)).toBeGreaterThan(110);
  });
});

describe.skipIf(!hasShared)("smoothing keeps the function of the zoo's", () => {
  test.each(zooGraphs())("$name", async ({ name, path }) => {
    const file = openModelFile(path);
    try {
      const model = importModel(decodeModel(file.source), file.external);
      prepare(model, cpu);
      const nodes = [...model.graph.nodes()].length;
      smoothed(model);
      expect([...model.graph.nodes()].length).toBeGreaterThan(nodes);
      for (const { inputs } of reference(name).cases) {
        const want = await runModel(path, inputs);
        const got = await runModel(encodeModel(exportModel(model)), inputs);
        for (const [output, tensor] of Object.entries(want))
          expect(snr(tensor, got[output]!), output).toBeGreaterThan(90);
      }
    } finally {
      file.close();
    }
  });
});

// Spelled-out layer normalizations become one operator; what only looks like one stays.
import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, type Builder } from "../../test/build.js";
import { runModel, snr } from "../../test/run.js";
import type { Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { verify } from "../graph/verify.js";
import { fuseLayerNorm } from "./layer-norm.js";

const WIDTH = 8;

interface Spelling {
  readonly opset?: number;
  /** Axes of the means. */
  readonly axis?: number;
  readonly square?: "Pow" | "Mul";
  readonly centered?: boolean;
}

function model({ opset = 18, axis = -1, square = "Pow", centered = true }: Spelling = {}): Model {
  const build = (b: Builder): void => {
    const x = b.input("x", ["batch", "length", WIDTH]);
    const axes = b.int("axes", [axis]);
    const mean = (name: string, v: Value) =>
      opset >= 18
        ? b.op(name, "ReduceMean", [v, axes])
        : b.op(name, "ReduceMean", [v], { axes: [axis] });
    const c = centered ? b.op("centered", "Sub", [x, mean("mean", x)]) : x;
    const squared =
      square === "Pow"
        ? b.op("square", "Pow", [c, b.float("two", 2)])
        : b.op("square", "Mul", [c, c]);
    const shifted = b.op("shifted", "Add", [mean("variance", squared), b.float("small", 1e-5)]);
    const normalized = b.op("normalized", "Div", [c, b.op("deviation", "Sqrt", [shifted])]);
    const scale = b.graph.addInput("scale", { dtype: "float32", shape: [WIDTH] });
    const scaled = b.op("scaled", "Mul", [normalized, scale]);
    const bias = b.graph.addInput("bias", { dtype: "float32", shape: [WIDTH] });
    b.output(centered ? b.op("y", "Add", [scaled, bias]) : scaled);
  };
  return buildModel(build, { opset });
}

const ops = ({ graph }: Model): string[] => [...graph.nodes()].map((node) => node.op);

describe("is one operator of the same function", () => {
  test.each<[Spelling, string]>([
    [{}, "LayerNormalization"],
    [{ opset: 17 }, "LayerNormalization"],
    [{ square: "Mul", axis: 2 }, "LayerNormalization"],
    [{ centered: false }, "SimplifiedLayerNormalization"],
  ])("%o", async (spelling, op) => {
    const [plain, fused] = [model(spelling), model(spelling)];
    expect(fuseLayerNorm(fused)).toBe(1);
    verify(fused.graph);
    expect(ops(fused)).toEqual([op]);
    expect(fuseLayerNorm(fused)).toBe(0);
    const feeds = {
      x: floats([2, 3, WIDTH], 5),
      scale: floats([WIDTH], 6),
      bias: floats([WIDTH], 7),
    };
    const name = plain.graph.outputs[0]?.name ?? "";
    const [want, got] = await Promise.all([plain, fused].map((m) => runModel(bytesOf(m), feeds)));
    expect(want?.[name] && got?.[name] && snr(want[name], got[name])).toBeGreaterThan(100);
  });
});

test.each<[string, Spelling]>([
  ["below operator set 17, which does not have it", { opset: 16 }],
  ["over another axis than the last", { axis: 1 }],
])("is left alone %s", (_, spelling) => {
  expect(fuseLayerNorm(model(spelling))).toBe(0);
});

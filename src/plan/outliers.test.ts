import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, noise, type Builder } from "../../test/build.js";
import { decibels, normals, product, quantizedRows, squaredDistance } from "../../test/layer.js";
import { runModel, snr } from "../../test/run.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import type { Value } from "../graph/graph.js";
import { verify } from "../graph/verify.js";
import { decodeModel } from "../onnx/reader.js";
import { floatsOf } from "../onnx/values.js";
import { inferTypes } from "../ops/infer.js";
import { findSites } from "../quant/sites.js";
import { splitOutliers } from "./outliers.js";

const WIDE = 32;

const relu = (b: Builder, x: Value, name: string): Value => b.op(name, "Relu", [x]);

/** A weight whose columns 3 and 20 are far larger than the others. */
function loud(rows: number): number[] {
  return [...noise(rows * WIDE)].map((v, i) =>
    i % WIDE === 3 || i % WIDE === 20 ? v * 30 : v / 8,
  );
}

interface Variant {
  readonly activation?: (b: Builder, x: Value, name: string) => Value;
  readonly layers?: number;
  /** Another reader of the wide tensor. */
  readonly watched?: boolean;
}

const erf = (b: Builder, x: Value, name: string): Value => {
  const scaled = b.op(`${name}.d`, "Div", [x, b.float(`${name}.r`, Math.SQRT2)]);
  const gate = b.op(`${name}.a`, "Add", [
    b.op(`${name}.e`, "Erf", [scaled]),
    b.float(`${name}.1`, 1),
  ]);
  return b.op(`${name}.h`, "Mul", [b.op(`${name}.m`, "Mul", [x, gate]), b.float(`${name}.5`, 0.5)]);
};

function block({ activation = erf, layers = 1, watched = false }: Variant): Model {
  return buildModel((b) => {
    let x = b.input("x", ["batch", "length", 16]);
    const up = b.float("up.weight", loud(16), [16, WIDE]);
    const upBias = b.float("up.bias", [...noise(WIDE, 2)]);
    const down = b.float("down.weight", [...noise(16 * WIDE, 3)], [WIDE, 16]);
    const gamma = b.float(
      "norm.weight",
      [...noise(16, 4)].map((v) => 1 + v / 4),
    );
    const beta = b.float("norm.bias", [...noise(16, 5)]);
    for (let i = 0; i < layers; i++) {
      const normed = b.op(`normed${i}`, "LayerNormalization", [x, gamma, beta]);
      const wide = b.op(`u${i}`, "Add", [b.op(`p${i}`, "MatMul", [normed, up]), upBias]);
      const acted = activation(b, wide, `f${i}`);
      x = b.op(`y${i}`, "Add", [
        b.op(`q${i}`, "MatMul", [acted, down]),
        b.float(`down.bias${i}`, [...noise(16, 6)]),
      ]);
      if (watched) b.output(b.op(`w${i}`, "Neg", [acted]));
    }
    b.output(x);
  });
}

function apart(model: Model): { model: Model; count: number } {
  const copy = importModel(decodeModel(bytesOf(model)));
  inferTypes(copy);
  const count = splitOutliers(copy, findSites(copy));
  copy.graph.sort();
  inferTypes(copy);
  verify(copy);
  return { model: copy, count };
}

describe("outlier channels", () => {
  const forms: Record<string, Variant> = {
    "of GELU, spelled out": {},
    "of an operator Gelu": { activation: (b, x, name) => b.op(name, "com.microsoft.Gelu", [x]) },
    "of ReLU": { activation: (b, x, name) => b.op(name, "Relu", [x]) },
    "of layers that share their weights": { layers: 3 },
  };
  test.each(Object.entries(forms))(
    "%s are computed beside, to the same function",
    async (_, form) => {
      const float = block(form);
      const { model, count } = apart(float);
      expect(count).toBe(2);
      const feeds = { x: floats([2, 5, 16], 9) };
      const [want, got] = [
        await runModel(bytesOf(float), feeds),
        await runModel(bytesOf(model), feeds),
      ];
      for (const [name, tensor] of Object.entries(want))
        expect(snr(tensor, got[name]!)).toBeGreaterThan(100);
      // What goes on through the wide tensor is small now.
      const cleared = [...model.graph.initializers()].find(({ name }) => name === "up.weight");
      const values = new Float32Array(cleared!.tensor!.data.read().slice().buffer);
      expect(Math.max(...values.map(Math.abs))).toBeLessThan(0.2);
    },
  );

  test("leave 15 dB less of the error that 8 bits make of the wide tensor", () => {
    const float = importModel(decodeModel(bytesOf(block({ activation: relu }))));
    inferTypes(float);
    const { model } = apart(float);
    const normed = normals(200, 16, 8);
    /** What 8 bits lose of the wide tensor, from the up-projection as the model has it. */
    const lost = ({ graph }: Model): number => {
      const part = (name: string) => {
        const tensor = graph.value(name)?.tensor;
        if (tensor === undefined) throw new Error(`no ${name}`);
        return floatsOf(tensor);
      };
      const wide = product(normed, part("up.weight"), part("up.bias"));
      const values = Float32Array.from(wide, (v) => Math.max(0, v));
      const acted = { values, rows: normed.rows, cols: WIDE };
      const range = { min: 0, max: Math.max(...values) };
      const spec = { dtype: "uint8", granularity: "per-tensor", range } as const;
      return squaredDistance(values, quantizedRows(acted, spec).values);
    };
    expect(decibels(lost(float), lost(model))).toBeGreaterThan(15);
  });

  const others: Record<string, Variant> = {
    "of a function that is not 0 at 0": { activation: (b, x, name) => b.op(name, "Sigmoid", [x]) },
    "of a tensor that something else reads": { watched: true },
    "of a function across elements": {
      activation: (b, x, name) => b.op(name, "Softmax", [x], { axis: 2 }),
    },
  };
  test.each(Object.entries(others))("%s stay where they are", (_, form) => {
    expect(apart(block(form)).count).toBe(0);
  });
});

// What is trained is told by structure: in exported graphs it is what PyTorch has gradients for.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { buildModel, floats } from "../../test/build.js";
import { zooGraphs } from "../../test/shared.js";
import { readSafetensors } from "../data/safetensors.js";
import { importModel } from "../graph/import.js";
import { decodeModel } from "../onnx/reader.js";
import { inferTypes } from "../ops/infer.js";
import { trainableParameters } from "./parameters.js";

test("weights, biases, norms and tables are; masks, factors, positions and what the loss does not need are not", () => {
  const model = buildModel((b) => {
    const weight = (name: string, dims: readonly number[]) =>
      b.graph.addInitializer(name, floats(dims));
    const ids = b.input("ids", ["batch", "tokens"], "int64");
    const rows = b.op("rows", "Gather", [weight("table", [10, 4]), ids]);
    const scaled = b.op("scaled", "Mul", [rows, b.float("factor", 0.5)]);
    const normed = b.op("normed", "LayerNormalization", [
      scaled,
      weight("gain", [4]),
      weight("shift", [4]),
    ]);
    const turned = b.op("turned", "Transpose", [weight("dense", [6, 4])], { perm: [1, 0] });
    const product = b.op("product", "MatMul", [normed, turned]);
    const biased = b.op("biased", "Add", [product, weight("bias", [6])]);
    const places = b.op("places", "Cast", [b.input("positions", ["tokens", 1], "int64")], {
      to: 1,
    });
    const angles = b.op("angles", "MatMul", [places, weight("frequencies", [1, 6])]);
    const moved = b.op("moved", "Add", [biased, angles]);
    const heads = b.op("heads", "Unsqueeze", [moved, b.int("axis", [0])]);
    const masked = b.op("masked", "Add", [heads, weight("mask", [1, 1, 5, 6])]);
    b.output(masked, b.op("other", "MatMul", [normed, weight("unused", [4, 2])]));
  });
  inferTypes(model);
  const [masked] = model.graph.outputs;
  if (masked === undefined) throw new Error("no output");
  expect(trainableParameters(model.graph, [masked])).toEqual([
    { name: "table", rate: 1, decay: true },
    { name: "gain", rate: 1, decay: false },
    { name: "shift", rate: 1, decay: false },
    { name: "dense", rate: 1, decay: true },
    { name: "bias", rate: 1, decay: false },
  ]);
});

test.each(["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"])(
  "a table that a %s goes over as a whole before rows are looked up in it is trained",
  (op) => {
    const model = buildModel((b) => {
      const table = b.graph.addInitializer("table", floats([10, 4]));
      const gain = b.graph.addInitializer("gain", floats([4]));
      const normed = b.op("normed", op, [table, gain], { axis: -1 });
      const ids = b.input("ids", ["batch", "tokens"], "int64");
      const weight = b.graph.addInitializer("weight", floats([4, 6]));
      const rows = b.op("rows", "Gather", [normed, ids]);
      b.output(b.op("y", "MatMul", [rows, weight]));
    });
    model.opsets.set("", 23);
    inferTypes(model);
    expect(trainableParameters(model.graph, model.graph.outputs).map(({ name }) => name)).toEqual([
      "table",
      "gain",
      "weight",
    ]);
  },
);

test.skipIf(zooGraphs().length === 0)("of each exported graph all that PyTorch trains", () => {
  for (const { name, path } of zooGraphs()) {
    const model = importModel(decodeModel(readFileSync(path)));
    inferTypes(model);
    const found = new Set(trainableParameters(model.graph, model.graph.outputs).map((p) => p.name));
    const { tensors } = readSafetensors(readFileSync(join(dirname(path), "reference.safetensors")));
    const wanted = [...tensors.keys()].flatMap((key) =>
      key.startsWith("grad/") ? [key.slice("grad/".length)] : [],
    );
    expect(wanted.length).toBeGreaterThan(10);
    expect([name, wanted.filter((weight) => !found.has(weight))]).toEqual([name, []]);
    // Copies of shared weights are left out there: no more than a third.
    expect(found.size).toBeLessThan(wanted.length * 1.34);
  }
});

// Copies of one weight stay one while they are trained, and are written to each of their places.
import { expect, test } from "vitest";
import { buildModel, noise } from "../../test/build.js";
import { print } from "../graph/print.js";
import { tensorOf } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";
import type { Parameter } from "./parameters.js";
import { putWeights, tieCopies } from "./shared-matrices.js";

const [ROWS, COLUMNS] = [8, 16];
const values = noise(ROWS * COLUMNS);
const transposed = (list: Float32Array) =>
  Float32Array.from(list, (_, i) => list[(i % ROWS) * COLUMNS + Math.floor(i / ROWS)] ?? 0);

/** A table that is the head's weight, too; a matrix twice; two vectors that are alike by chance. */
function model() {
  const weight = (list: Float32Array, dims: readonly number[]) => tensorOf("float32", dims, list);
  const built = buildModel((b) => {
    const { graph } = b;
    const rows = b.op("rows", "Gather", [
      graph.addInitializer("table", weight(values, [ROWS, COLUMNS])),
      b.input("ids", ["n"], "int64"),
    ]);
    const again = graph.addInitializer("again", weight(values.slice(), [ROWS, COLUMNS]));
    const head = graph.addInitializer("head", weight(transposed(values), [COLUMNS, ROWS]));
    const logits = b.op("logits", "MatMul", [rows, head]);
    b.output(b.op("y", "MatMul", [logits, again]));
  });
  const parameters = ["table", "again", "head"].map((name): Parameter => ({
    name,
    rate: 1,
    decay: true,
  }));
  return { graph: built.graph, parameters };
}

test("a copy reads the first of its kind, transposed where it is", () => {
  const { graph, parameters } = model();
  expect(tieCopies(graph, parameters)).toEqual([
    { name: "again", of: "table", transposed: false },
    { name: "head", of: "table", transposed: true },
  ]);
  expect([...graph.initializers()].map(({ name }) => name)).toEqual(["table"]);
  expect(print(graph)).toContain("Transpose(table");
});

test("matrices that differ in one number, and those of one number everywhere, stay apart", () => {
  const { graph, parameters } = model();
  const other = values.slice();
  other[3] = 7;
  const put = (name: string, list: Float32Array, dims: readonly number[]) => {
    const value = graph.value(name);
    if (value !== undefined) value.tensor = tensorOf("float32", dims, list);
  };
  put("again", other, [ROWS, COLUMNS]);
  put("table", new Float32Array(values.length).fill(1), [ROWS, COLUMNS]);
  put("head", new Float32Array(values.length).fill(1), [COLUMNS, ROWS]);
  expect(tieCopies(graph, parameters)).toEqual([]);
});

test("what was trained once is written everywhere", () => {
  const { graph: training, parameters } = model();
  const copies = tieCopies(training, parameters);
  const { graph } = model();
  const trained = noise(values.length, 9);
  putWeights(graph, new Map([["table", trained]]), copies);
  const written = ["table", "again", "head"].map((name) => {
    const tensor = graph.value(name)?.tensor;
    return tensor && floatsOf(tensor);
  });
  expect(written).toEqual([trained, trained, transposed(trained)]);
});

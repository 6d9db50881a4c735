// The public surface: what it is stands in docs/api.txt, and whoever has one of its types can name all that this is made of.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { API_FILE, apiReport, surfaces, type Entry } from "../scripts/api.js";
import * as core from "../src/index.js";

const all = surfaces();
const entries = Object.keys(all) as Entry[];

test("docs/api.txt is what both entries export (npm run api writes it)", () =>
  expect(readFileSync(API_FILE, "utf8")).toBe(apiReport(all)));

test.each(entries)("%s exports each type that its exported ones contain", (entry) => {
  const { exported, hidden } = all[entry];
  expect(exported.size).toBeGreaterThan(100);
  expect(hidden.map(({ file, name }) => `${name} of ${file}`)).toEqual([]);
});

test("the core makes a graph, differentiates it, and writes it", () => {
  const graph = new core.Graph();
  const x = graph.addInput("x", { dtype: "float32", shape: [2] });
  const three = graph.addInitializer("three", core.float32Tensor(3));
  const product = graph.addNode({ op: "Mul", inputs: [x, three] }).output();
  const loss = graph.addNode({ op: "Mul", inputs: [product, x] }).output();
  const model: core.Model = {
    graph,
    opsets: new Map([["", 18]]),
    irVersion: 8,
    functions: [],
    rest: {},
  };
  const [gradient] = core.differentiate(model, loss, [x]);
  if (gradient === undefined) throw new Error("no gradient");
  graph.addOutput(gradient);
  core.verify(model);
  expect(core.print(core.readModel(core.writeModel(model)))).toContain("Mul(x, 3.0)");
  expect(gradient.shape).toEqual([2]);
});

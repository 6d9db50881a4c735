// What each rewrite changes in a graph, as a diff of its text: `node examples/passes.mjs [model.onnx] [part of a line]`.
// Without a model: the demo's. The graph is verified after each step.
import { readFile } from "node:fs/promises";
import { lowerPlan, planModel, prepare, print, readModel, targetFor, verify } from "octavo";

const demo = new URL("demo-reviews/onnx/model.onnx", import.meta.url);
const [file = demo, part = ""] = process.argv.slice(2);
const model = readModel(new Uint8Array(await readFile(file)));
const target = targetFor("cpu", "dynamic");
const options = { mode: "dynamic", outliers: true, embeddings: true, reduceRange: false };

/** Lines of `a` that `b` lacks. */
function without(a, b) {
  const there = new Set(b);
  return a.filter((line) => !there.has(line));
}

let before = print(model).split("\n");
function step(name, change) {
  const result = change();
  verify(model);
  const after = print(model).split("\n");
  const [gone, made] = [without(before, after), without(after, before)];
  console.log(`${name}: ${gone.length} lines gone, ${made.length} made`);
  for (const [mark, lines] of [
    ["-", gone],
    ["+", made],
  ])
    for (const line of lines) if (line.includes(part)) console.log(`${mark} ${line.trim()}`);
  before = after;
  return result;
}

// What every target needs (functions inlined, constants folded, types inferred), then one exact rewrite at a time.
step("clean-up", () => prepare(model, { rewrites: [] }));
for (const rewrite of target.rewrites) step(rewrite, () => prepare(model, { rewrites: [rewrite] }));
const { sites, plan } = step("plan, outlier channels split off", () =>
  planModel(model, target, { ...options, exclude: [] }),
);
step("lowering", () => lowerPlan(model, sites, plan, target));

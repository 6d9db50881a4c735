// Every exported graph of the zoo: loss and gradients are PyTorch's, as the exporter wrote them and in the form that training gives it.
import { describe, expect, test } from "vitest";
import { NoGradientError } from "../errors.js";
import { exportModel } from "../graph/export.js";
import type { Model } from "../graph/model.js";
import { verify } from "../graph/verify.js";
import { encodeModel } from "../onnx/writer.js";
import type { Tensor } from "../onnx/tensor.js";
import { takeBranches } from "../passes/branches.js";
import { simplify } from "../passes/simplify.js";
import { prepareTraining } from "../passes/training.js";
import { numbers, runModel } from "../../test/run.js";
import { hasShared, zooGraphs } from "../../test/shared.js";
import { trainingGraph } from "../../test/training-graph.js";
import { differentiate } from "./differentiate.js";

interface Form {
  readonly form: string;
  readonly prepare: (model: Model) => unknown;
  readonly recompute?: true;
}

const FORMS: readonly Form[] = [
  { form: "with its constants folded", prepare: fold },
  { form: "as training prepares it", prepare: prepareTraining },
  { form: "its blocks computed again", prepare: prepareTraining, recompute: true },
];

/** What every form has behind it: constants and branches folded. */
function fold(model: Model): void {
  simplify(model);
  if (takeBranches(model) > 0) simplify(model);
}

describe.skipIf(!hasShared)("gradients of the zoo's graphs are PyTorch's", () => {
  const cases = zooGraphs().flatMap(({ name }) => FORMS.map((form) => ({ name, ...form })));
  test.each(cases)("$name, $form", async ({ name, prepare, recompute = false }) => {
    const { model, loss, weights, feeds, reference, close } = trainingGraph(name);
    prepare(model);
    const [start = loss] = model.graph.outputs;
    const values = [...weights.values()].map(({ value }) => value);
    const gradients = differentiate(model, start, values, { recompute });
    for (const gradient of gradients) model.graph.addOutput(gradient);
    verify(model.graph);
    const results = await runModel(encodeModel(exportModel(model)), feeds);
    close();
    const found = model.graph.outputs.map((value) => results[value.name]);
    const expectedLoss = numbers(reference.tensors.get("loss") as Tensor)[0] ?? NaN;
    expect(distance(found[0], [expectedLoss])).toBeLessThan(1e-5);
    const far = [...weights].flatMap(([weight, { gradient }], i) => {
      const padding = paddingRow(name, weight, gradient);
      const error = distance(found[i + 1], numbers(gradient), padding);
      return error < 1e-3 ? [] : [`${weight}: ${error}`];
    });
    expect(far).toEqual([]);
  });
});

test.skipIf(!hasShared)("an operator without a gradient is named, with its node and why", () => {
  const { model, loss, weights, close } = trainingGraph("deberta.torchscript");
  simplify(model);
  const values = [...weights.values()].map(({ value }) => value);
  // Branches that were not taken: attention goes through their bodies.
  const branch = [...model.graph.nodes()].findLast(
    ({ op, outputs }) => op === "If" && outputs[0]?.dtype === "float32",
  );
  if (branch === undefined) throw new Error("no branch");
  const go = () => differentiate(model, model.graph.outputs[0] ?? loss, values);
  expect(go).toThrow(NoGradientError);
  expect(go).toThrow(
    `No gradient for If "${branch.name}": a gradient would have to pass through its body`,
  );
  close();
});

/** Half-open range of elements. */
type Range = readonly [from: number, to: number];

/** The row of an embedding table that PyTorch keeps as it is (`padding_idx`). A graph does not say that, and has a gradient there if it is read. */
function paddingRow(name: string, weight: string, { dims: [, width = 0] }: Tensor): Range {
  if (!/(word|tok|position)_embeddings|predictions\.decoder/.test(weight)) return [0, 0];
  const row = /roberta|mpnet/.test(name) ? 1 : 0;
  if (/position/.test(weight) && row === 0) return [0, 0];
  return [row * width, (row + 1) * width];
}

/** Below this norm a gradient is rounding (a bias that Softmax takes out again): there the difference itself has to be small. */
const ZERO = 1e-5;

/** Norm of the difference over the norm of what is expected, without the elements of `padding`. */
function distance(
  got: Tensor | undefined,
  expected: readonly number[],
  [from, to]: Range = [0, 0],
): number {
  const values = got === undefined ? [] : numbers(got);
  if (values.length !== expected.length) return Infinity;
  let error = 0;
  let norm = 0;
  expected.forEach((value, i) => {
    if (i >= from && i < to) return;
    error += (value - (values[i] ?? NaN)) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(error) / Math.max(Math.sqrt(norm), ZERO);
}

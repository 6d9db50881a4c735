// Graphs of the zoo with PyTorch's loss on their outputs and their weights as inputs, ready to be differentiated.
import { importModel } from "../src/graph/import.js";
import type { Value } from "../src/graph/graph.js";
import type { Model } from "../src/graph/model.js";
import { int64Tensor, tensorOf, type Tensor } from "../src/onnx/tensor.js";
import { openModelFile } from "../src/onnx/files.js";
import { decodeModel } from "../src/onnx/reader.js";
import { hoistConstants } from "../src/passes/constants.js";
import { raiseOpset } from "../src/passes/opset.js";
import { numbers, reference, type Reference } from "./run.js";
import { shared } from "./shared.js";

/** GatherElements has its gradient from operator set 16 on; 18 has axes as inputs throughout. */
const OPSET = 18;

export interface TrainingGraph {
  readonly model: Model;
  readonly loss: Value;
  /** Weights by name, now inputs, and what PyTorch has as their gradients. */
  readonly weights: ReadonlyMap<string, { readonly value: Value; readonly gradient: Tensor }>;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly reference: Reference;
  /** Closes the file, whose tensors the model reads. */
  readonly close: () => void;
}

export function trainingGraph(name: string): TrainingGraph {
  const file = openModelFile(shared("zoo", name, "model.onnx"));
  const model = importModel(decodeModel(file.source), file.external);
  hoistConstants(model);
  raiseOpset(model, OPSET);
  const ref = reference(name);
  const feeds: Record<string, Tensor> = { ...ref.cases[0]?.inputs };
  const weights = new Map<string, { value: Value; gradient: Tensor }>();
  for (const [key, gradient] of ref.tensors) {
    if (!key.startsWith("grad/")) continue;
    const weight = key.slice("grad/".length);
    weights.set(weight, { value: asInput(model, weight, feeds), gradient });
  }
  tie(model, weights, feeds);
  const loss = lossOf(model, ref);
  model.graph.truncateOutputs(0);
  model.graph.addOutput(loss);
  return {
    model,
    loss,
    weights,
    feeds,
    reference: ref,
    close: () => {
      file.close();
    },
  };
}

/** Makes an initializer an input of its name, and its content what is fed. */
function asInput({ graph }: Model, name: string, feeds: Record<string, Tensor>): Value {
  const initializer = graph.value(name);
  if (initializer?.tensor === undefined) throw new Error(`no initializer ${name}`);
  const { tensor } = initializer;
  feeds[name] = tensorOf(tensor.dtype, tensor.dims, tensor.data.read().slice());
  const input = graph.addInput(graph.freshName(name), { dtype: tensor.dtype, shape: tensor.dims });
  graph.replaceUses(initializer, input);
  graph.removeInitializer(initializer);
  graph.rename(input, name);
  return input;
}

/** Exporters store a matrix that the model uses twice two times, perhaps transposed; PyTorch's gradient is that of the one matrix. */
function tie(
  { graph }: Model,
  weights: TrainingGraph["weights"],
  feeds: Readonly<Record<string, Tensor>>,
): void {
  const copies = [...graph.initializers()].filter(({ tensor }) => tensor?.dims.length === 2);
  for (const [name, { value, gradient }] of weights) {
    const [rows = 0, columns = 0, ...others] = gradient.dims;
    const content = feeds[name];
    if (content === undefined || columns === 0 || others.length > 0) continue;
    const list = numbers(content);
    for (const copy of copies) {
      if (copy.tensor?.dtype !== "float32" || copy.uses.size === 0) continue;
      const other = numbers(copy.tensor);
      if (other.length !== list.length) continue;
      if (other.every((v, i) => v === list[i])) graph.replaceUses(copy, value);
      else if (other.every((v, i) => v === list[(i % rows) * columns + Math.floor(i / rows)])) {
        const before = graph.first;
        const turned = graph.addNode({ op: "Transpose", inputs: [value], before });
        graph.replaceUses(copy, turned.output());
      }
    }
  }
}

/** The loss that the file names: the mean of cross-entropy over all positions, or half the mean square. */
function lossOf({ graph }: Model, { tensors, metadata }: Reference): Value {
  const [output] = graph.outputs;
  if (output === undefined) throw new Error("no output");
  const add = (op: string, inputs: Value[], attributes: Record<string, number> = {}): Value =>
    graph.addNode({ op, inputs, attributes }).output();
  const constant = (value: Tensor) => graph.addInitializer("of_loss", value);
  const float = (value: number) => constant(tensorOf("float32", [], Float32Array.of(value)));
  const sum = (value: Value) => add("ReduceSum", [value], { keepdims: 0 });
  if (metadata.get("loss") === "half_mean_square") {
    const square = add("Mul", [output, output]);
    return add("Mul", [add("ReduceMean", [square], { keepdims: 0 }), float(0.5)]);
  }
  const labels = tensors.get("labels");
  if (labels === undefined) throw new Error("no labels");
  const indices = constant(int64Tensor(numbers(labels)));
  const flat = add("Flatten", [output], { axis: -1 });
  const logs = add("LogSoftmax", [flat], { axis: -1 });
  const columns = add("Unsqueeze", [indices, constant(int64Tensor([1]))]);
  const picked = sum(add("GatherElements", [logs, columns], { axis: 1 }));
  return add("Mul", [picked, float(-1 / numbers(labels).length)]);
}

// A slow interpreter of graphs, written from the specification: says what a graph means where a runtime says only what it makes of it.
import { InvalidGraphError } from "../../../src/errors.js";
import { describe, type Graph, type Node, type Value } from "../../../src/graph/graph.js";
import type { Model } from "../../../src/graph/model.js";
import type { Tensor } from "../../../src/onnx/tensor.js";
import { numbersOf } from "../../../src/onnx/values.js";
import { evaluate } from "../../../src/ops/evaluate.js";
import type { Feeds, RuntimeTensor } from "../../../src/runtime/runtime.js";
import { fromRuntime, toRuntime } from "../../../src/runtime/tensors.js";
import { CONTRIB } from "./contrib.js";
import { FLOAT } from "./float.js";
import { INTEGER } from "./integer.js";
import { unsupported, type KernelTable } from "./kernel.js";
import { QUANTIZE } from "./quantize.js";

/** Operators beside those that constant evaluation has, which the interpreter shares. */
const KERNELS: KernelTable = { ...QUANTIZE, ...INTEGER, ...FLOAT, ...CONTRIB };

export interface InterpretOptions {
  /** Names of the values to return, inner ones too; default: the outputs of the graph. */
  readonly values?: readonly string[];
}

/**
 * Runs a model node by node. Products and normalizations of reals are computed in double precision and rounded once; quantization and
 * integer products follow the specification to the bit. Throws UnsupportedError naming an operator that it does not have, and
 * InvalidGraphError for a missing feed. For tests: about 10^7 products a second.
 */
export function interpret(
  model: Model,
  feeds: Feeds,
  options: InterpretOptions = {},
): Record<string, RuntimeTensor> {
  const known = new Map<Value, Tensor>();
  for (const input of model.graph.inputs) {
    const feed = feeds[input.name];
    const tensor = feed === undefined ? input.tensor : fromRuntime(feed);
    if (tensor === undefined) throw new InvalidGraphError(`input "${input.name}" is not fed`);
    known.set(input, tensor);
  }
  runGraph(model, model.graph, known);
  const names = options.values ?? model.graph.outputs.map((output) => output.name);
  return Object.fromEntries(
    names.map((name) => {
      const value = model.graph.value(name);
      if (value === undefined) throw new InvalidGraphError(`no value is named "${name}"`);
      return [name, toRuntime(contentOf(known, value))];
    }),
  );
}

function runGraph(model: Model, graph: Graph, known: Map<Value, Tensor>): void {
  for (const node of graph.nodes()) {
    const control = Object.hasOwn(CONTROL, node.op) ? CONTROL[node.op] : undefined;
    const outputs =
      control === undefined ? runNode(model, node, known) : control(model, node, known);
    node.outputs.forEach((value, i) => {
      const tensor = outputs[i];
      if (value !== undefined && tensor !== undefined) known.set(value, tensor);
    });
  }
}

function runNode(model: Model, node: Node, known: Map<Value, Tensor>): readonly Tensor[] {
  const inputs = node.inputs.map((value) => value && contentOf(known, value));
  const kernel = Object.hasOwn(KERNELS, node.op) ? KERNELS[node.op] : undefined;
  if (kernel !== undefined)
    return kernel({ node, inputs, opset: model.opsets.get(node.domain) ?? 0 });
  const outputs = evaluate(node, inputs);
  if (outputs === undefined)
    throw unsupported(node, "it has no kernel for this operator and types");
  return outputs;
}

type Control = (model: Model, node: Node, known: Map<Value, Tensor>) => readonly Tensor[];

const CONTROL: { readonly [op: string]: Control } = {
  If(model, node, known) {
    const condition = node.input(0);
    const taken = condition !== undefined && numbersOf(contentOf(known, condition))[0] !== 0;
    const branch = node.attributes.get(taken ? "then_branch" : "else_branch");
    if (branch?.type !== "graph")
      throw new InvalidGraphError("a branch is missing", describe(node));
    runGraph(model, branch.value, known);
    return branch.value.outputs.map((output) => contentOf(known, output));
  },
};

function contentOf(known: Map<Value, Tensor>, value: Value): Tensor {
  const tensor = known.get(value) ?? value.tensor;
  if (tensor === undefined) throw new InvalidGraphError(`value "${value.name}" is not computed`);
  return tensor;
}

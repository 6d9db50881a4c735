// A float model in the form in which it is trained: what is learned stays as it stands in the file, so that it can be written back there.
import type { Graph, Value } from "../graph/graph.js";
import { cloneModel } from "../graph/clone.js";
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { hoistConstants } from "../passes/constants.js";
import { removeDead } from "../passes/dead.js";
import { inlineFunctions } from "../passes/functions.js";
import { removeNanGuards } from "../passes/nan-guard.js";
import { prepareTraining } from "../passes/training.js";
import { trainableParameters, type Parameter } from "./parameters.js";
import { tieCopies, type Copy } from "./shared-matrices.js";

export interface TrainingGraph {
  /** What is learned are inputs with a default here, whom no rewrite folds, transposes or merges. */
  readonly model: Model;
  readonly parameters: readonly Parameter[];
  readonly copies: readonly Copy[];
}

/**
 * A copy of `model` for training, its tensors shared. Parameters have the names of `model`'s initializers, once its functions are inlined and
 * its constants hoisted, which this does to `model` itself. `outputs` are those that the loss reads; `select` takes those parameters that are
 * not frozen.
 */
export function trainingGraph(
  model: Model,
  outputs: readonly string[],
  select: (graph: Graph, all: readonly Parameter[]) => readonly Parameter[] = (_, all) => all,
): TrainingGraph {
  inlineFunctions(model);
  hoistConstants(model);
  const copy = cloneModel(model);
  const { graph } = copy;
  inferTypes(copy);
  const reached = outputs.map((name) => graph.value(name)).filter((value) => value !== undefined);
  const selected = select(graph, trainableParameters(graph, reached));
  const copies = tieCopies(graph, selected);
  const parameters = selected.filter(({ name }) => !copies.some((each) => each.name === name));
  // While their content can be seen: what a guard is for depends on it.
  removeNanGuards(copy);
  for (const { name } of parameters) protect(graph, graph.value(name));
  prepareTraining(copy);
  inferTypes(copy);
  return { model: copy, parameters, copies };
}

/** Lets callers set an initializer: to every rewrite it is a value that may be anything. */
function protect(graph: Graph, value: Value | undefined): void {
  if (value?.tensor === undefined) throw new Error("internal: a parameter without content");
  if (value.isInput) return;
  const { name, tensor } = value;
  graph.rename(value, graph.freshName(`${name}_initial`));
  const input = graph.addInput(name, { dtype: tensor.dtype, shape: tensor.dims });
  input.tensor = tensor;
  graph.replaceUses(value, input);
  graph.removeInitializer(value);
}

/** The last rewrites of a graph before it runs. */
export function finishTraining(model: Model): void {
  removeDead(model);
}

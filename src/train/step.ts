// Makes sessions of a graph that is trained: parameters are inputs that the runtime reads where they lie, gradients outputs that it writes in place.
import { differentiate } from "../autodiff/differentiate.js";
import { cloneModel } from "../graph/clone.js";
import { exportModel } from "../graph/export.js";
import type { Graph, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { floatsOf } from "../onnx/values.js";
import { encodeModel } from "../onnx/writer.js";
import { inferTypes } from "../ops/infer.js";
import type { Feeds, Runtime, RuntimeTensor, Session, SessionOptions } from "../runtime/runtime.js";
import { LOSS_SHARE } from "./losses.js";
import {
  arrayOf,
  storeOf,
  type InitialParameter,
  type Kind,
  type StoredParameter,
} from "./store.js";
import type { Trainable } from "./training.js";

export interface TrainingStep {
  readonly parameters: readonly StoredParameter[];
  /** Runs forward and backward: the batch's part of the loss (`share` is one divided by what counts in the whole update), gradients into their arrays. */
  run(feeds: Feeds, share: number, into: "gradient" | "rest"): Promise<number>;
  /** The forward pass with the parameters of the moment; loaded when first asked for. Released with the step. */
  forward(): Promise<Session>;
  release(): Promise<void>;
}

export interface StepOptions {
  /** What is kept of each parameter. */
  readonly kinds: readonly Kind[];
  readonly threads?: number | undefined;
}

/**
 * Builds the graph of a step and loads it. Throws NoGradientError, RuntimeFailedError, UnsupportedError for a parameter too large to train,
 * ModelTooLargeError.
 */
export async function makeStep(
  runtime: Runtime,
  trainable: Trainable,
  { kinds, threads }: StepOptions,
): Promise<TrainingStep> {
  const { lower = () => undefined } = trainable;
  const { initial, forwardModel, bytes, lossName, gradientNames } = stepGraph(trainable, lower);
  const stored = storeOf(initial, kinds);
  const options: SessionOptions = {
    spinning: "running",
    memoryPatterns: false,
    ...(threads === undefined ? {} : { threads }),
  };
  const session = await runtime.load(bytes, options);
  const parameterFeeds = tensorsOf(stored, "value");
  const lossValue = new Float32Array(1);
  let forward: Session | undefined;
  return {
    parameters: stored,
    async run(feeds, share, kind) {
      const into: Record<string, RuntimeTensor> = {
        [lossName]: { dtype: "float32", dims: [], data: lossValue },
      };
      for (const [i, parameter] of stored.entries())
        into[gradientNames[i] ?? ""] = tensorOf(parameter, kind);
      const shareFeed: RuntimeTensor = { dtype: "float32", dims: [], data: Float32Array.of(share) };
      await session.run({ ...feeds, ...parameterFeeds, [LOSS_SHARE]: shareFeed }, { into });
      return lossValue[0] ?? NaN;
    },
    async forward() {
      if (forward === undefined) {
        lower(forwardModel);
        const inner = await runtime.load(encodeModel(exportModel(forwardModel)), options);
        forward = withFeeds(inner, parameterFeeds);
      }
      return forward;
    },
    async release() {
      await session.release();
      await forward?.release();
    },
  };
}

/** The graph with its gradients as bytes, what it begins with, and the forward pass alone, not lowered yet. */
function stepGraph(
  { model, parameters, loss: addLoss, rules = {}, recompute = false }: Trainable,
  lower: (model: Model) => void,
) {
  const { graph } = model;
  const initial = parameters.map((parameter): InitialParameter => {
    const tensor = graph.value(parameter.name)?.tensor;
    if (tensor === undefined)
      throw new Error(`internal: no initializer "${parameter.name}" in the graph`);
    return { ...parameter, dims: tensor.dims, initial: floatsOf(tensor) };
  });
  const values = parameters.map(({ name }) => toInput(graph, name));
  inferTypes(model);
  const forwardModel = cloneModel(model);
  const loss = addLoss(model);
  const gradients = differentiate(model, loss, values, { rules, recompute });
  graph.truncateOutputs(0);
  const [lossName = "", ...gradientNames] = [loss, ...gradients].map((value) =>
    output(graph, value),
  );
  lower(model);
  return { initial, forwardModel, bytes: encodeModel(exportModel(model)), lossName, gradientNames };
}

/** An initializer as an input of its name. */
function toInput(graph: Graph, name: string): Value {
  const value = graph.value(name);
  if (value === undefined) throw new Error(`internal: the graph has no "${name}"`);
  const { dtype, shape, isInput } = value;
  if (isInput) {
    value.tensor = undefined;
    return value;
  }
  graph.rename(value, graph.freshName(`${name}_initial`));
  const input = graph.addInput(name, { ...(dtype && { dtype }), ...(shape && { shape }) });
  graph.replaceUses(value, input);
  graph.removeInitializer(value);
  return input;
}

/** Makes a value an output of its own; returns its name. */
function output(graph: Graph, value: Value): string {
  const own = value.producer !== undefined && !value.isOutput;
  const made = own ? value : graph.addNode({ op: "Identity", inputs: [value] }).output();
  made.dtype ??= value.dtype;
  made.shape ??= value.shape;
  graph.addOutput(made);
  return made.name;
}

function tensorOf(parameter: StoredParameter, kind: Kind): RuntimeTensor {
  return { dtype: "float32", dims: parameter.dims, data: arrayOf(parameter, kind) };
}

function tensorsOf(parameters: readonly StoredParameter[], kind: Kind): Feeds {
  return Object.fromEntries(
    parameters.map((parameter) => [parameter.name, tensorOf(parameter, kind)]),
  );
}

/** A session some of whose inputs are fed always. */
function withFeeds(session: Session, always: Feeds): Session {
  return {
    inputs: session.inputs.filter(({ name }) => !Object.hasOwn(always, name)),
    outputs: session.outputs,
    run: (feeds, options) => session.run({ ...feeds, ...always }, options),
    release: () => session.release(),
  };
}

// Training graphs beside the models that are exported from them: what both compute, value by value.
import { exportModel } from "../src/graph/export.js";
import { importModel } from "../src/graph/import.js";
import type { Model } from "../src/graph/model.js";
import { inferTypes } from "../src/ops/infer.js";
import { decodeModel } from "../src/onnx/reader.js";
import { encodeModel } from "../src/onnx/writer.js";
import { floatsOf } from "../src/onnx/values.js";
import { lowerPlan, type Planned } from "../src/pipeline/edition.js";
import { quantizerGraph, type QuantizerGraph } from "../src/pipeline/quantizer-graph.js";
import { findSites } from "../src/quant/sites.js";
import type { Target } from "../src/targets/target.js";
import { expandQuantizers } from "../src/train/expand-quantizers.js";
import { foldBack } from "../src/train/fold-back.js";
import { runModel, type Feeds } from "./run.js";

export type Trained = Map<string, Float32Array>;

/** The trained values of a graph that has not been trained. */
export function startOf({ model, quantizers }: QuantizerGraph): Trained {
  const names = [
    ...quantizers.parameters.map(({ name }) => name),
    ...quantizers.weights.map(({ name }) => name),
  ];
  return new Map(
    names.map((name) => {
      const tensor = model.graph.value(name)?.tensor;
      if (tensor === undefined) throw new Error(`no initializer ${name}`);
      return [name, floatsOf(tensor).slice()];
    }),
  );
}

/** Largest difference of a site's operand between the training graph and the exported model, in its steps. */
export interface Difference {
  readonly name: string;
  readonly steps: number;
  /** Share of its values that differ by more than a step. */
  readonly beyond: number;
}

export interface Comparison {
  readonly operands: readonly Difference[];
  /** Of the outputs, relative to their largest value. */
  readonly outputs: number;
  readonly exported: Model;
}

/**
 * Trains a planned model by hand (`change` alters the values that are trained), exports it, and compares what both compute. Nothing of `model` is left
 * as it was.
 */
export async function compareWithExport(
  model: Model,
  planned: Pick<Planned, "plan" | "weights">,
  target: Target,
  feeds: Feeds,
  change: (trained: Trained) => void,
): Promise<Comparison> {
  const made = quantizerGraph(model, planned.plan, target, {
    weights: planned.weights,
    stepRate: 20,
    outputs: model.graph.outputs.map(({ name }) => name),
  });
  const trained = startOf(made);
  change(trained);
  const training = made.model;
  for (const [name, values] of trained) {
    const value = training.graph.value(name);
    if (value?.tensor === undefined) throw new Error(`no initializer ${name}`);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    value.tensor = { ...value.tensor, data: { byteLength: bytes.length, read: () => bytes } };
  }
  const { plan, weights } = foldBack(model, made.plan, made.quantizers, trained);
  lowerPlan(model, findSites(model), plan, target, { weights });
  inferTypes(model);
  const count = model.graph.outputs.length;
  const names = made.quantizers.activations
    .map(({ name }) => name)
    .filter((name) => isTappable(model, name) && isTappable(training, name));
  for (const each of [model, training])
    for (const name of new Set(names)) {
      const value = each.graph.value(name);
      if (value !== undefined) each.graph.addOutput(value);
    }
  expandQuantizers(training);
  const [expected, got] = [await run(training, feeds), await run(model, feeds)];
  const outputs = model.graph.outputs.slice(0, count).map(({ name }) => {
    const [a, b] = [expected(name), got(name)];
    return largest(a, b) / a.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  });
  const operands = made.quantizers.activations.flatMap(({ name, base, ratio }) => {
    if (!names.includes(name)) return [];
    const step = base * (trained.get(ratio ?? "")?.[0] ?? 1);
    const [a, b] = [expected(name), got(name)];
    const far = a.filter((v, i) => Math.abs(v - (b[i] ?? NaN)) > 1.001 * step).length;
    return [{ name, steps: largest(a, b) / step, beyond: far / a.length }];
  });
  return { operands, outputs: Math.max(...outputs), exported: model };
}

function isTappable({ graph }: Model, name: string): boolean {
  const value = graph.value(name);
  return value?.producer !== undefined && value.dtype === "float32" && !value.isOutput;
}

async function run(model: Model, feeds: Feeds): Promise<(name: string) => Float32Array> {
  const copy = importModel(decodeModel(encodeModel(exportModel(model))));
  inferTypes(copy);
  const results = await runModel(encodeModel(exportModel(copy)), feeds);
  return (name) => {
    const tensor = results[name];
    if (tensor === undefined) throw new Error(`no output ${name}`);
    return floatsOf(tensor);
  };
}

function largest(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? NaN))), 0);
}

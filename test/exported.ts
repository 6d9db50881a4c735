// Training graphs beside the models that are exported from them: what both compute, value by value.
import { exportModel } from "../src/graph/export.js";
import { importModel } from "../src/graph/import.js";
import type { Value } from "../src/graph/graph.js";
import type { Model } from "../src/graph/model.js";
import { inferTypes } from "../src/ops/infer.js";
import { decodeModel } from "../src/onnx/reader.js";
import { encodeModel } from "../src/onnx/writer.js";
import type { Tensor } from "../src/onnx/tensor.js";
import { floatsOf } from "../src/onnx/values.js";
import { lowerPlan, type Planned } from "../src/plan/plan-model.js";
import { quantizerGraph, type QuantizerGraph } from "../src/qat/quantizer-graph.js";
import { operandOf, type Operand } from "../src/quant/operands.js";
import { findSites, type Site } from "../src/quant/sites.js";
import type { Target } from "../src/targets/target.js";
import { expandQuantizers } from "../src/qat/expand-quantizers.js";
import { foldBack } from "../src/qat/fold-back.js";
import { saturates } from "./integer-sums.js";
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
  /** The same where all sites before it were given the training graph's operands: what it adds itself. */
  readonly own: number;
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
    scaleRateMultiplier: 20,
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
  const sites = findSites(model);
  const places = new Map(sites.map((site) => [site.name, placesIn(site)]));
  lowerPlan(model, sites, plan, target, { weights });
  inferTypes(model);
  const count = model.graph.outputs.length;
  // By the names that training knows; targets may give a layer with its bias another one.
  const exported = new Map<string, string>();
  for (const { name, readers } of made.quantizers.activations) {
    const value = isTappable(model, name)
      ? model.graph.value(name)
      : readers
          .map(({ site, operand }) => quantizedAt(model, places.get(site)?.[operand]))
          .find((found) => found !== undefined);
    if (value !== undefined && isTappable(training, name)) exported.set(name, value.name);
  }
  const outputOf = (each: Model, name: string): void => {
    const value = each.graph.value(name);
    if (value !== undefined && !value.isOutput) each.graph.addOutput(value);
  };
  for (const [name, own] of exported) {
    outputOf(training, name);
    outputOf(model, own);
  }
  expandQuantizers(training, { unsignedWeights: saturates });
  const tensors = await run(training, feeds);
  const [expected, got] = [floatsIn(tensors), floatsIn(await run(model, feeds))];
  const alone = floatsIn(await givenOperands(model, exported, feeds, tensors));
  const outputs = model.graph.outputs.slice(0, count).map(({ name }) => {
    const [a, b] = [expected(name), got(name)];
    return largest(a, b) / a.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  });
  const operands = made.quantizers.activations.flatMap(({ name, base, ratio }) => {
    const other = exported.get(name);
    if (other === undefined) return [];
    const step = base * (trained.get(ratio ?? "")?.[0] ?? 1);
    const [a, b] = [expected(name), got(other)];
    const far = a.filter((v, i) => Math.abs(v - (b[i] ?? NaN)) > 1.001 * step).length;
    const own = largest(a, alone(other)) / step;
    return [{ name, steps: largest(a, b) / step, own, beyond: far / a.length }];
  });
  return { operands, outputs: Math.max(...outputs), exported: model };
}

function isTappable({ graph }: Model, name: string): boolean {
  const value = graph.value(name);
  return value?.producer !== undefined && value.dtype === "float32" && !value.isOutput;
}

/** Runs the exported model with every operand that is read replaced by the training graph's: no difference is handed on from site to site. */
function givenOperands(
  model: Model,
  exported: ReadonlyMap<string, string>,
  feeds: Feeds,
  tensors: Readonly<Record<string, Tensor>>,
): Promise<Readonly<Record<string, Tensor>>> {
  const cut = importModel(decodeModel(encodeModel(exportModel(model))));
  inferTypes(cut);
  const given: Record<string, Tensor> = {};
  for (const [name, own] of exported) {
    const [value, tensor] = [cut.graph.value(own), tensors[name]];
    if (value === undefined || tensor === undefined) throw new Error(`no operand ${name}`);
    const input = cut.graph.addInput(`${own}.given`, { dtype: tensor.dtype, shape: tensor.dims });
    const read = [...value.uses].filter(({ kind }) => kind !== "output");
    cut.graph.replaceUses(value, input, read);
    given[input.name] = tensor;
  }
  return run(cut, { ...feeds, ...given });
}

interface Place {
  readonly node: string;
  readonly index: number;
}

/** Where a site's node reads its operands. */
function placesIn(site: Site): Partial<Record<Operand, Place>> {
  const of = (operand: Operand): Place | undefined => {
    const value = operandOf(site, operand);
    const index = site.node.inputs.indexOf(value);
    return index < 0 ? undefined : { node: site.node.name, index };
  };
  const [activation, second] = [of("activation"), of("second")];
  return { ...(activation && { activation }), ...(second && { second }) };
}

/** What is quantized before it is read at a place of an exported model. */
function quantizedAt({ graph }: Model, place: Place | undefined): Value | undefined {
  const node = [...graph.nodes()].find(({ name }) => place !== undefined && name === place.node);
  const back = node?.input(place?.index ?? 0)?.producer;
  const forth = back?.op === "DequantizeLinear" ? back.input(0)?.producer : undefined;
  const value = forth?.op === "QuantizeLinear" ? forth.input(0) : undefined;
  return value?.dtype === "float32" ? value : undefined;
}

function run(model: Model, feeds: Feeds): Promise<Readonly<Record<string, Tensor>>> {
  const copy = importModel(decodeModel(encodeModel(exportModel(model))));
  inferTypes(copy);
  return runModel(encodeModel(exportModel(copy)), feeds);
}

const floatsIn =
  (tensors: Readonly<Record<string, Tensor>>) =>
  (name: string): Float32Array => {
    const tensor = tensors[name];
    if (tensor === undefined) throw new Error(`no output ${name}`);
    return floatsOf(tensor);
  };

function largest(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? NaN))), 0);
}

// Smoothing in the graph: an activation is divided by scales per channel, the weights that read it are multiplied by them; the float function stays.
import { emit } from "../../graph/match.js";
import type { Node, Value } from "../../graph/graph.js";
import type { Model } from "../../graph/model.js";
import { lazyTensor, tensorOf } from "../../onnx/tensor.js";
import { floatsOf } from "../../onnx/values.js";
import type { LinearSite, Site } from "../../quant/sites.js";
import type { MatrixView } from "../../quant/weight-view.js";
import { groupsOf, matrixFrom, weightOf } from "../groups.js";
import { smoothingScales, type ChannelFacts } from "./scales.js";

export interface Smoothed {
  /** Scales by the name of the activation that is quantized afterwards (the divided one). */
  readonly scales: ReadonlyMap<string, { readonly source: string; readonly scales: Float32Array }>;
}

/**
 * Smooths `model` in place where the noise model promises a gain. `factsOf` gives what calibration saw of an activation. Sites must have been found
 * in this graph, and must be found anew afterwards. Left alone: activations inside bodies, weights that something else reads too (a table).
 */
export function smooth(
  model: Model,
  sites: readonly Site[],
  factsOf: (activation: string) => ChannelFacts | undefined,
): Smoothed {
  const scales = new Map<string, { source: string; scales: Float32Array }>();
  const taken = new Map<Value, Value>();
  for (const group of groupsOf(model, sites)) {
    const facts = group.activations.map(({ name }) => factsOf(name));
    const known = facts.filter((f) => f !== undefined);
    if (known.length !== facts.length) continue;
    const weights = new Map(group.sites.map((site) => [site.weight.initializer, site.weight]));
    const chosen = smoothingScales(known, [...weights.values()].map(weightOf));
    if (chosen === undefined) continue;
    for (const view of weights.values())
      taken.set(view.initializer, scaledWeight(model, view, chosen));
    const divideFor = (activation: Value, users: readonly LinearSite[]): Value => {
      const divided = divide(model, activation, users, chosen);
      for (const { node, weight } of users) {
        const scaled = taken.get(weight.initializer);
        if (scaled === undefined) throw new Error("internal: a weight was not scaled");
        node.setInput(0, divided);
        node.setInput(1, scaled);
        // The scaled weight is written as [K, N].
        node.attributes.delete("transB");
      }
      return divided;
    };
    for (const activation of group.activations) {
      const users = group.sites.filter((site) => site.activation === activation);
      const divided = divideFor(activation, users);
      scales.set(divided.name, { source: activation.name, scales: chosen });
    }
    for (const site of group.constant) divideFor(site.activation, [site]);
  }
  return { scales };
}

/** x / s: folded into the LayerNormalization that makes x where these sites alone read it, else a Mul. */
function divide(model: Model, x: Value, users: readonly LinearSite[], s: Float32Array): Value {
  const norm = x.producer;
  const only = [...x.uses].every(
    (use) => use.kind === "node" && users.some((site) => site.node === use.node),
  );
  if (only && norm !== undefined && foldInto(model, norm, s)) return x;
  const [first] = users;
  if (first === undefined) throw new Error("internal: an activation without its site");
  const inverse = Float32Array.from(s, (v) => 1 / v);
  const factor = model.graph.addInitializer(
    `${x.name}_smoothing`,
    tensorOf("float32", [s.length], inverse),
  );
  const divided = emit(first.node, "Mul", [x, factor]);
  divided.dtype = x.dtype;
  divided.shape = x.shape;
  return divided;
}

function foldInto(model: Model, norm: Node, s: Float32Array): boolean {
  if (norm.op !== "LayerNormalization") return false;
  const parts = [norm.input(1), norm.input(2)];
  const tensors = parts.map((value) => (value?.isConstant === true ? value.tensor : undefined));
  if (tensors[0] === undefined || (parts[1] !== undefined && tensors[1] === undefined))
    return false;
  if (tensors.some((t) => t !== undefined && t.dims.join() !== String(s.length))) return false;
  tensors.forEach((tensor, i) => {
    const value = parts[i];
    if (tensor === undefined || value === undefined) return;
    const scaled = floatsOf(tensor).map((v, k) => v / (s[k] as number));
    norm.setInput(
      i + 1,
      model.graph.addInitializer(
        `${value.name}_smoothed`,
        tensorOf("float32", tensor.dims, scaled),
      ),
    );
  });
  return true;
}

/** s · W as [K, N], made when its bytes are asked for. It takes over the name of the weight, and with it the name of the site. */
function scaledWeight(model: Model, view: MatrixView, s: Float32Array): Value {
  const { initializer, rows, cols } = view;
  const source = initializer.tensor;
  if (source === undefined) throw new Error(`internal: "${initializer.name}" is no constant`);
  const { name } = initializer;
  model.graph.rename(initializer, model.graph.freshName(`${name}_unsmoothed`));
  const made = model.graph.addInitializer(
    `${name}_smoothed`,
    lazyTensor("float32", [rows, cols], () => {
      const scaled = matrixFrom(source, view);
      for (let k = 0, i = 0; k < rows; k++)
        for (let n = 0; n < cols; n++, i++) scaled[i] = (scaled[i] as number) * (s[k] as number);
      return new Uint8Array(scaled.buffer, scaled.byteOffset, scaled.byteLength);
    }),
  );
  model.graph.rename(made, name);
  return made;
}

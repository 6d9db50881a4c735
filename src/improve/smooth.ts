// Smoothing in the graph: an activation is divided by scales per channel, the weights that read it are multiplied by them; the float function stays.
import { emit } from "../graph/match.js";
import type { Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { lazyTensor, tensorOf, type Tensor } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";
import type { LinearSite, Site } from "../quant/sites.js";
import type { MatrixView } from "../quant/weight-view.js";
import { smoothingScales, type ChannelFacts, type WeightMatrix } from "./smooth-scales.js";

export interface Smoothed {
  /** Scales by the name of the activation that is quantized afterwards (the divided one). */
  readonly scales: ReadonlyMap<string, { readonly source: string; readonly scales: Float32Array }>;
}

/** Activations and the weights that they share, hence one set of scales. */
interface Group {
  readonly activations: Value[];
  readonly sites: LinearSite[];
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
    const chosen = smoothingScales(known, [...weights.values()].map(matrixOf));
    if (chosen === undefined) continue;
    for (const view of weights.values())
      taken.set(view.initializer, scaledWeight(model, view, chosen));
    for (const activation of group.activations) {
      const users = group.sites.filter((site) => site.activation === activation);
      const divided = divide(model, activation, users, chosen);
      scales.set(divided.name, { source: activation.name, scales: chosen });
      for (const { node, weight } of users) {
        const scaled = taken.get(weight.initializer);
        if (scaled === undefined) throw new Error("internal: a weight was not scaled");
        node.setInput(0, divided);
        node.setInput(1, scaled);
        // The scaled weight is written as [K, N].
        node.attributes.delete("transB");
      }
    }
  }
  return { scales };
}

/** Linear sites joined by what they share: an activation, a weight. */
function groupsOf(model: Model, sites: readonly Site[]): Group[] {
  const groups = new Map<Value, Group>();
  const all = new Set<Group>();
  for (const site of sites) {
    if (site.kind !== "linear" || site.constantInput || site.node.graph !== model.graph) continue;
    const keys = [site.activation, site.weight.initializer];
    const found = new Set(keys.flatMap((key) => groups.get(key) ?? []));
    const [group = { activations: [], sites: [] }, ...others] = found;
    for (const other of others) {
      for (const activation of other.activations)
        if (!group.activations.includes(activation)) group.activations.push(activation);
      group.sites.push(...other.sites);
      all.delete(other);
    }
    group.sites.push(site);
    if (!group.activations.includes(site.activation)) group.activations.push(site.activation);
    all.add(group);
    for (const one of group.sites)
      for (const key of [one.activation, one.weight.initializer]) groups.set(key, group);
  }
  return [...all].filter(({ sites: members }) =>
    members.every(
      ({ weight, activation }) =>
        weight.rows === members[0]?.weight.rows &&
        activation.dtype === "float32" &&
        onlyProducts(weight.initializer, members),
    ),
  );
}

/** Whether the weight is read by these sites alone, through operators that move its elements. */
function onlyProducts(value: Value, sites: readonly LinearSite[]): boolean {
  return [...value.uses].every((use) => {
    if (use.kind !== "node") return false;
    if (sites.some((site) => site.node === use.node)) return true;
    const [output, ...more] = use.node.outputs;
    return (
      use.node.inputs.length <= 2 &&
      more.length === 0 &&
      output !== undefined &&
      MOVING.has(use.node.op) &&
      onlyProducts(output, sites)
    );
  });
}

const MOVING: ReadonlySet<string> = new Set([
  "Identity",
  "Cast",
  "Transpose",
  "Reshape",
  "Squeeze",
  "Unsqueeze",
  "Flatten",
]);

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

function matrixOf(view: MatrixView): WeightMatrix {
  const source = view.initializer.tensor;
  if (source === undefined) throw new Error(`internal: "${view.initializer.name}" is no constant`);
  return { values: matrixFrom(source, view), rows: view.rows, cols: view.cols };
}

/** A copy of a weight as [K, N]. */
function matrixFrom(source: Tensor, { rows, cols, transposed }: MatrixView): Float32Array {
  const stored = floatsOf(source);
  if (!transposed) return stored.slice();
  const out = new Float32Array(rows * cols);
  for (let n = 0; n < cols; n++)
    for (let k = 0; k < rows; k++) out[k * cols + n] = stored[n * rows + k] as number;
  return out;
}

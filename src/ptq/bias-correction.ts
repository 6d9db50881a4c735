// Bias correction: the mean error that quantization leaves in each output channel goes into the layer's bias.
import type { Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { tensorOf } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";
import type { RoundedWeight } from "../quant/rounded.js";
import type { LinearSite } from "../quant/sites.js";
import type { Matrix } from "./products.js";

/** Mean of x · W − x̂ · Ŵ per output channel [N]: of inputs [K] with these means, as they are and as they are quantized. */
export function meanError(
  weight: Matrix,
  { codes, scales }: RoundedWeight,
  means: Float64Array,
  quantizedMeans: Float64Array,
): Float64Array {
  const { values, rows, cols } = weight;
  const exact = new Float64Array(cols);
  const coded = new Float64Array(cols);
  for (let k = 0, i = 0; k < rows; k++) {
    const [mean, quantized] = [means[k] as number, quantizedMeans[k] as number];
    for (let n = 0; n < cols; n++, i++) {
      exact[n] = (exact[n] as number) + mean * (values[i] as number);
      coded[n] = (coded[n] as number) + quantized * (codes[i] as number);
    }
  }
  return exact.map((v, n) => v - (coded[n] as number) * (scales[n] as number));
}

/** Where a site's bias is read; undefined where it has none, or not as float32. */
export function biasOf({
  bias,
  biasAdd,
  node,
}: LinearSite): { reader: Node; index: number } | undefined {
  if (bias?.dtype !== "float32") return undefined;
  const reader = biasAdd ?? node;
  const index = reader.inputs.indexOf(bias);
  return index < 0 ? undefined : { reader, index };
}

/** Adds `by` [N] to a bias that these sites read, and that others may go on reading as it was. The new bias has the name of the old one. */
export function addToBias(
  model: Model,
  bias: Value,
  sites: readonly LinearSite[],
  by: Float64Array,
): void {
  const tensor = bias.tensor;
  if (tensor === undefined) throw new Error(`internal: "${bias.name}" is no constant`);
  const { name } = bias;
  const sums = floatsOf(tensor).map((v, n) => v + (by[n] as number));
  model.graph.rename(bias, model.graph.freshName(`${name}_uncorrected`));
  const made = model.graph.addInitializer(
    `${name}_corrected`,
    tensorOf("float32", tensor.dims, sums),
  );
  model.graph.rename(made, name);
  for (const site of sites) {
    const place = biasOf(site);
    if (place !== undefined) place.reader.setInput(place.index, made);
  }
}

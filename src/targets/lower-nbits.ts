// Writes products with weights in packed blocks: com.microsoft.MatMulNBits, its activation and its result in float.
import type { Value } from "../graph/graph.js";
import { emit } from "../graph/match.js";
import type { Model } from "../graph/model.js";
import { BITS } from "../quant/blocks.js";
import { packedMatrix } from "../quant/packed-matrix.js";
import type { BlockWeight } from "../quant/plan.js";
import type { LinearSite } from "../quant/sites.js";
import { castTo, handOn, importOrt, inputOf, named, ORT_DOMAIN } from "./emitting.js";

/**
 * 4 sums in INT8, activations rounded block by block as they are read: 8-bit weights have no fast kernel without it. 0 sums in float: for 4-bit
 * weights as close, and faster.
 */
const ACCURACY_LEVEL = { int4: 0, int8: 4 } as const;

/** The inputs of MatMulNBits behind the activation, as initializers; one set for all layers that share a weight and its form. */
export class PackedWeights {
  readonly #model: Model;
  readonly #known = new Map<string, readonly Value[]>();

  constructor(model: Model) {
    this.#model = model;
  }

  /** The value that takes the place of the site's output. */
  product(site: LinearSite, spec: BlockWeight): Value {
    const at = site.node;
    const { rows, cols } = site.weight;
    const { block, dtype } = spec;
    const attributes = {
      K: rows,
      N: cols,
      bits: BITS[dtype],
      block_size: block,
      accuracy_level: ACCURACY_LEVEL[dtype],
    };
    const x = castTo(at, inputOf(at, 0), "float32");
    const inputs = [x, ...this.#weight(site, spec)];
    const name = named(site, dtype);
    const product = emit(at, `${ORT_DOMAIN}.MatMulNBits`, inputs, attributes, name);
    const { bias } = site;
    const result =
      bias === undefined
        ? product
        : emit(at, "Add", [product, castTo(at, bias, "float32")], {}, named(site, "bias"));
    return handOn(at, result, site.output);
  }

  #weight({ weight }: LinearSite, spec: BlockWeight): readonly Value[] {
    const { initializer, transposed } = weight;
    const key = JSON.stringify([initializer.name, transposed, weight.rows, spec]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { codes, scales, zeroPoints } = packedMatrix(weight, spec);
    const add = (ending: string, tensor: typeof codes): Value =>
      this.#model.graph.addInitializer(`${initializer.name}_${ending}`, tensor);
    importOrt(this.#model);
    const made = [
      add(spec.dtype === "int4" ? "q4" : "q8", codes),
      add("scales", scales),
      ...(zeroPoints === undefined ? [] : [add("zero_points", zeroPoints)]),
    ];
    this.#known.set(key, made);
    return made;
  }
}

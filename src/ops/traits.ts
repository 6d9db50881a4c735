// What kinds of operator there are, for rules that hold for a whole kind. What a single runtime does with an operator stands with its target.

export type Trait =
  /** Normalizes its first input over trailing axes. */
  | "normalization"
  /** Hands its first input on: the same elements in the same places, element types aside (and Dropout's training mode). */
  | "same elements"
  /** All elements of its first input, in new places or under a new shape. */
  | "rearranges"
  /** Some elements of its first input, or all of them several times, in their order. */
  | "picks"
  /** Each element of the result from one element of each input, by arithmetic. */
  | "arithmetic"
  /** Each element of the result from the one at the same place, given that all other inputs are single constants. */
  | "elementwise"
  /** x times a soft step of x: 0 at 0. */
  | "gelu"
  /** Adds its inputs. */
  | "sum"
  /** Sums of products: matrices, convolutions, whatever an equation says. */
  | "product"
  /** Real numbers to codes. */
  | "quantizes"
  /** Codes to real numbers. */
  | "dequantizes"
  /** Its result depends on the sizes of its input alone. */
  | "sizes"
  /** Draws numbers, by the values or the shape of an input. */
  | "random"
  /** Of angles. */
  | "trigonometric";

/** By operator, as `Node.op` names it. */
const TRAITS: Readonly<Record<string, readonly Trait[]>> = {
  LayerNormalization: ["normalization"],
  RMSNormalization: ["normalization"],
  SimplifiedLayerNormalization: ["normalization"],

  Cast: ["same elements", "elementwise"],
  Dropout: ["same elements"],
  Identity: ["same elements", "elementwise"],

  Flatten: ["rearranges"],
  Reshape: ["rearranges"],
  Squeeze: ["rearranges"],
  Transpose: ["rearranges"],
  Unsqueeze: ["rearranges"],

  Expand: ["picks"],
  Slice: ["picks"],
  Tile: ["picks"],

  Add: ["sum", "arithmetic", "elementwise"],
  Div: ["arithmetic", "elementwise"],
  Max: ["arithmetic", "elementwise"],
  Min: ["arithmetic", "elementwise"],
  Mul: ["arithmetic", "elementwise"],
  Sub: ["arithmetic", "elementwise"],
  Sum: ["sum", "arithmetic", "elementwise"],

  Cos: ["trigonometric"],
  Erf: ["elementwise"],
  Pow: ["elementwise"],
  Relu: ["elementwise"],
  Sigmoid: ["elementwise"],
  Sin: ["trigonometric"],
  Sqrt: ["elementwise"],
  Tanh: ["elementwise"],

  Gelu: ["gelu", "elementwise"],
  "com.microsoft.FastGelu": ["gelu", "elementwise"],
  "com.microsoft.Gelu": ["gelu", "elementwise"],
  "com.microsoft.QuickGelu": ["gelu", "elementwise"],

  Conv: ["product"],
  Einsum: ["product"],
  Gemm: ["product"],
  MatMul: ["product"],
  "com.microsoft.FusedMatMul": ["product"],

  DequantizeLinear: ["dequantizes"],
  QuantizeLinear: ["quantizes"],
  "com.microsoft.DequantizeLinear": ["dequantizes"],
  "com.microsoft.QuantizeLinear": ["quantizes"],

  Bernoulli: ["random"],
  Multinomial: ["random"],
  RandomNormalLike: ["random"],
  RandomUniformLike: ["random"],

  Shape: ["sizes"],
  Size: ["sizes"],
};

/** Whether an operator has at least one of these traits; false for one that has no row. */
export function hasTrait({ op }: { readonly op: string }, ...traits: readonly Trait[]): boolean {
  const own = Object.hasOwn(TRAITS, op) ? TRAITS[op] : undefined;
  return own?.some((trait) => traits.includes(trait)) === true;
}

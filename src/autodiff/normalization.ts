// Gradients of normalizations. The normalized rows are computed once more by the operator itself: one pass, and nothing is kept from the way there.
import type { Node, Value } from "../graph/graph.js";
import { tensorOf } from "../onnx/tensor.js";
import type { Backward } from "./backward.js";
import { through } from "./propagate.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";

const mul = (b: Backward, x: Value, y: Value): Value => b.op("Mul", [x, y]);

interface Normalization {
  readonly x: Value;
  readonly scale: Value | undefined;
  readonly bias?: Value | undefined;
  /** Axes from here on are normalized. */
  readonly axis: number;
  readonly epsilon: number;
  /** Whether the mean is taken off first. */
  readonly centered: boolean;
}

interface Upstream {
  readonly dy: Value | undefined;
  /** Of the mean and of one over the standard deviation, where they are outputs. */
  readonly mean?: Value | undefined;
  readonly inverse?: Value | undefined;
}

interface Through {
  readonly dx?: Value | undefined;
  readonly scale?: Value | undefined;
  readonly bias?: Value | undefined;
}

/**
 * With x̂ = (x - mean)·r, r = 1/√(var + ε), N elements to a row, g = dy·scale: dx = r·(g - mean(g) - x̂·mean(g·x̂)), dscale = Σ dy·x̂, dbias = Σ dy
 * (Ba et al. 2016; without the mean: Zhang & Sennrich 2019). All rows are one matrix, so that both means are products with scale/N.
 */
function backwardOf(b: Backward, n: Normalization, upstream: Upstream): Through {
  const x = b.op("Flatten", [n.x], { axis: n.axis });
  const isMatrix = (v: Value) => v.rank === 2 && (n.axis === 1 || n.axis === -1);
  const flat = (v: Value) => (isMatrix(v) ? v : b.op("Flatten", [v], { axis: n.axis }));
  const { normalized, inverse } = normalize(b, n, x);
  const terms: Value[] = [];
  let scaleGradient: Value | undefined;
  let biasGradient: Value | undefined;
  if (upstream.dy !== undefined) {
    const dy = flat(upstream.dy);
    const weighted = mul(b, dy, normalized);
    if (b.wants(n.scale)) scaleGradient = sumOfRows(b, n, weighted, n.scale);
    if (b.wants(n.bias)) biasGradient = sumOfRows(b, n, dy, n.bias);
    if (b.wants(n.x)) terms.push(inputGradient(b, n, { dy, weighted, normalized, inverse }));
  }
  if (b.wants(n.x)) {
    const count = countOf(b, x);
    if (upstream.mean !== undefined) terms.push(b.op("Div", [flat(upstream.mean), count]));
    if (upstream.inverse !== undefined) {
      const slope = mul(b, flat(upstream.inverse), mul(b, inverse, inverse));
      terms.push(b.op("Neg", [mul(b, normalized, b.op("Div", [slope, count]))]));
    }
  }
  const [first, ...others] = terms;
  // A row's mean and deviation are one number: theirs is broadcast.
  const total = first && others.reduce((sum, term) => b.op("Add", [sum, term]), first);
  const dx =
    total === undefined || b.sameShape(total, x) ? total : b.op("Add", [b.zerosLike(x), total]);
  return { dx: dx && b.reshapeLike(dx, n.x), scale: scaleGradient, bias: biasGradient };
}

/** x̂ and r of rows, by the operator itself with a scale of ones. */
function normalize(
  b: Backward,
  n: Normalization,
  x: Value,
): { readonly normalized: Value; readonly inverse: Value } {
  const attributes = { axis: -1, epsilon: { type: "float", value: n.epsilon } } as const;
  const ones = onesOf(b, x);
  if (n.centered) {
    const node = b.node("LayerNormalization", [x, ones], 3, attributes);
    return { normalized: node.output(), inverse: node.output(2) };
  }
  const node = b.node("SimplifiedLayerNormalization", [x, ones], 2, attributes);
  return { normalized: node.output(), inverse: node.output(1) };
}

/** As many ones as a row of `x` has elements. */
function onesOf(b: Backward, x: Value): Value {
  const size = b.factOf(x).shape?.at(-1);
  if (typeof size === "number" && x.dtype === "float32")
    return b.constant(`ones ${size}`, () =>
      tensorOf("float32", [size], new Float32Array(size).fill(1)),
    );
  return b.op("Expand", [b.scalar(1, x), sizeOf(b, x)]);
}

/** The number of elements of a row, as a vector of one int64. */
const sizeOf = (b: Backward, x: Value): Value =>
  b.op("Gather", [b.shapeOf(x), b.ints([1])], { axis: 0 });

function countOf(b: Backward, x: Value): Value {
  const size = b.factOf(x).shape?.at(-1);
  return typeof size === "number" ? b.scalar(size, x) : b.cast(sizeOf(b, x), x);
}

interface Rows {
  readonly dy: Value;
  /** dy·x̂ */
  readonly weighted: Value;
  readonly normalized: Value;
  readonly inverse: Value;
}

function inputGradient(
  b: Backward,
  { x, scale, axis, centered }: Normalization,
  { dy, weighted, normalized, inverse }: Rows,
): Value {
  const row = rowOf(b, scale, axis, x);
  const share = b.op("Div", [row, countOf(b, dy)]);
  const column = b.op("Reshape", [share, b.ints([-1, 1])]);
  const alongX = b.op("MatMul", [weighted, column]);
  let rest = b.op("Sub", [scale === undefined ? dy : mul(b, dy, row), mul(b, normalized, alongX)]);
  if (centered) rest = b.op("Sub", [rest, b.op("MatMul", [dy, column])]);
  return mul(b, rest, inverse);
}

/** The gradient of a scale or bias: what its rows sum up to. */
function sumOfRows(b: Backward, { x, axis }: Normalization, rows: Value, like: Value): Value {
  const sum = b.reduce("ReduceSum", rows, [0], 0);
  if (b.endsWith(x, like) && like.rank === spanOf(x, axis)) return b.reshapeLike(sum, like);
  return b.sumTo(b.op("Reshape", [sum, tailShape(b, x, axis)]), like);
}

/** How many axes are normalized. */
const spanOf = (x: Value, axis: number): number | undefined =>
  x.rank === undefined ? undefined : axis < 0 ? -axis : x.rank - axis;

/** The sizes of the axes that are normalized. */
const tailShape = (b: Backward, x: Value, axis: number): Value =>
  b.op("Slice", [b.shapeOf(x), b.ints([axis]), b.ints([Number.MAX_SAFE_INTEGER])]);

/** The scale as one row for all elements that are normalized together. */
function rowOf(b: Backward, scale: Value | undefined, axis: number, x: Value): Value {
  const flat = b.op("Flatten", [x], { axis });
  if (scale === undefined) return onesOf(b, flat);
  const span = spanOf(x, axis);
  if (scale.rank === span && b.endsWith(x, scale))
    return span === 1 ? scale : b.op("Reshape", [scale, b.ints([-1])]);
  return b.op("Reshape", [b.op("Expand", [scale, tailShape(b, x, axis)]), b.ints([-1])]);
}

const epsilonOf = (node: Node, missing: number): number => node.float("epsilon", missing);

const layerNormalization: GradientRule = {
  gradient(node, [dy, mean, inverse], b) {
    const [x, scale, bias] = node.inputs;
    if (x === undefined) return [];
    const axis = node.int("axis", -1);
    const epsilon = epsilonOf(node, 1e-5);
    const n = { x, scale, bias, axis, epsilon, centered: true };
    const found = backwardOf(b, n, { dy, mean, inverse });
    return [found.dx, found.scale, found.bias];
  },
};

const rmsNormalization: GradientRule = {
  gradient(node, [dy, inverse], b) {
    const [x, scale] = node.inputs;
    if (x === undefined) return [];
    const axis = node.int("axis", -1);
    const n = { x, scale, axis, epsilon: epsilonOf(node, 1e-5), centered: false };
    const found = backwardOf(b, n, { dy, inverse });
    return [found.dx, found.scale];
  },
};

/** Normalization of x + skip + bias, which is output 3. */
const skipNormalization = (centered: boolean): GradientRule => ({
  gradient(node, [dy, mean, inverse, ofSum], b) {
    const [x, skip, scale] = node.inputs;
    const [shift, bias] = centered ? [node.input(3), node.input(4)] : [undefined, node.input(3)];
    if (x === undefined || skip === undefined) return [];
    const plain = b.op("Add", [x, skip]);
    const sum = node.outputs[3] ?? (bias === undefined ? plain : b.op("Add", [plain, bias]));
    const n = { x: sum, scale, bias: shift, axis: -1, epsilon: epsilonOf(node, 1e-12), centered };
    const found = backwardOf(b, n, { dy, mean, inverse });
    const parts = [found.dx, ofSum].filter((part) => part !== undefined);
    const total = b.add(parts);
    const to = (input: Value | undefined) =>
      total !== undefined && b.wants(input) ? b.sumTo(total, input) : undefined;
    const tail = centered ? [found.bias, to(bias)] : [to(bias)];
    return [to(x), to(skip), found.scale, ...tail];
  },
});

/** [channels] as it broadcasts against [batch, channels, …]. */
function perChannel(b: Backward, node: Node, x: Value, value: Value): Value {
  if (x.rank === undefined) throw noGradient(node, "the rank of its input is not known");
  return b.unsqueeze(
    value,
    Array.from({ length: Math.max(0, x.rank - 2) }, (_, i) => i + 1),
  );
}

function standardized(b: Backward, x: Value, axes: readonly number[], epsilon: number): Value {
  const centered = b.op("Sub", [x, b.reduce("ReduceMean", x, axes)]);
  const variance = b.reduce("ReduceMean", mul(b, centered, centered), axes);
  const deviation = b.op("Sqrt", [b.op("Add", [variance, b.scalar(epsilon, x)])]);
  return b.op("Div", [centered, deviation]);
}

/** In inference: statistics are constants of the model. */
const batchNormalization = through((node, b) => {
  const [x, scale, bias, mean, variance] = node.inputs;
  if (!x || !scale || !bias || !mean || !variance) return [];
  if (node.int("training_mode", 0) !== 0)
    throw noGradient(node, "it takes its statistics from the batch");
  const each = (value: Value) => perChannel(b, node, x, value);
  const epsilon = b.scalar(epsilonOf(node, 1e-5), variance);
  const deviation = b.op("Sqrt", [b.op("Add", [variance, epsilon])]);
  const centered = b.op("Sub", [x, each(mean)]);
  const normalized = mul(b, centered, each(b.op("Div", [scale, deviation])));
  return [b.op("Add", [normalized, each(bias)])];
});

const instanceNormalization = through((node, b) => {
  const [x, scale, bias] = node.inputs;
  if (!x || !scale || !bias) return [];
  const each = (value: Value) => perChannel(b, node, x, value);
  const axes = Array.from({ length: Math.max(0, (x.rank ?? 2) - 2) }, (_, i) => i + 2);
  const normalized = standardized(b, x, axes, epsilonOf(node, 1e-5));
  return [b.op("Add", [mul(b, normalized, each(scale)), each(bias)])];
});

const rms = rmsNormalization;

export const NORMALIZATION: GradientTable = {
  LayerNormalization: layerNormalization,
  RMSNormalization: rms,
  SimplifiedLayerNormalization: rms,
  "com.microsoft.SkipLayerNormalization": skipNormalization(true),
  "com.microsoft.SkipSimplifiedLayerNormalization": skipNormalization(false),
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
};

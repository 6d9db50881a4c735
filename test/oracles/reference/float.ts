// Products, normalizations and activations of reals, computed in double precision and rounded once: what every order of summation is near to.
import { broadcastOffsets } from "../../../src/ops/strided.js";
import { erf } from "../../../src/ops/kernels/erf.js";
import { convolutionOf } from "./convolution.js";
import {
  axisOf,
  input,
  optional,
  product,
  store,
  unsupported,
  type Call,
  type Kernel,
  type KernelTable,
  type Numbers,
} from "./kernel.js";
import { planProduct, realSum } from "./product.js";

const matMul: Kernel = (call) => {
  const [a, b] = [input(call, 0), input(call, 1)];
  const plan = planProduct(call, a.dims, b.dims);
  const values = Array.from(plan.cells, (cell) => realSum(cell, plan.depth, a.values, b.values));
  return [store(a.dtype, plan.dims, values)];
};

/** alpha * A' · B', the last two dims of each turned where asked for. Moved batch dims are not interpreted. */
const fusedMatMul: Kernel = (call) => {
  const { node } = call;
  if (node.int("transBatchA", 0) !== 0 || node.int("transBatchB", 0) !== 0)
    throw unsupported(node, "it moves batch dims");
  const [a, b, alpha] = [input(call, 0), input(call, 1), node.float("alpha", 1)];
  const plan = planProduct(call, a.dims, b.dims, {
    transA: node.int("transA", 0) !== 0,
    transB: node.int("transB", 0) !== 0,
  });
  const values = Array.from(
    plan.cells,
    (cell) => alpha * realSum(cell, plan.depth, a.values, b.values),
  );
  return [store(a.dtype, plan.dims, values)];
};

const gemm: Kernel = (call) => {
  const { node } = call;
  const [a, b, c] = [input(call, 0), input(call, 1), optional(call, 2)];
  const [alpha, beta] = [node.float("alpha", 1), node.float("beta", 1)];
  const plan = planProduct(call, a.dims, b.dims, {
    transA: node.int("transA", 0) !== 0,
    transB: node.int("transB", 0) !== 0,
  });
  const at = c && broadcastOffsets(c.dims, plan.dims);
  if (c !== undefined && at === undefined)
    throw unsupported(node, `C [${c.dims.join(", ")}] for [${plan.dims.join(", ")}]`);
  const values = Array.from(
    plan.cells,
    (cell) =>
      alpha * realSum(cell, plan.depth, a.values, b.values) +
      beta * (c?.values[at?.[cell.at] ?? 0] ?? 0),
  );
  return [store(a.dtype, plan.dims, values)];
};

const conv: Kernel = (call) => {
  const [x, w, bias] = [input(call, 0), input(call, 1), optional(call, 2)];
  const walk = convolutionOf(call, x.dims, w.dims);
  const values = Array.from({ length: walk.size }, (_, at) => {
    let sum = bias?.values[walk.channel(at)] ?? 0;
    for (const [i, j] of walk.terms(at)) sum += (x.values[i] ?? 0) * (w.values[j] ?? 0);
    return sum;
  });
  return [store(x.dtype, walk.dims, values)];
};

/** Applies `f` to each line of values along the softmax's axis: one axis from opset 13 on, all axes from `axis` on before. */
function alongAxis(call: Call, f: (line: readonly number[]) => readonly number[]): Numbers {
  const x = input(call, 0);
  const old = call.opset < 13;
  const axis = axisOf(call, call.node.int("axis", old ? 1 : -1), x.dims.length);
  const inner = old ? 1 : product(x.dims.slice(axis + 1));
  const length = old ? product(x.dims.slice(axis)) : (x.dims[axis] ?? 1);
  const out = [...x.values];
  for (let line = 0; line < x.values.length / Math.max(1, length); line++) {
    const start = Math.floor(line / inner) * inner * length + (line % inner);
    const places = Array.from({ length }, (_, i) => start + i * inner);
    f(places.map((p) => x.values[p] ?? 0)).forEach((v, i) => (out[places[i] ?? 0] = v));
  }
  return { dtype: x.dtype, dims: x.dims, values: out };
}

function exponentials(line: readonly number[]): { values: readonly number[]; sum: number } {
  const top = line.reduce((a, b) => Math.max(a, b), -Infinity);
  const values = line.map((v) => Math.exp(v - top));
  return { values, sum: values.reduce((a, b) => a + b, 0) };
}

const softmax: Kernel = (call) => {
  const { dtype, dims, values } = alongAxis(call, (line) => {
    const e = exponentials(line);
    return e.values.map((v) => v / e.sum);
  });
  return [store(dtype, dims, values)];
};

const logSoftmax: Kernel = (call) => {
  const { dtype, dims, values } = alongAxis(call, (line) => {
    const log = Math.log(exponentials(line).sum);
    const top = line.reduce((a, b) => Math.max(a, b), -Infinity);
    return line.map((v) => v - top - log);
  });
  return [store(dtype, dims, values)];
};

interface Normalized {
  readonly values: readonly number[];
  /** One per line. */
  readonly means: readonly number[];
  readonly inverseDeviations: readonly number[];
}

/** (x - mean) / sqrt(variance + epsilon) over lines of `length` values; without the mean where only the size is normalized. */
function normalized(
  values: readonly number[],
  length: number,
  epsilon: number,
  centered: boolean,
): Normalized {
  const out: number[] = [];
  const means: number[] = [];
  const inverseDeviations: number[] = [];
  for (let start = 0; start < values.length; start += length) {
    const line = values.slice(start, start + length);
    const mean = centered ? line.reduce((a, b) => a + b, 0) / length : 0;
    const variance = line.reduce((a, b) => a + (b - mean) ** 2, 0) / length;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    means.push(mean);
    inverseDeviations.push(inverse);
    for (const v of line) out.push((v - mean) * inverse);
  }
  return { values: out, means, inverseDeviations };
}

/** Normalization over the axes from `axis` on, then scale (input 1) and bias (input 2). */
const normalization =
  (centered: boolean): Kernel =>
  (call) => {
    const { node } = call;
    const [x, scale, bias] = [input(call, 0), input(call, 1), optional(call, 2)];
    const axis = axisOf(call, node.int("axis", -1), x.dims.length);
    const length = product(x.dims.slice(axis));
    const lines = normalized(x.values, length, node.float("epsilon", 1e-5), centered);
    const [scaleAt, biasAt] = [offsets(call, scale, x), bias && offsets(call, bias, x)];
    const values = lines.values.map(
      (v, i) => v * (scale.values[scaleAt[i] ?? 0] ?? 1) + (bias?.values[biasAt?.[i] ?? 0] ?? 0),
    );
    const kept = x.dims.map((d, i) => (i < axis ? d : 1));
    const statistics = [store("float32", kept, lines.inverseDeviations)];
    if (centered) statistics.unshift(store("float32", kept, lines.means));
    return [store(x.dtype, x.dims, values), ...statistics];
  };

function offsets(call: Call, small: Numbers, x: Numbers): Int32Array {
  const at = broadcastOffsets(small.dims, x.dims);
  if (at === undefined)
    throw unsupported(call.node, `[${small.dims.join(", ")}] for [${x.dims.join(", ")}]`);
  return at;
}

/** x + skip (+ bias), normalized; output 3 is the sum itself. */
const skipNormalization =
  (centered: boolean): Kernel =>
  (call) => {
    const { node } = call;
    const [x, skip, scale] = [input(call, 0), input(call, 1), input(call, 2)];
    const beta = centered ? optional(call, 3) : undefined;
    const bias = optional(call, centered ? 4 : 3);
    const length = x.dims.at(-1) ?? 1;
    const skipAt = offsets(call, skip, x);
    const sum = x.values.map((v, i) =>
      Math.fround(v + (skip.values[skipAt[i] ?? 0] ?? 0) + (bias?.values[i % length] ?? 0)),
    );
    const lines = normalized(sum, length, node.float("epsilon", 1e-12), centered);
    const values = lines.values.map(
      (v, i) => v * (scale.values[i % length] ?? 1) + (beta?.values[i % length] ?? 0),
    );
    const kept = x.dims.with(-1, 1);
    return [
      store(x.dtype, x.dims, values),
      store("float32", kept, lines.means),
      store("float32", kept, lines.inverseDeviations),
      store(x.dtype, x.dims, sum),
    ];
  };

const geluOf = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));
const tanhGeluOf = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** f of each element, after adding input 1 along the last dim where it is given. */
const activation =
  (f: (x: number, call: Call) => number): Kernel =>
  (call) => {
    const [x, bias] = [input(call, 0), optional(call, 1)];
    const width = bias?.values.length ?? 1;
    const values = x.values.map((v, i) => f(v + (bias?.values[i % width] ?? 0), call));
    return [store(x.dtype, x.dims, values)];
  };

const gelu = activation((x, { node }) =>
  node.string("approximate", "none") === "tanh" ? tanhGeluOf(x) : geluOf(x),
);

const leakyRelu = activation((x, { node }) => (x < 0 ? x * node.float("alpha", 0.01) : x));
const quickGelu = activation((x, { node }) => x / (1 + Math.exp(-node.float("alpha", 1.702) * x)));

/** Positions of what is not zero, one row per dim. */
const nonZero: Kernel = (call) => {
  const { dims, values } = input(call, 0);
  const places = values.flatMap((v, i) => (v === 0 ? [] : [i]));
  const rows = dims.flatMap((size, axis) => {
    const inner = product(dims.slice(axis + 1));
    return places.map((p) => Math.floor(p / inner) % size);
  });
  return [store("int64", [dims.length, places.length], rows)];
};

export const FLOAT: KernelTable = {
  MatMul: matMul,
  Gemm: gemm,
  Conv: conv,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  LayerNormalization: normalization(true),
  RMSNormalization: normalization(false),
  SimplifiedLayerNormalization: normalization(false),
  Gelu: gelu,
  LeakyRelu: leakyRelu,
  NonZero: nonZero,
  "com.microsoft.FusedMatMul": fusedMatMul,
  "com.microsoft.SkipLayerNormalization": skipNormalization(true),
  "com.microsoft.SkipSimplifiedLayerNormalization": skipNormalization(false),
  "com.microsoft.Gelu": gelu,
  "com.microsoft.BiasGelu": activation(geluOf),
  "com.microsoft.FastGelu": activation(tanhGeluOf),
  "com.microsoft.QuickGelu": quickGelu,
};

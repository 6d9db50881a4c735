// Operators with a window over spatial dims: convolution, pooling, and resizing.
import type { Dim } from "../graph/graph.js";
import {
  axesIn,
  elementsOf,
  firstDType,
  likeInput,
  unknownDims,
  type Fact,
  type InferContext,
  type InferRule,
  type OpTable,
} from "./facts.js";
import { floatsOf } from "../onnx/values.js";
import { addDims, floorDivideDims, maxDims, multiplyDims, subtractDims } from "./symbols.js";

interface Window {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** All befores, then all afters. */
  readonly pads: readonly number[];
  readonly autoPad: string;
}

function windowOf({ node }: InferContext, rank: number, kernel: readonly Dim[]): Window {
  const ones = Array.from({ length: rank }, () => 1);
  return {
    kernel,
    strides: node.ints("strides") ?? ones,
    dilations: node.ints("dilations") ?? ones,
    pads: node.ints("pads") ?? [...ones, ...ones].map(() => 0),
    autoPad: node.string("auto_pad", "NOTSET"),
  };
}

/** Positions of a window over one spatial dim; with `ceil`, a last one may begin inside the padding. */
function slid(dim: Dim, w: Window, i: number, ceil = false): Dim {
  const stride = w.strides[i] ?? 1;
  if (w.autoPad.startsWith("SAME")) return floorDivideDims(addDims(dim, stride - 1), stride);
  const reach = addDims(multiplyDims(subtractDims(w.kernel[i] ?? null, 1), w.dilations[i] ?? 1), 1);
  const around = (w.pads[i] ?? 0) + (w.pads[i + w.kernel.length] ?? 0);
  const padded = addDims(dim, w.autoPad === "VALID" ? 0 : around);
  const free = subtractDims(padded, reach);
  // Runtimes drop a ceiled window that begins in the padding at the end: exact only where the sizes are known.
  if (ceil && stride > 1) {
    if (typeof free !== "number" || typeof dim !== "number") return null;
    const count = Math.ceil(free / stride) + 1;
    return (count - 1) * stride >= dim + (w.pads[i] ?? 0) ? count - 1 : count;
  }
  return addDims(floorDivideDims(free, stride), 1);
}

/** X [N, C, …] by weights [M, C/group, …]: [N, M, …]. */
export const convolution =
  (x: number, w: number, dtype?: (c: InferContext) => Fact["dtype"]): InferRule =>
  (c) => {
    const [input, weights] = [c.inputs[x]?.shape, c.inputs[w]?.shape];
    const type = dtype === undefined ? firstDType([c.inputs[x], c.inputs[w]]) : dtype(c);
    const rank = input?.length ?? weights?.length;
    if (rank === undefined || rank < 3) return [{ dtype: type }];
    const kernel = c.node.ints("kernel_shape") ?? weights?.slice(2) ?? unknownDims(rank - 2);
    const window = windowOf(c, rank - 2, kernel);
    const spatial = kernel.map((_, i) => slid(input?.[i + 2] ?? null, window, i));
    return [{ dtype: type, shape: [input?.[0] ?? null, weights?.[0] ?? null, ...spatial] }];
  };

const transposed: InferRule = (c) => {
  const [x, weights] = c.inputs;
  const dtype = firstDType([x, weights]);
  const shape = x?.shape;
  if (shape === undefined || shape.length < 3) return [{ dtype }];
  const rank = shape.length - 2;
  const kernel = c.node.ints("kernel_shape") ?? weights?.shape?.slice(2) ?? unknownDims(rank);
  const { strides, dilations, pads, autoPad } = windowOf(c, rank, kernel);
  const extra = c.node.ints("output_padding") ?? [];
  const given = c.node.ints("output_shape");
  const spatial = kernel.map((k, i): Dim => {
    const dim = shape[i + 2] ?? null;
    const stride = strides[i] ?? 1;
    if (given !== undefined) return given.at(i - rank) ?? null;
    if (autoPad.startsWith("SAME")) return multiplyDims(dim, stride);
    const around = autoPad === "VALID" ? 0 : (pads[i] ?? 0) + (pads[i + rank] ?? 0);
    const reach = addDims(multiplyDims(subtractDims(k, 1), dilations[i] ?? 1), 1);
    const span = addDims(multiplyDims(subtractDims(dim, 1), stride), reach);
    return addDims(span, (extra[i] ?? 0) - around);
  });
  const channels = multiplyDims(weights?.shape?.[1] ?? null, c.node.int("group", 1));
  return [{ dtype, shape: [shape[0] ?? null, channels, ...spatial] }];
};

const pooling: InferRule = (c) => {
  const [x] = c.inputs;
  const shape = x?.shape;
  const kernel = c.node.ints("kernel_shape");
  if (shape === undefined || kernel?.length !== shape.length - 2) return [{ dtype: x?.dtype }];
  const window = windowOf(c, kernel.length, kernel);
  const ceil = c.node.int("ceil_mode", 0) !== 0;
  const spatial = kernel.map((_, i) => slid(shape[i + 2] ?? null, window, i, ceil));
  const out = [...shape.slice(0, 2), ...spatial];
  return [
    { dtype: x?.dtype, shape: out },
    { dtype: "int64", shape: out },
  ];
};

const globalPooling: InferRule = ({ inputs: [x] }) => [
  { dtype: x?.dtype, shape: x?.shape?.map((d, i) => (i < 2 ? d : 1)) },
];

/** Inputs: (X, scales) up to opset 10, (X, roi, scales, sizes) from 11 on. */
const resize: InferRule = (c) => {
  const [x] = c.inputs;
  const shape = x?.shape;
  const dtype = x?.dtype;
  if (shape === undefined) return [{ dtype }];
  const old = c.opset < 11 || c.node.op === "Upsample";
  const [scales, sizes] = old ? [c.inputs[1], undefined] : [c.inputs[2], c.inputs[3]];
  const axes = axesIn(c.node.ints("axes") ?? shape.map((_, i) => i), shape.length);
  const stretch = c.node.string("keep_aspect_ratio_policy", "stretch") === "stretch";
  if (axes === undefined || !stretch) return [{ dtype, shape: unknownDims(shape.length) }];
  const dims: Dim[] = [...shape];
  const asked = elementsOf(sizes);
  const factors =
    c.node.floats("scales") ??
    (scales?.tensor?.dtype === "float32" ? floatsOf(scales.tensor) : undefined);
  const bySize = sizes !== undefined && asked?.length !== 0;
  axes.forEach((axis, i) => {
    const [dim, factor] = [shape[axis] ?? null, factors?.[i]];
    if (bySize) dims[axis] = asked?.[i] ?? null;
    else if (factor === undefined) dims[axis] = null;
    else if (typeof dim === "number") dims[axis] = Math.floor(Math.fround(dim * factor));
    else dims[axis] = Number.isInteger(factor) ? multiplyDims(dim, factor) : null;
  });
  return [{ dtype, shape: dims }];
};

const gridSample: InferRule = ({ inputs: [x, grid] }) => {
  const spatial = grid?.shape?.slice(1, -1);
  const [n, channels] = x?.shape ?? [];
  return [{ dtype: x?.dtype, shape: spatial && [n ?? null, channels ?? null, ...spatial] }];
};

/** Roi pooling to a fixed size: [rois, C, height, width]. */
const roiAlign: InferRule = ({ node, inputs: [x, rois] }) => {
  const size = [node.int("output_height", 1), node.int("output_width", 1)];
  return [{ dtype: x?.dtype, shape: [rois?.shape?.[0] ?? null, x?.shape?.[1] ?? null, ...size] }];
};

/** Columns back into images: [N, C, …image_shape]. */
const col2Im: InferRule = ({ inputs: [x, image, block] }) => {
  const sizes = elementsOf(image);
  const area = elementsOf(block)?.reduce(multiplyDims);
  if (sizes === undefined) return [{ dtype: x?.dtype }];
  const channels = floorDivideDims(x?.shape?.[1] ?? null, area ?? null);
  const spatial = sizes.map((s) => (s === null ? null : maxDims(s, 0)));
  return [{ dtype: x?.dtype, shape: [x?.shape?.[0] ?? null, channels, ...spatial] }];
};

export const CONVOLUTIONS: OpTable = {
  Conv: { infer: convolution(0, 1) },
  ConvTranspose: { infer: transposed },
  MaxPool: { infer: pooling },
  AveragePool: { infer: pooling },
  LpPool: { infer: pooling },
  GlobalMaxPool: { infer: globalPooling },
  GlobalAveragePool: { infer: globalPooling },
  GlobalLpPool: { infer: globalPooling },
  Resize: { infer: resize },
  Upsample: { infer: resize },
  GridSample: { infer: gridSample },
  RoiAlign: { infer: roiAlign },
  Col2Im: { infer: col2Im },
  LRN: { infer: likeInput() },
};

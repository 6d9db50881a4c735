// Integer products: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv and what onnxruntime adds to them.
import type { Tensor } from "../../../src/onnx/tensor.js";
import { convolutionOf, type Convolution } from "./convolution.js";
import {
  input,
  optional,
  rangeOf,
  saturated,
  scalar,
  store,
  type Call,
  type Kernel,
  type KernelTable,
  type Numbers,
} from "./kernel.js";
import { planProduct, wholeSum, type Cell, type Plan } from "./product.js";
import { dynamicallyQuantized } from "./quantize.js";

const NONE: Numbers = { dtype: "uint8", dims: [], values: [0] };

/** A scale or zero point of the left factor: one for all, or one per row (of each batch). */
const byRow = ({ values }: Numbers, { rows }: Plan, { batch, row }: Cell): number =>
  values[values.length === 1 ? 0 : values.length === rows ? row : batch * rows + row] ?? 0;

/** A scale or zero point of the right factor: one for all, or one per column (of each batch). */
const byColumn = ({ values }: Numbers, { columns }: Plan, { batch, column }: Cell): number =>
  values[values.length === 1 ? 0 : values.length === columns ? column : batch * columns + column] ??
  0;

interface Factors {
  readonly a: Numbers;
  readonly b: Numbers;
  readonly zeroA: Numbers;
  readonly zeroB: Numbers;
}

/** Each element of the integer product, finished by `finish`. */
function integerProduct(
  { a, b, zeroA, zeroB }: Factors,
  plan: Plan,
  finish: (sum: number, cell: Cell) => number,
): number[] {
  return Array.from(plan.cells, (cell) =>
    finish(
      wholeSum(
        cell,
        plan.depth,
        a.values,
        b.values,
        byRow(zeroA, plan, cell),
        byColumn(zeroB, plan, cell),
      ),
      cell,
    ),
  );
}

const matMulInteger: Kernel = (call) => {
  const [a, b] = [input(call, 0), input(call, 1)];
  const [zeroA, zeroB] = [optional(call, 2) ?? NONE, optional(call, 3) ?? NONE];
  const plan = planProduct(call, a.dims, b.dims);
  return [
    store(
      "int32",
      plan.dims,
      integerProduct({ a, b, zeroA, zeroB }, plan, (sum) => sum),
    ),
  ];
};

/** a·b/y in float32, in the order in which onnxruntime computes it; the specification names none. */
const ratio = (a: number, b: number, y: number) => Math.fround(Math.fround(a * b) / y);

/** saturate(round(sum * factor) + zero), the sum as float32. */
const requantized = (sum: number, factor: number, zero: number, y: Numbers) =>
  saturated(Math.fround(Math.fround(sum) * factor), zero, rangeOf(y.dtype));

const qLinearMatMul: Kernel = (call) => {
  const [a, scaleA, zeroA] = [input(call, 0), input(call, 1), input(call, 2)];
  const [b, scaleB, zeroB] = [input(call, 3), input(call, 4), input(call, 5)];
  const [scaleY, zeroY] = [input(call, 6), input(call, 7)];
  const plan = planProduct(call, a.dims, b.dims);
  const values = integerProduct({ a, b, zeroA, zeroB }, plan, (sum, cell) => {
    const factor = ratio(
      byRow(scaleA, plan, cell),
      byColumn(scaleB, plan, cell),
      byRow(scaleY, plan, cell),
    );
    return requantized(sum, factor, byRow(zeroY, plan, cell), zeroY);
  });
  return [store(zeroY.dtype, plan.dims, values)];
};

/** The integer sum of one output element: what lies in the padding counts as the zero point, hence as nothing. */
function convolvedSum(
  conv: Convolution,
  at: number,
  [x, w]: readonly [Numbers, Numbers],
  zeroX: number,
  zeroW: number,
): number {
  let sum = 0;
  for (const [i, j] of conv.terms(at))
    sum = (sum + Math.imul((x.values[i] ?? 0) - zeroX, (w.values[j] ?? 0) - zeroW)) | 0;
  return sum;
}

/** One for all, or one per output channel. */
const byChannel = ({ values }: Numbers, channel: number) =>
  values[values.length === 1 ? 0 : channel] ?? 0;

const convInteger: Kernel = (call) => {
  const [x, w] = [input(call, 0), input(call, 1)];
  const [zeroX, zeroW] = [optional(call, 2) ?? NONE, optional(call, 3) ?? NONE];
  const conv = convolutionOf(call, x.dims, w.dims);
  const values = Array.from({ length: conv.size }, (_, at) =>
    convolvedSum(conv, at, [x, w], byChannel(zeroX, 0), byChannel(zeroW, conv.channel(at))),
  );
  return [store("int32", conv.dims, values)];
};

const qLinearConv: Kernel = (call) => {
  const [x, scaleX, zeroX] = [input(call, 0), scalar(call, 1), scalar(call, 2)];
  const [w, scaleW, zeroW] = [input(call, 3), input(call, 4), input(call, 5)];
  const [scaleY, zeroY, bias] = [scalar(call, 6), input(call, 7), optional(call, 8)];
  const conv = convolutionOf(call, x.dims, w.dims);
  const values = Array.from({ length: conv.size }, (_, at) => {
    const channel = conv.channel(at);
    const sum = convolvedSum(conv, at, [x, w], zeroX, byChannel(zeroW, channel));
    const factor = ratio(scaleX, byChannel(scaleW, channel), scaleY);
    return requantized(
      (sum + (bias?.values[channel] ?? 0)) | 0,
      factor,
      zeroY.values[0] ?? 0,
      zeroY,
    );
  });
  return [store(zeroY.dtype, conv.dims, values)];
};

/** sum * (scaleA * scaleB) + bias in float32. */
function scaledProduct(
  call: Call,
  factors: Factors,
  scaleA: Numbers,
  scaleB: Numbers,
  bias: Numbers | undefined,
): Tensor {
  const plan = planProduct(call, factors.a.dims, factors.b.dims);
  const values = integerProduct(factors, plan, (sum, cell) => {
    const scale = Math.fround(byRow(scaleA, plan, cell) * byColumn(scaleB, plan, cell));
    const real = Math.fround(Math.fround(sum) * scale);
    return bias === undefined ? real : Math.fround(real + (bias.values[cell.column] ?? 0));
  });
  return store("float32", plan.dims, values);
}

const matMulIntegerToFloat: Kernel = (call) => {
  const factors = {
    a: input(call, 0),
    b: input(call, 1),
    zeroA: optional(call, 4) ?? NONE,
    zeroB: optional(call, 5) ?? NONE,
  };
  return [scaledProduct(call, factors, input(call, 2), input(call, 3), optional(call, 6))];
};

const dynamicQuantizeMatMul: Kernel = (call) => {
  const a = input(call, 0);
  const { values, scale, zero } = dynamicallyQuantized(a.values);
  const factors = {
    a: { dtype: "uint8", dims: a.dims, values },
    b: input(call, 1),
    zeroA: { dtype: "uint8", dims: [], values: [zero] },
    zeroB: optional(call, 3) ?? NONE,
  } as const;
  const scaleA: Numbers = { dtype: "float32", dims: [], values: [scale] };
  return [scaledProduct(call, factors, scaleA, input(call, 2), optional(call, 4))];
};

/** alpha * scaleA * scaleB * (A·B + C), C in 32-bit integers; quantized where an output scale is given. */
const qGemm: Kernel = (call) => {
  const { node } = call;
  const [a, scaleA, zeroA] = [input(call, 0), scalar(call, 1), input(call, 2)];
  const [b, scaleB, zeroB] = [input(call, 3), input(call, 4), input(call, 5)];
  const [c, scaleY, zeroY] = [optional(call, 6), optional(call, 7), optional(call, 8)];
  const alpha = node.float("alpha", 1);
  const plan = planProduct(call, a.dims, b.dims, {
    transA: node.int("transA", 0) !== 0,
    transB: node.int("transB", 0) !== 0,
  });
  const values = integerProduct({ a, b, zeroA, zeroB }, plan, (sum, cell) => {
    const { row, column } = cell;
    const added = c === undefined ? 0 : (c.values[offsetIn(c, plan, row, column)] ?? 0);
    const scale = Math.fround(Math.fround(alpha * scaleA) * byColumn(scaleB, plan, cell));
    const whole = (sum + added) | 0;
    if (scaleY === undefined || zeroY === undefined) return Math.fround(Math.fround(whole) * scale);
    const factor = Math.fround(scale / (scaleY.values[0] ?? 1));
    return requantized(whole, factor, zeroY.values[0] ?? 0, zeroY);
  });
  const quantized = scaleY !== undefined && zeroY !== undefined;
  return [store(quantized ? zeroY.dtype : "float32", plan.dims, values)];
};

/** Where C, broadcast to [rows, columns], has an element. */
function offsetIn({ dims }: Numbers, { columns }: Plan, row: number, column: number): number {
  const [last = 1, before = 1] = dims.toReversed();
  return (before === 1 ? 0 : row * (last === 1 ? 1 : columns)) + (last === 1 ? 0 : column);
}

export const INTEGER: KernelTable = {
  MatMulInteger: matMulInteger,
  QLinearMatMul: qLinearMatMul,
  ConvInteger: convInteger,
  QLinearConv: qLinearConv,
  "com.microsoft.MatMulIntegerToFloat": matMulIntegerToFloat,
  "com.microsoft.DynamicQuantizeMatMul": dynamicQuantizeMatMul,
  "com.microsoft.QGemm": qGemm,
};

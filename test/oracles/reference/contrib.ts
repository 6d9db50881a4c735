// Quantized operators that onnxruntime adds: element by element, and with weights of a few bits in blocks.
// https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
import { broadcastOffsets, broadcastSizes } from "../../../src/ops/strided.js";
import {
  axisOf,
  input,
  optional,
  product,
  rangeOf,
  saturated,
  scalar,
  store,
  unsupported,
  type Call,
  type Kernel,
  type KernelTable,
} from "./kernel.js";

/** f of the two real numbers, quantized as the result is. */
const quantizedBinary =
  (f: (a: number, b: number) => number): Kernel =>
  (call) => {
    const [a, scaleA, zeroA] = [input(call, 0), scalar(call, 1), zeroOf(call, 2)];
    const [b, scaleB, zeroB] = [input(call, 3), scalar(call, 4), zeroOf(call, 5)];
    const [scale, zero] = [scalar(call, 6), zeroOf(call, 7)];
    const dims = broadcastSizes([a.dims, b.dims]);
    const [atA, atB] = [
      dims && broadcastOffsets(a.dims, dims),
      dims && broadcastOffsets(b.dims, dims),
    ];
    if (dims === undefined || atA === undefined || atB === undefined)
      throw unsupported(call.node, `shapes [${a.dims.join(", ")}] and [${b.dims.join(", ")}]`);
    const range = rangeOf(a.dtype);
    const values = Array.from(atA, (i, at) => {
      const x = scaleA * ((a.values[i] ?? 0) - zeroA);
      const y = scaleB * ((b.values[atB[at] ?? 0] ?? 0) - zeroB);
      return saturated(f(x, y) / scale, zero, range);
    });
    return [store(a.dtype, dims, values)];
  };

const zeroOf = (call: Call, index: number): number => optional(call, index)?.values[0] ?? 0;

/** Elements of `bits` bits, the first in the lowest bits of its byte. */
function unpacked(bytes: readonly number[], bits: number, at: number): number {
  const perByte = 8 / bits;
  const byte = bytes[Math.floor(at / perByte)] ?? 0;
  return (byte >> ((at % perByte) * bits)) & (2 ** bits - 1);
}

/**
 * A [..., K] · W' [N, K] with W in blocks of K: packed bytes [N, blocks, block * bits / 8], scales [N * blocks], zero points packed per row
 * (or as reals), 2^(bits - 1) where they are left out.
 */
const matMulNBits: Kernel = (call) => {
  const { node } = call;
  const [a, packed, scales] = [input(call, 0), input(call, 1), input(call, 2)];
  const [zeros, groups, bias] = [optional(call, 3), optional(call, 4), optional(call, 5)];
  const [depth, columns] = [node.int("K", 0), node.int("N", 0)];
  const [bits, block] = [node.int("bits", 4), node.int("block_size", 0)];
  const blocks = Math.ceil(depth / block);
  if (a.dims.at(-1) !== depth || packed.values.length !== (columns * blocks * block * bits) / 8)
    throw unsupported(node, `inputs [${a.dims.join(", ")}] and [${packed.dims.join(", ")}]`);
  const zerosPerRow = Math.ceil((blocks * bits) / 8) * (8 / bits);
  const zeroAt = (n: number, g: number): number => {
    if (zeros === undefined) return 2 ** (bits - 1);
    if (zeros.dtype !== "uint8") return zeros.values[n * blocks + g] ?? 0;
    return unpacked(zeros.values, bits, n * zerosPerRow + g);
  };
  const weights = Array.from({ length: columns * depth }, (_, i) => {
    const [n, k] = [Math.floor(i / depth), i % depth];
    const group = groups?.values[k] ?? Math.floor(k / block);
    const code = unpacked(packed.values, bits, n * blocks * block + k);
    return (code - zeroAt(n, group)) * (scales.values[n * blocks + group] ?? 0);
  });
  const rows = product(a.dims.slice(0, -1));
  const values = Array.from({ length: rows * columns }, (_, i) => {
    const [row, n] = [Math.floor(i / columns), i % columns];
    let sum = bias?.values[n] ?? 0;
    for (let k = 0; k < depth; k++)
      sum += (a.values[row * depth + k] ?? 0) * (weights[n * depth + k] ?? 0);
    return sum;
  });
  return [store(a.dtype, [...a.dims.slice(0, -1), columns], values)];
};

/** Rows (along `gather_axis`) of a table that is quantized in blocks along `quantize_axis`, dequantized as they are taken. */
const gatherBlockQuantized: Kernel = (call) => {
  const { node } = call;
  const [data, indices, scales, zeros] = [
    input(call, 0),
    input(call, 1),
    input(call, 2),
    optional(call, 3),
  ];
  const bits = node.int("bits", 4);
  // Bytes hold several elements of the last axis.
  const perByte = data.dtype === "uint8" ? 8 / bits : 1;
  const dims = data.dims.with(-1, (data.dims.at(-1) ?? 1) * perByte);
  const gather = axisOf(call, node.int("gather_axis", 0), dims.length);
  const quantize = axisOf(call, node.int("quantize_axis", 1), dims.length);
  const block = node.int("block_size", 128);
  const middle = data.dtype === "uint8" ? 2 ** (bits - 1) : 0;
  const size = dims[quantize] ?? 1;
  const blocks = Math.ceil(size / block);
  const inner = product(dims.slice(quantize + 1));
  const real = (i: number): number => {
    const place = Math.floor(i / inner) % size;
    const outer = Math.floor(i / (inner * size));
    const at = (outer * blocks + Math.floor(place / block)) * inner + (i % inner);
    const zeroPlace =
      perByte === 1 ? at : outer * Math.ceil(blocks / perByte) * perByte + (at % blocks);
    const zero =
      zeros === undefined
        ? middle
        : perByte === 1
          ? (zeros.values[at] ?? 0)
          : unpacked(zeros.values, bits, zeroPlace);
    const code = perByte === 1 ? (data.values[i] ?? 0) : unpacked(data.values, bits, i);
    return (code - zero) * (scales.values[at] ?? 0);
  };
  const [outer, rows, after] = [
    product(dims.slice(0, gather)),
    dims[gather] ?? 1,
    product(dims.slice(gather + 1)),
  ];
  const values: number[] = [];
  for (let o = 0; o < outer; o++)
    for (const index of indices.values)
      for (let i = 0; i < after; i++)
        values.push(real((o * rows + (index < 0 ? index + rows : index)) * after + i));
  return [store(scales.dtype, dims.toSpliced(gather, 1, ...indices.dims), values)];
};

export const CONTRIB: KernelTable = {
  "com.microsoft.QLinearAdd": quantizedBinary((a, b) => a + b),
  "com.microsoft.QLinearMul": quantizedBinary((a, b) => a * b),
  "com.microsoft.MatMulNBits": matMulNBits,
  "com.microsoft.GatherBlockQuantized": gatherBlockQuantized,
};

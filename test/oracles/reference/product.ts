// Matrix products with broadcast batches, element by element: the one loop behind every kind of product.
import { broadcastOffsets, broadcastSizes } from "../../../src/ops/strided.js";
import { product, unsupported, type Call } from "./kernel.js";

/** One element of a product: where its row and its column begin. */
export interface Cell {
  /** Position in the result. */
  readonly at: number;
  /** Batch of the result, row and column. */
  readonly batch: number;
  readonly row: number;
  readonly column: number;
  /** Offsets of the first factors, and steps to the next ones. */
  readonly a: number;
  readonly b: number;
  readonly stepA: number;
  readonly stepB: number;
}

export interface Plan {
  readonly dims: readonly number[];
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly cells: Iterable<Cell>;
}

/** numpy's matmul; `transA` and `transB` turn the last two dims. */
export function planProduct(
  call: Call,
  a: readonly number[],
  b: readonly number[],
  { transA = false, transB = false } = {},
): Plan {
  const misfit = () => unsupported(call.node, `shapes [${a.join(", ")}] × [${b.join(", ")}]`);
  if (a.length === 0 || b.length === 0) throw misfit();
  const [wideA, wideB] = [a.length === 1 ? [1, ...a] : a, b.length === 1 ? [...b, 1] : b];
  const [a0 = 1, a1 = 1] = wideA.slice(-2);
  const [b0 = 1, b1 = 1] = wideB.slice(-2);
  const [rows, depth] = transA ? [a1, a0] : [a0, a1];
  const [depthB, columns] = transB ? [b1, b0] : [b0, b1];
  const batch = broadcastSizes([wideA.slice(0, -2), wideB.slice(0, -2)]);
  if (batch === undefined || depth !== depthB) throw misfit();
  const offsetsA = broadcastOffsets(wideA.slice(0, -2), batch);
  const offsetsB = broadcastOffsets(wideB.slice(0, -2), batch);
  if (offsetsA === undefined || offsetsB === undefined) throw misfit();
  const dims = [...batch, ...(a.length === 1 ? [] : [rows]), ...(b.length === 1 ? [] : [columns])];
  const [rowA, stepA] = transA ? [1, a1] : [a1, 1];
  const [columnB, stepB] = transB ? [b1, 1] : [1, b1];
  function* cells(): Generator<Cell> {
    let at = 0;
    for (let n = 0; n < product(batch ?? []); n++)
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++)
          yield {
            at: at++,
            batch: n,
            row,
            column,
            a: (offsetsA?.[n] ?? 0) * rows * depth + row * rowA,
            b: (offsetsB?.[n] ?? 0) * depth * columns + column * columnB,
            stepA,
            stepB,
          };
  }
  return { dims, rows, columns, depth, cells: cells() };
}

/** The sum of products of reals, in double precision. */
export function realSum(
  cell: Cell,
  depth: number,
  a: readonly number[],
  b: readonly number[],
): number {
  let sum = 0;
  for (let k = 0; k < depth; k++)
    sum += (a[cell.a + k * cell.stepA] ?? 0) * (b[cell.b + k * cell.stepB] ?? 0);
  return sum;
}

/** The sum of products of integers less their zero points, in 32 bits that wrap around. */
export function wholeSum(
  cell: Cell,
  depth: number,
  a: readonly number[],
  b: readonly number[],
  zeroA: number,
  zeroB: number,
): number {
  let sum = 0;
  for (let k = 0; k < depth; k++) {
    const x = (a[cell.a + k * cell.stepA] ?? 0) - zeroA;
    const y = (b[cell.b + k * cell.stepB] ?? 0) - zeroB;
    sum = (sum + Math.imul(x, y)) | 0;
  }
  return sum;
}

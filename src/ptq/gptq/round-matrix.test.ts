import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { noise } from "../../../test/build.js";
import { encodeChannels, channelScales } from "../../quant/scales.js";
import { ortNode } from "../../runtime/ort-node.js";
import { runtimeProducts } from "../../runtime/products.js";
import { cholesky } from "./cholesky.js";
import { roundAgainst, roundingOrder, type RoundingOrder } from "./round-matrix.js";

const products = runtimeProducts(ortNode);
afterAll(() => products.release());

const fail = (): never => {
  throw new Error("not finite");
};

/** Σ x xᵀ of rows whose channels hang together and differ in size. */
function covariance(size: number, rows: number, seed: number): Float32Array {
  const factors = noise(rows * 3, seed);
  const mixing = noise(3 * size, seed + 1);
  const own = noise(rows * size, seed + 2);
  const x = new Float32Array(rows * size);
  for (let r = 0; r < rows; r++)
    for (let k = 0; k < size; k++) {
      let sum = 0.3 * (own[r * size + k] as number);
      for (let f = 0; f < 3; f++)
        sum += (factors[r * 3 + f] as number) * (mixing[f * size + k] as number);
      x[r * size + k] = sum * 2 ** (k % 5);
    }
  const gram = new Float32Array(size * size);
  for (let a = 0; a < size; a++)
    for (let b = 0; b < size; b++) {
      let sum = 0;
      for (let r = 0; r < rows; r++)
        sum += (x[r * size + a] as number) * (x[r * size + b] as number);
      gram[a * size + b] = sum;
    }
  return gram;
}

/** Σ_n eᵀ · H · e of the error e = W − scale · code of each column. */
function cost(
  weight: Float32Array,
  codes: Int8Array,
  scales: Float32Array,
  gram: Float32Array,
  size: number,
): number {
  const cols = scales.length;
  let total = 0;
  for (let n = 0; n < cols; n++) {
    const e = Float64Array.from({ length: size }, (_, k) => {
      const i = k * cols + n;
      return (weight[i] as number) - (codes[i] as number) * (scales[n] as number);
    });
    for (let a = 0; a < size; a++)
      for (let b = 0; b < size; b++)
        total += (e[a] as number) * (e[b] as number) * (gram[a * size + b] as number);
  }
  return total;
}

/** The same preparation with channels in another order. */
async function orderBy(
  permutation: readonly number[],
  { size, order, deviations }: RoundingOrder,
  gram: Float32Array,
): Promise<RoundingOrder> {
  const by = Float64Array.from(permutation, (k) => deviations[order.indexOf(k)] as number);
  const scaled = Float32Array.from({ length: size * size }, (_, i) => {
    const [r, c] = [Math.floor(i / size), i % size];
    const entry = gram[(permutation[r] as number) * size + (permutation[c] as number)] as number;
    return r === c ? 1 : entry / (by[r] as number) / (by[c] as number);
  });
  const factor = (await cholesky(scaled, size, products)) ?? fail();
  return { size, order: Uint32Array.from(permutation), deviations: by, factor };
}

describe("Cholesky", () => {
  test("the factor times its transpose is the matrix, across blocks", async () => {
    const size = 150;
    const gram = covariance(size, 200, 3);
    const matrix = new Float32Array(size * size);
    const root = (k: number) => Math.sqrt((gram[k * size + k] as number) * 1.01);
    for (let a = 0; a < size; a++)
      for (let b = 0; b < size; b++)
        matrix[a * size + b] = a === b ? 1 : (gram[a * size + b] as number) / root(a) / root(b);
    const factor = (await cholesky(matrix, size, products)) ?? fail();
    let worst = 0;
    for (let a = 0; a < size; a++)
      for (let b = 0; b <= a; b++) {
        let sum = 0;
        for (let k = 0; k < size; k++)
          sum += (factor[a * size + k] as number) * (factor[b * size + k] as number);
        worst = Math.max(worst, Math.abs(sum - (matrix[a * size + b] as number)));
        if (b < a) expect(factor[b * size + a]).toBe(0);
      }
    expect(worst).toBeLessThan(1e-5);
  });

  test("of a matrix that is not positive definite there is none", async () => {
    expect(await cholesky(Float32Array.of(1, 2, 2, 1), 2, products)).toBeUndefined();
    expect(await cholesky(Float32Array.of(1, NaN, NaN, 1), 2, products)).toBeUndefined();
  });
});

describe("rounding against a covariance", () => {
  test("costs less than rounding to the nearest, over several blocks of channels", async () => {
    const [size, cols] = [100, 24];
    const weight = noise(size * cols, 5);
    const gram = covariance(size, 300, 9);
    const scales = channelScales(weight, size, cols, 1, 127, fail);
    const order = (await roundingOrder(gram, size, products)) ?? fail();
    const matrix = { values: weight, rows: size, cols };
    const codes = await roundAgainst(matrix, scales, 127, order, products);
    const nearest = encodeChannels(weight, size, cols, 1, scales);
    const ratio =
      cost(weight, codes, scales, gram, size) / cost(weight, nearest, scales, gram, size);
    expect(ratio).toBeLessThan(0.5);
  });

  test("channels of large variance come first, which takes half a decibel more from the error", async () => {
    const [size, cols] = [60, 16];
    const weight = noise(size * cols, 5);
    const gram = covariance(size, 300, 9);
    const scales = channelScales(weight, size, cols, 1, 7, fail);
    const matrix = { values: weight, rows: size, cols };
    const errorBy = async (order: RoundingOrder) =>
      cost(weight, await roundAgainst(matrix, scales, 7, order, products), scales, gram, size);
    const byVariance = (await roundingOrder(gram, size, products)) ?? fail();
    const variances = [...byVariance.order].map((k) => gram[k * size + k] as number);
    expect(variances).toEqual(variances.toSorted((a, b) => a - b));
    const inOrder = [];
    for (const permutation of [Array.from(byVariance.order).toReversed(), [...Array(size).keys()]])
      inOrder.push(await errorBy(await orderBy(permutation, byVariance, gram)));
    const [reversed = 0, natural = 0] = inOrder;
    const own = await errorBy(byVariance);
    expect(10 * Math.log10(natural / own)).toBeGreaterThan(0.5);
    expect(10 * Math.log10(reversed / own)).toBeGreaterThan(0.5);
  });

  test("codes stay within the limit, and the same input gives the same codes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom(64, 127),
        fc.integer({ min: 1, max: 1000 }),
        async (size, cols, limit, seed) => {
          const weight = noise(size * cols, seed);
          const gram = covariance(size, 8, seed);
          const scales = channelScales(weight, size, cols, 1, limit, fail);
          const order = (await roundingOrder(gram, size, products)) ?? fail();
          const round = () =>
            roundAgainst({ values: weight, rows: size, cols }, scales, limit, order, products);
          const codes = await round();
          expect(codes.every((code) => Math.abs(code) <= limit)).toBe(true);
          expect(await round()).toEqual(codes);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("inputs that do not hang together are rounded to the nearest", async () => {
    const [size, cols] = [12, 5];
    const weight = noise(size * cols, 4);
    const gram = new Float32Array(size * size);
    for (let k = 0; k < size; k++) gram[k * size + k] = k + 1;
    const scales = channelScales(weight, size, cols, 1, 127, fail);
    const order = (await roundingOrder(gram, size, products)) ?? fail();
    const matrix = { values: weight, rows: size, cols };
    expect(await roundAgainst(matrix, scales, 127, order, products)).toEqual(
      encodeChannels(weight, size, cols, 1, scales),
    );
  });

  test("of inputs that are all zero, or not numbers, there is no order", async () => {
    expect(await roundingOrder(new Float32Array(9), 3, products)).toBeUndefined();
    expect(await roundingOrder(new Float32Array(9).fill(NaN), 3, products)).toBeUndefined();
  });
});

// The update loops against the same arithmetic in JavaScript, to the bit.
import fc from "fast-check";
import { expect, test } from "vitest";
import { kernelMemory } from "./kernels.js";

const f = Math.fround;
const STRIDE = 256;

/** Arrays of `length` in one memory, 256 bytes apart, filled with values. */
function arraysOf(length: number, fills: readonly Float32Array[]) {
  const { buffer, kernels } = kernelMemory(STRIDE * fills.length);
  const arrays = fills.map((values, i) => {
    const array = new Float32Array(buffer, i * STRIDE, length);
    array.set(values.subarray(0, length));
    return array;
  });
  return { kernels, arrays, after: new Float32Array(buffer) };
}

const values = fc.float32Array({ minLength: 40, maxLength: 40, noNaN: true, min: -8, max: 8 });
const positive = values.map((list) => list.map(Math.abs));
const length = fc.integer({ min: 1, max: 40 });
const share = fc.float({ min: f(0.001), max: f(0.999), noNaN: true });

const bits = (list: Float32Array) => [
  ...new Uint32Array(list.buffer.slice(list.byteOffset, list.byteOffset + list.byteLength)),
];

test("AdamW does in each element what its formula says, in float32", () => {
  fc.assert(
    fc.property(
      fc.tuple(values, values, values, positive),
      length,
      fc.tuple(share, share, share, share, share),
      (fills, n, [keep, clip, b1, b2, rate]) => {
        const { kernels, arrays } = arraysOf(n, fills);
        const epsilon = f(1e-6);
        const [c1, c2] = [f(1 - b1), f(1 - b2)];
        const expected = Array.from({ length: n }, (_, i) => {
          const [value = 0, gradient = 0, m = 0, v = 0] = arrays.map((array) => array[i] ?? 0);
          const g = f(gradient * clip);
          const mean = f(f(m * b1) + f(g * c1));
          const square = f(f(v * b2) + f(f(g * g) * c2));
          const change = f(f(mean * rate) / f(f(Math.sqrt(square)) + epsilon));
          return [f(f(value * keep) - change), gradient, mean, square];
        });
        kernels.adamw(
          ...([0, STRIDE, 2 * STRIDE, 3 * STRIDE, 4 * n].map(Number) as [
            number,
            number,
            number,
            number,
            number,
          ]),
          ...([keep, clip, b1, c1] as const),
          ...([b2, c2, rate, epsilon] as const),
        );
        for (const [k, array] of arrays.entries())
          expect(bits(array)).toEqual(
            bits(Float32Array.from(expected, (element) => element[k] ?? NaN)),
          );
      },
    ),
  );
});

test("SGD does in each element what its formula says, in float32", () => {
  fc.assert(
    fc.property(
      fc.tuple(values, values, values),
      length,
      fc.tuple(share, share, share, share),
      (fills, n, [keep, clip, momentum, rate]) => {
        const { kernels, arrays } = arraysOf(n, fills);
        const expected = Array.from({ length: n }, (_, i) => {
          const [value = 0, gradient = 0, m = 0] = arrays.map((array) => array[i] ?? 0);
          const mean = f(f(m * momentum) + f(gradient * clip));
          return [f(f(value * keep) - f(mean * rate)), gradient, mean];
        });
        kernels.sgd(0, STRIDE, 2 * STRIDE, 4 * n, keep, clip, momentum, rate);
        for (const [k, array] of arrays.entries())
          expect(bits(array)).toEqual(
            bits(Float32Array.from(expected, (element) => element[k] ?? NaN)),
          );
      },
    ),
  );
});

test("squares are summed in float64, gradients of further batches added", () => {
  fc.assert(
    fc.property(fc.tuple(values, values), length, (fills, n) => {
      const { kernels, arrays } = arraysOf(n, fills);
      const [into = new Float32Array(), from = new Float32Array()] = arrays;
      const squares = into.reduce((sum, x) => sum + x * x, 0);
      expect(kernels.sumOfSquares(0, 4 * n)).toBeCloseTo(squares, 9);
      const sums = into.map((x, i) => x + (from[i] ?? 0));
      kernels.add(0, STRIDE, 4 * n);
      expect(bits(into)).toEqual(bits(sums));
    }),
  );
});

test("what lies behind the last vector of an array stays as it is", () => {
  const { kernels, after } = arraysOf(
    5,
    [1, 2, 3, 4].map((x) => new Float32Array(5).fill(x)),
  );
  after.fill(7, 8, 64);
  kernels.adamw(0, STRIDE, 2 * STRIDE, 3 * STRIDE, 20, 1, 1, 0.9, 0.1, 0.999, 0.001, 0.1, 1e-8);
  expect(after.subarray(8, 64).every((x) => x === 7)).toBe(true);
});

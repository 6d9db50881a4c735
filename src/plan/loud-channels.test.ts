// Which channels are split off, by weights, bias and the norm in front: as many as pay, at most six, none that is hardly larger.
import { expect, test } from "vitest";
import { loudChannels } from "./loud-channels.js";

const [ROWS, COLS] = [16, 40];
const ones = new Float32Array(ROWS).fill(1);
const zeros = new Float32Array(ROWS);

/** Weights of size 1 whose columns are made larger by these factors. */
function weight(larger: Readonly<Record<number, number>>, transposed = false) {
  const values = new Float32Array(ROWS * COLS);
  for (let k = 0; k < ROWS; k++)
    for (let n = 0; n < COLS; n++)
      values[transposed ? n * ROWS + k : k * COLS + n] = (k % 2 === 0 ? 1 : -1) * (larger[n] ?? 1);
  return { values, rows: ROWS, cols: COLS, transposed };
}
const chosen = (larger: Readonly<Record<number, number>>) =>
  loudChannels(weight(larger), undefined, ones, zeros);

test("a channel that is half as large again as all others, and not less", () => {
  expect(chosen({ 5: 1.6 })).toEqual([5]);
  expect(chosen({ 5: 1.45 })).toEqual([]);
  expect(chosen({})).toEqual([]);
});

test("up to the widest gap, each further channel worth a tenth of the range, in the order of the channels", () => {
  expect(chosen({ 30: 9, 2: 10 })).toEqual([2, 30]);
  // 10 / 5 of one beats 10 / 4.7 / 1.1 of both, as 10 / 4 / 1.1 does not.
  expect(
    chosen({
      2: 10,
      ...Object.fromEntries(Array.from({ length: 38 }, (_, i) => [i + 3 > 39 ? 0 : i + 3, 4.7])),
      30: 5,
    }),
  ).toEqual([2]);
  expect(
    chosen({
      2: 10,
      ...Object.fromEntries(Array.from({ length: 38 }, (_, i) => [i + 3 > 39 ? 0 : i + 3, 4])),
      30: 5,
    }),
  ).toEqual([2, 30]);
});

test("six at most", () => {
  const six = { 0: 9, 4: 9, 8: 9, 12: 9, 16: 9, 20: 9 };
  expect(chosen(six)).toEqual([0, 4, 8, 12, 16, 20]);
  expect(chosen({ ...six, 24: 9 })).toEqual([]);
});

test("by the gain of the norm, its offset and the bias; stored either way", () => {
  const gamma = ones.slice();
  const one = weight({});
  // Row 3 counts for all columns alike, but for that where the weight is larger.
  one.values[3 * COLS + 7] = 3;
  gamma[3] = 0.1;
  expect(loudChannels(one, undefined, gamma, zeros)).toEqual([]);
  gamma[3] = -1;
  expect(loudChannels(one, undefined, gamma, zeros)).toEqual([7]);
  const turned = weight({ 11: 3 }, true);
  expect(loudChannels(turned, undefined, ones, zeros)).toEqual([11]);
  const bias = new Float32Array(COLS);
  bias[9] = 4;
  expect(loudChannels(weight({}), bias, ones, zeros)).toEqual([9]);
  bias[9] = -4;
  expect(loudChannels(weight({}), bias, ones, zeros)).toEqual([]);
  const beta = zeros.slice();
  beta[3] = 2;
  expect(loudChannels(one, undefined, new Float32Array(ROWS).fill(0.5), beta)).toEqual([7]);
});

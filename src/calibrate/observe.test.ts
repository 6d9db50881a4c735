import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noise } from "../../test/build.js";
import { observe } from "./observe.js";
import { KEPT_UNITS } from "./recent-units.js";
import { statisticsToJson } from "./statistics-file.js";
import { TensorStatistics } from "./tensor-statistics.js";

interface Seen {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  readonly mask: Uint8Array | undefined;
}

const value = fc.oneof(
  { weight: 20, arbitrary: fc.float({ noNaN: true, min: -4, max: 9 }) },
  { weight: 4, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 2, arbitrary: fc.constantFrom(0, -0) },
);
const bad = fc.constantFrom(NaN, Infinity, -Infinity);

/** A tensor [batch, length, channels], mostly of 3 channels, masked or not, seldom with a NaN. */
const seen = fc
  .record({
    batch: fc.integer({ min: 1, max: 3 }),
    length: fc.integer({ min: 0, max: 6 }),
    channels: fc.oneof({ weight: 12, arbitrary: fc.constant(3) }, fc.integer({ min: 1, max: 5 })),
    masked: fc.boolean(),
    flat: fc.oneof({ weight: 12, arbitrary: fc.constant(false) }, fc.boolean()),
    flaw: fc.option(fc.tuple(fc.nat(99), bad), { freq: 12 }),
  })
  .chain(({ batch, length, channels, masked, flat, flaw }) =>
    fc
      .record({
        data: fc
          .array(value, {
            minLength: batch * length * channels,
            maxLength: batch * length * channels,
          })
          .map((list) => Float32Array.from(list)),
        mask: fc.uint8Array({ minLength: batch * length, maxLength: batch * length, max: 1 }),
      })
      .map(({ data, mask }): Seen => {
        if (flaw !== null && data.length > 0) data[flaw[0] % data.length] = flaw[1];
        const dims = flat ? [batch * length, channels] : [batch, length, channels];
        return { data, dims, mask: masked ? mask : undefined };
      }),
  );

function textOf(tensor: TensorStatistics): string {
  const covered = [[0, 1000]] as const;
  const facts = { model: "m", options: {}, units: 1000, covered };
  return statisticsToJson({ ...facts, tensors: new Map([["x", tensor]]) });
}

function statisticsOf(units: Iterable<readonly [number, Seen]>): TensorStatistics {
  const tensor = new TensorStatistics();
  for (const [unit, { data, dims, mask }] of units) observe(tensor, data, dims, mask, unit);
  return tensor;
}

describe("statistics of a tensor", () => {
  test("merged from any parts in any order are those of the whole, to the byte", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(seen, fc.nat(3)), { maxLength: 12 }),
        fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
        (list, order) => {
          const units = list.map(([each, part], unit) => ({ unit, each, part }));
          const of = (part: number) =>
            units.filter((u) => u.part === part).map((u) => [u.unit, u.each] as const);
          const [a, b, c, d] = order.map((part) => statisticsOf(of(part)));
          if (a === undefined || b === undefined || c === undefined || d === undefined)
            throw new Error("four parts");
          const whole = textOf(statisticsOf(units.map((u) => [u.unit, u.each])));
          expect(textOf(statisticsOf(units.toReversed().map((u) => [u.unit, u.each])))).toBe(whole);
          // (a + b) + (c + d), then ((d + c) + b) + a.
          const [left, right] = [new TensorStatistics(), new TensorStatistics()];
          for (const part of [a, b]) left.merge(part);
          for (const part of [c, d]) right.merge(part);
          left.merge(right);
          expect(textOf(left)).toBe(whole);
          for (const part of [c, b, a]) d.merge(part);
          expect(textOf(d)).toBe(whole);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("never count a padded position, whatever stands there", () => {
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 4 }), bad, (list, garbage) => {
        const soiled = list.map(({ data, dims, mask }) => {
          const channels = dims.at(-1) ?? 1;
          const fill = (v: number, i: number) =>
            mask?.[Math.floor(i / channels)] === 0 ? ([garbage, 1e30, -7][i % 3] as number) : v;
          return { data: data.map(fill), dims, mask };
        });
        expect(textOf(statisticsOf(soiled.entries()))).toBe(textOf(statisticsOf(list.entries())));
      }),
    );
  });

  test("are what a plain computation finds", () => {
    const [rows, channels] = [37, 5];
    const data = noise(rows * channels).map((x, i) => x * (1 + (i % channels)));
    const mask = Uint8Array.from({ length: rows }, (_, row) => (row % 7 === 3 ? 0 : 1));
    const tensor = statisticsOf([[0, { data, dims: [rows, channels], mask }]]);
    const kept = (c: number) =>
      Array.from(mask).flatMap((m, row) => (m === 0 ? [] : [data[row * channels + c] as number]));
    const mean = (list: number[]) => list.reduce((sum, x) => sum + x, 0) / list.length;
    for (let c = 0; c < channels; c++) {
      expect(tensor.extremes().min[c]).toBe(Math.min(...kept(c)));
      expect(tensor.extremes().max[c]).toBe(Math.max(...kept(c)));
      expect(tensor.means()[c]).toBeCloseTo(mean(kept(c)), 12);
      expect(tensor.meanSquares()[c]).toBeCloseTo(mean(kept(c).map((x) => x * x)), 12);
    }
    expect(tensor).toMatchObject({ channels, count: 32 * channels, shape: [rows, channels] });
  });

  test("leave padding out also where the length is the last axis, whose channels are then one", () => {
    // [2, 2, 3] under the mask [2, 3], each row of it for both rows within the batch.
    const data = Float32Array.of(1, 2, NaN, 3, 4, NaN, 5, NaN, NaN, 6, NaN, NaN);
    const mask = Uint8Array.of(1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0);
    const tensor = statisticsOf([[0, { data, dims: [2, 2, 3], mask }]]);
    expect(tensor).toMatchObject({ count: 6, min: 1, max: 6, shape: [2, 2, null] });
    expect([...tensor.means()]).toEqual([3.5]);
  });

  test("of one element each, of a scalar, and of nothing", () => {
    const scalar = statisticsOf([[0, { data: Float32Array.of(3), dims: [], mask: undefined }]]);
    expect(scalar).toMatchObject({ channels: 1, count: 1, min: 3, max: 3 });
    const empty = statisticsOf([[0, { data: new Float32Array(0), dims: [0, 4], mask: undefined }]]);
    expect(empty).toMatchObject({ channels: 4, count: 0, min: Infinity, max: -Infinity });
  });

  test("keep the halves of the sample apart", () => {
    const one = (x: number) => ({ data: Float32Array.of(x, -x), dims: [1, 2], mask: undefined });
    const [even, odd] = statisticsOf([1, 5, 2, 4].map((x, i) => [i, one(x)] as const)).halves;
    expect([...even.min, ...even.max]).toEqual([1, -2, 2, -1]);
    expect([...odd.min, ...odd.max]).toEqual([4, -5, 5, -4]);
  });

  test("tell the first unit with a NaN or an infinity, and how many there are", () => {
    const of = (x: number) => ({ data: Float32Array.of(1, x), dims: [2], mask: undefined });
    const tensor = statisticsOf([of(1), of(NaN), of(2), of(-Infinity)].entries());
    expect(tensor).toMatchObject({ nonFinite: { first: 1, units: 2 }, count: 4, max: 2 });
  });

  test("stay of one size however many units there are", () => {
    const tensor = statisticsOf(
      Array.from({ length: 3 * KEPT_UNITS }, (_, i) => {
        const unit = 3 * KEPT_UNITS - 1 - i;
        return [unit, { data: Float32Array.of(unit), dims: [1], mask: undefined }] as const;
      }),
    );
    const kept = tensor.recent.ranges();
    expect([kept.length, kept[0]?.unit, kept.at(-1)?.max]).toEqual([
      KEPT_UNITS,
      2 * KEPT_UNITS,
      3 * KEPT_UNITS - 1,
    ]);
  });
});

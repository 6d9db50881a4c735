import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { random } from "../math/random.js";
import {
  channelScales,
  encodeChannels,
  FULL_RANGE,
  refineScales,
  transposeCodes,
} from "./scales.js";

const fail = (index: number): never => {
  throw new Error(`bad value at ${index}`);
};

const matrix = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
  .chain(([rows, cols]) =>
    fc.record({
      rows: fc.constant(rows),
      cols: fc.constant(cols),
      values: fc.float32Array({
        minLength: rows * cols,
        maxLength: rows * cols,
        noNaN: true,
        noDefaultInfinity: true,
        min: Math.fround(-1e6),
        max: Math.fround(1e6),
      }),
    }),
  );

function squaredErrors(
  values: Float32Array,
  rows: number,
  cols: number,
  axis: 0 | 1,
  scales: Float32Array,
): number[] {
  const errors = Array.from(scales, () => 0);
  encodeChannels(values, rows, cols, axis, scales).forEach((q, i) => {
    const c = axis === 0 ? Math.floor(i / cols) : i % cols;
    errors[c] = (errors[c] ?? 0) + (q * (scales[c] ?? 0) - (values[i] ?? 0)) ** 2;
  });
  return errors;
}

describe("weights in INT8", () => {
  it("reach the largest code in every channel that is not zero, and never pass it", () => {
    fc.assert(
      fc.property(matrix, fc.constantFrom<0 | 1>(0, 1), ({ rows, cols, values }, axis) => {
        const scales = channelScales(values, rows, cols, axis, FULL_RANGE, fail);
        const codes = encodeChannels(values, rows, cols, axis, scales);
        const largest = new Map<number, number>();
        codes.forEach((q, i) => {
          const channel = axis === 0 ? Math.floor(i / cols) : i % cols;
          largest.set(channel, Math.max(largest.get(channel) ?? 0, Math.abs(q)));
        });
        for (const [channel, q] of largest) {
          const zero = values.every(
            (v, i) =>
              (axis === 0 ? Math.floor(i / cols) : i % cols) !== channel || Math.abs(v) < 1e-35,
          );
          expect(q).toBe(zero ? 0 : FULL_RANGE);
        }
      }),
    );
  });

  it("lie within half a step of the float value", () => {
    fc.assert(
      fc.property(matrix, fc.constantFrom<0 | 1>(0, 1), ({ rows, cols, values }, axis) => {
        const scales = channelScales(values, rows, cols, axis, FULL_RANGE, fail);
        const codes = encodeChannels(values, rows, cols, axis, scales);
        codes.forEach((q, i) => {
          const scale = scales[axis === 0 ? Math.floor(i / cols) : i % cols] ?? 0;
          expect(Math.abs(q * scale - (values[i] ?? 0))).toBeLessThanOrEqual(scale * 0.500001);
        });
      }),
    );
  });

  it("never have more squared error after their scales were refined", () => {
    fc.assert(
      fc.property(matrix, fc.constantFrom<0 | 1>(0, 1), ({ rows, cols, values }, axis) => {
        const plain = channelScales(values, rows, cols, axis, FULL_RANGE, fail);
        const refined = refineScales(values, rows, cols, axis, plain, FULL_RANGE);
        const before = squaredErrors(values, rows, cols, axis, plain);
        const after = squaredErrors(values, rows, cols, axis, refined);
        for (const [c, error] of before.entries())
          expect(after[c]).toBeLessThanOrEqual(error * (1 + 1e-6));
      }),
    );
  });

  it("have a tenth less squared error in tables of 64 elements a row, and the same in wide ones", () => {
    const draw = random(1);
    for (const [cols, least, most] of [
      [64, 0.8, 0.92],
      [384, 1, 1],
    ] as const) {
      const values = Float32Array.from({ length: 200 * cols }, () => draw.normal());
      const plain = channelScales(values, 200, cols, 0, FULL_RANGE, fail);
      const refined = refineScales(values, 200, cols, 0, plain, FULL_RANGE);
      const [before, after] = [plain, refined].map((scales) =>
        squaredErrors(values, 200, cols, 0, scales).reduce((sum, e) => sum + e, 0),
      );
      const ratio = (after ?? NaN) / (before ?? NaN);
      expect(ratio).toBeGreaterThanOrEqual(least);
      expect(ratio).toBeLessThanOrEqual(most);
    }
  });

  it("round ties to even", () => {
    const values = Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5);
    const scales = channelScales(values, 1, 7, 0, FULL_RANGE, fail);
    expect([...encodeChannels(values, 1, 7, 0, scales)]).toEqual([127, 0, 2, 2, 0, -2, -2]);
  });

  it("name the first value that is not finite, wherever it stands", () => {
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      for (const axis of [0, 1] as const) {
        for (let at = 0; at < 6; at++) {
          const values = Float32Array.of(1, 2, 3, 4, 5, 6);
          values[at] = bad;
          expect(() => channelScales(values, 2, 3, axis, FULL_RANGE, fail)).toThrow(
            `bad value at ${at}`,
          );
        }
      }
    }
  });

  it("transpose back to themselves", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 150 }), (r, c) => {
        const codes = Int8Array.from({ length: r * c }, (_, i) => i % 251);
        expect(transposeCodes(transposeCodes(codes, r, c), c, r)).toEqual(codes);
      }),
    );
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { affineOf } from "./affine.js";
import type { ActivationSpec } from "./plan.js";

const ranges = fc
  .record({
    min: fc.double({ min: -1e6, max: 0, noNaN: true }),
    max: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  })
  .map(({ min, max }) => ({ min: min === 0 ? 0 : min, max }));

const FORMS = {
  "UINT8 with a zero point": { dtype: "uint8", low: 0, high: 255 },
  "INT8 with a zero point": { dtype: "int8", low: -128, high: 127 },
  "symmetric INT8": { dtype: "int8", symmetric: true, low: -127, high: 127 },
} as const;

test.each(Object.entries(FORMS))("%s reaches both ends of its range, and has 0", (_name, form) => {
  const { low, high, ...rest } = form;
  fc.assert(
    fc.property(ranges, (range) => {
      const spec: ActivationSpec = { ...rest, granularity: "per-tensor", range };
      const { scale, zeroPoint } = affineOf(spec);
      expect(Math.fround(scale)).toBe(scale);
      expect(zeroPoint).toBeGreaterThanOrEqual(low);
      expect(zeroPoint).toBeLessThanOrEqual(high);
      // Within half a step at most, where the zero point was rounded.
      expect(scale * (high - zeroPoint)).toBeGreaterThanOrEqual(range.max - scale * 0.5001);
      expect(scale * (low - zeroPoint)).toBeLessThanOrEqual(range.min + scale * 0.5001);
    }),
  );
});

test("symmetric forms have the zero point 0, probabilities in UINT8 a step of 1/255", () => {
  const range = { min: -1, max: 254 };
  const base = { granularity: "per-tensor", symmetric: true, range } as const;
  expect(affineOf({ ...base, dtype: "int8" })).toEqual({ scale: 2, zeroPoint: 0 });
  expect(affineOf({ ...base, dtype: "uint8" }).zeroPoint).toBe(0);
  const unit = { dtype: "uint8", granularity: "per-tensor", range: { min: 0, max: 1 } } as const;
  expect(affineOf(unit)).toEqual({ scale: Math.fround(1 / 255), zeroPoint: 0 });
});

test("a range found at run time has no numbers", () =>
  expect(() => affineOf({ dtype: "uint8", granularity: "per-tensor", range: "dynamic" })).toThrow(
    /internal: a range found at run time/,
  ));

import { expect, test } from "vitest";
import { noise } from "../../test/build.js";
import { cutValues, mseScales } from "./mse.js";
import { channelScales, encodeChannels, squaredErrors } from "./scales.js";

const never = (): never => {
  throw new Error("not finite");
};

test.each([0, 1] as const)(
  "a channel with one loud value gets finer steps, along axis %d",
  (axis) => {
    const [rows, cols] = axis === 0 ? [4, 600] : [600, 4];
    const values = noise(rows * cols, 1).map((v) => v / 10);
    const loud = axis === 0 ? cols + 5 : 5 * cols + 1;
    values[loud] = 1.5;
    const limit = 7;
    const whole = channelScales(values, rows, cols, axis, limit, never);
    const scales = mseScales(values, rows, cols, axis, whole, limit);
    expect(scales[1]).toBeLessThan(whole[1] ?? 0);
    const before = squaredErrors(values, rows, cols, axis, whole, limit);
    const after = squaredErrors(values, rows, cols, axis, scales, limit);
    after.forEach((error, c) => expect(error).toBeLessThanOrEqual(before[c] ?? 0));
    const held = cutValues(values, rows, cols, axis, scales, limit);
    const codes = encodeChannels(held, rows, cols, axis, scales);
    expect(codes[loud]).toBe(limit);
    expect(codes.every((code) => Math.abs(code) <= limit)).toBe(true);
  },
);

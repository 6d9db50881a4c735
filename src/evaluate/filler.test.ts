// Outputs that hold filler, nothing, or no numbers: a collapsed model behind them is seen, and nothing compared is said.
import { describe, expect, test } from "vitest";
import { ortNode } from "../runtime/ort-node.js";
import { buildModel, bytesOf, type Builder } from "../../test/build.js";
import { checkAgainst, checkWarnings, expectedOf } from "./check.js";
import { noiseSums, signalToNoise } from "./snr.js";

const LOWEST = -3.4028234663852886e38;

describe("the ratio", () => {
  test.each([-1e4, -65504, LOWEST, 1e9])("leaves filler of %d out", (filler) => {
    const reference = [3, filler, 4, filler];
    const candidate = [3, filler, 3, filler];
    expect(signalToNoise({ reference, candidate })).toBeCloseTo(10 * Math.log10(25), 6);
    const sums = noiseSums();
    sums.add(reference, candidate);
    expect(sums.compared()).toBe(2);
  });

  test("counts large values that differ, or are not alone far above the others", () => {
    expect(signalToNoise({ reference: [3, -1e4], candidate: [3, -9e3] })).toBeCloseTo(20, 2);
    expect(signalToNoise({ reference: [3, 9e3, 1e4], candidate: [2, 9e3, 1e4] })).toBeGreaterThan(
      70,
    );
    expect(signalToNoise({ reference: [3, 100], candidate: [2, 100] })).toBeGreaterThan(40);
  });

  test("is none where nothing is left", () => {
    for (const nothing of [[], [NaN, NaN], [Infinity], [LOWEST, LOWEST]])
      expect(signalToNoise({ reference: nothing, candidate: nothing })).toBeNaN();
    expect(signalToNoise({ reference: [1], candidate: [] })).toBe(-Infinity);
    expect(signalToNoise({ reference: [1], candidate: [NaN] })).toBe(-Infinity);
  });
});

describe("the check", () => {
  const x = { dtype: "float32", dims: [1, 3], data: Float32Array.of(1, 2, 3) } as const;
  async function checked(float: (b: Builder) => void, quantized = float) {
    const [left, right] = [float, quantized].map((build) => bytesOf(buildModel(build)));
    const inputs = { feeds: [{ x }], inputs: "synthetic" } as const;
    const reference = await ortNode.load(left as Uint8Array);
    const expected = await expectedOf(reference, inputs);
    await reference.release();
    const candidate = await ortNode.load(right as Uint8Array);
    const report = await checkAgainst(expected, candidate, inputs);
    await candidate.release();
    return { report, warnings: checkWarnings(report) };
  }

  /** Only the first two are told; the third is filler. */
  const filled = (factor: number) => (b: Builder) => {
    const scaled = b.op("scaled", "Mul", [b.input("x", [1, 3]), b.float("factor", factor)]);
    const told = b.op("told", "Less", [
      b.op("one", "Mul", [scaled, b.float("zero", [0, 0, 1])]),
      b.float("half", 0.5),
    ]);
    b.output(b.op("y", "Where", [told, scaled, b.float("filler", LOWEST)]));
  };

  test("sees a collapsed model behind filler", async () => {
    const { report, warnings } = await checked(filled(1), filled(0.2));
    expect(report.snrDb).toBeCloseTo(-20 * Math.log10(0.8), 3);
    expect(warnings[0]).toMatch(/far from the float model/);
  });

  test("says where an output is empty, or is NaN throughout", async () => {
    const { report, warnings } = await checked((b) => {
      const input = b.input("x", [1, 3]);
      b.output(
        b.op("empty", "Slice", [input, b.int("from", [3]), b.int("to", [9]), b.int("axis", [1])]),
        b.op("nan", "Sqrt", [b.op("negative", "Neg", [input])]),
      );
    });
    expect(report).toMatchObject({ outputs: [{ name: "empty" }, { name: "nan" }] });
    expect(report.snrDb).toBeUndefined();
    expect(warnings).toEqual([
      expect.stringMatching(/^Output "empty" was not compared: .*--data/),
      expect.stringMatching(/^Output "nan" was not compared: .*--data/),
    ]);
  });
});

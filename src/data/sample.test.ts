import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RecordSource } from "./records.js";
import { sampleRecords, type SampleOptions } from "./sample.js";

async function* numbered(count: number): RecordSource {
  for (let i = 0; i < count; i++) yield { text: String(i) };
  await Promise.resolve();
}

async function sample(count: number, options: SampleOptions): Promise<number[]> {
  const { records, seen } = await sampleRecords(numbered(count), options);
  expect(seen).toBe(count);
  return records.map((record) => ("text" in record ? Number(record.text) : NaN));
}

describe("a sample", () => {
  test("is the same for the same seed, number and source, on every platform", async () => {
    expect(await sample(1000, { samples: 8 })).toMatchInlineSnapshot(`
      [
        867,
        466,
        390,
        512,
        479,
        91,
        607,
        127,
      ]
    `);
    expect(await sample(1000, { samples: 8, seed: 7 })).toMatchInlineSnapshot(`
      [
        546,
        261,
        788,
        203,
        823,
        369,
        656,
        766,
      ]
    `);
  });

  test("holds each record once at most; a smaller one is the beginning of a larger one", async () => {
    const size = fc.integer({ min: 1, max: 400 });
    await fc.assert(
      fc.asyncProperty(fc.nat(1500), size, size, fc.integer(), async (count, a, b, seed) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)];
        const drawn = await sample(count, { samples: large, seed });
        expect(drawn.length).toBe(Math.min(large, count));
        expect(new Set(drawn).size).toBe(drawn.length);
        expect(await sample(count, { samples: small, seed })).toEqual(drawn.slice(0, small));
      }),
    );
  });

  test("is spread over the whole source, and shuffled", async () => {
    const drawn = await sample(100_000, { samples: 2000 });
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const i of drawn) tenths[Math.floor(i / 10_000)]!++;
    expect(Math.min(...tenths)).toBeGreaterThan(150);
    expect(Math.max(...tenths)).toBeLessThan(250);
    const first = drawn.slice(0, 1000).reduce((sum, i) => sum + i, 0) / 1000;
    expect(Math.abs(first - 50_000)).toBeLessThan(5000);
    expect(drawn).not.toEqual(drawn.toSorted((a, b) => a - b));
  });

  test("of all records is the source as it is", async () => {
    expect(await sample(300, { samples: "all" })).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  test("of a number that there is not is refused; the signal stops it", async () => {
    for (const samples of [0, -1, 1.5, NaN])
      await expect(sample(3, { samples })).rejects.toThrow('Option "samples"');
    await expect(sample(3, { samples: 1, seed: 0.5 })).rejects.toThrow('Option "seed"');
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(sample(3, { samples: 1, signal })).rejects.toThrow("enough");
  });
});

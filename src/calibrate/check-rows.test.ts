// The rows of the check are not those that calibration saw.
import { expect, test } from "vitest";
import { layerModel, normals } from "../../test/layer.js";
import { runOn, stepHost } from "../../test/step-host.js";
import type { DataRecord, RecordSource } from "../data/records.js";
import type { RunBatch } from "../data/run-batches.js";
import type { Host } from "../host/host.js";
import { drawFor, rowsForCheck } from "./calibrate-sites.js";

const COUNT = 400;
const model = layerModel(normals(4, 3, 1));

/** Record r is one row of tokens whose values are all r. */
const records: DataRecord[] = Array.from({ length: COUNT }, (_, r) => ({
  inputs: {
    x: { dtype: "float32", dims: [1, 1, 4], data: new Float32Array(4).fill(r) },
    attention_mask: { dtype: "int64", dims: [1, 1], data: BigInt64Array.of(1n) },
  },
}));
async function* sourceOf(all: readonly DataRecord[]): RecordSource {
  await Promise.resolve();
  yield* all;
}

const host: Host = {
  ...stepHost,
  records: () => sourceOf(records),
};
const run = runOn(host);

const numbersOf = (batches: Iterable<Pick<RunBatch, "feeds">>) =>
  [...batches].map(({ feeds }) => Number(feeds["x"]?.data[0]));

const options = { data: ["data.jsonl"], columns: {}, seed: 5 };

test("16 rows by themselves, of another draw than the sample of calibration, and the same each time", async () => {
  const rows = await rowsForCheck(run, model, options);
  const own = numbersOf(rows);
  expect(own).toHaveLength(16);
  expect(rows.map(({ rows: each }) => each)).toEqual(Array<number>(16).fill(1));
  expect(new Set(own).size).toBe(16);
  expect(numbersOf(await rowsForCheck(run, model, options))).toEqual(own);
  const drawn = await drawFor(run, model, ["x"], { ...options, samples: 16 })();
  const seen = new Set(numbersOf(drawn.batches));
  expect(seen.size).toBe(16);
  // By chance 16 · 16 / 400 of them.
  expect(own.filter((row) => seen.has(row)).length).toBeLessThan(5);
});

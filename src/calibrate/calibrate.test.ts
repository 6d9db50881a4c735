import { describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise } from "../../test/build.js";
import { inferTypes } from "../ops/infer.js";
import { ortNode } from "../runtime/ort-node.js";
import type { Runtime, RuntimeTensor } from "../runtime/runtime.js";
import { calibrate, type CalibrationRun } from "./calibrate.js";
import {
  emptyStatistics,
  mergeStatistics,
  parseStatistics,
  statisticsToJson,
} from "./statistics-file.js";
import { detectMask, addObservers, type Observer } from "./observers.js";
import type { CalibrationUnit } from "./visit.js";

const WIDTH = 4;
const UNITS = 6;

/** ids [batch, seq] and their embeddings, which go through a layer, flattened and back. */
function encoder() {
  const model = buildModel(
    (b) => {
      const ids = b.input("ids", ["batch", "seq"], "int64");
      b.input("mask", ["batch", "seq"], "int64");
      const words = b.float("words", [...noise(50 * WIDTH)], [50, WIDTH]);
      const rows = b.op("rows", "Gather", [words, ids]);
      const flat = b.op("flat", "Reshape", [rows, b.int("shape", [-1, WIDTH])]);
      const weight = b.float("w", [...noise(WIDTH * 8, 3)], [WIDTH, 8]);
      const hidden = b.op("hidden", "MatMul", [flat, weight]);
      const act = b.op("act", "Relu", [hidden]);
      const pooled = b.op("pooled", "ReduceMean", [rows], { axes: [1], keepdims: 0 });
      b.output(b.op("y", "ReduceSum", [act], { keepdims: 0 }), pooled);
    },
    { opset: 13 },
  );
  inferTypes(model);
  return model;
}

const NAMES = ["rows", "act", "pooled"];
const model = encoder();
const observers: Observer[] = NAMES.map((name) => ({
  name,
  masked: detectMask(model.graph.value(name)?.shape, model.graph.value("mask")?.shape),
}));
const unobserved = addObservers(model, NAMES);
const bytes = bytesOf(model);
const start = () => emptyStatistics({ model: "m", options: { seed: 1 }, units: UNITS }, NAMES);

/** Unit u has 2 rows of 3 + u tokens; the second is 1 + u tokens long, and `padding` after that. */
function* batches(padding = 0, units = [0, 1, 2, 3, 4, 5]): Generator<CalibrationUnit> {
  for (const unit of units) {
    const length = 3 + unit;
    const mask = new Uint8Array(2 * length).fill(1).fill(0, length + 1 + unit);
    const ids = BigInt64Array.from(mask, (m, i) => BigInt(m === 0 ? padding : (7 * i + unit) % 40));
    const int64 = (data: BigInt64Array): RuntimeTensor => ({
      dtype: "int64",
      dims: [2, length],
      data,
    });
    yield { unit, mask, feeds: { ids: int64(ids), mask: int64(BigInt64Array.from(mask, BigInt)) } };
  }
}

const run = (more: Partial<CalibrationRun> = {}) =>
  calibrate({
    runtime: ortNode,
    model: bytes,
    threads: 1,
    observers,
    batches: batches(),
    statistics: start(),
    ...more,
  });
const textOf = async (more?: Partial<CalibrationRun>) => statisticsToJson(await run(more));

describe("a calibration", () => {
  test("sees what the model computes, padding left out", async () => {
    expect(unobserved).toEqual([]);
    expect(observers.map(({ masked }) => masked)).toEqual(["batch-length", "flat", "none"]);
    const { tensors, covered } = await run();
    expect(covered).toEqual([[0, UNITS]]);
    const tokens = [0, 1, 2, 3, 4, 5].reduce((sum, u) => sum + 3 + u + 1 + u, 0);
    expect(NAMES.map((name) => tensors.get(name)?.count)).toEqual([
      tokens * WIDTH,
      tokens * 8,
      2 * UNITS * WIDTH,
    ]);
    expect(tensors.get("rows")?.shape).toEqual([2, null, WIDTH]);
    // The embeddings again, by hand.
    const table = noise(50 * WIDTH);
    let [min, sum] = [Infinity, 0];
    for (const { mask, feeds } of batches())
      Array.from(feeds["ids"]?.data ?? [], Number).forEach((id, i) => {
        if (mask?.[i] === 0) return;
        const value = table[id * WIDTH + 1] as number;
        min = Math.min(min, value);
        sum += value * value;
      });
    expect(tensors.get("rows")?.extremes().min[1]).toBe(min);
    expect(tensors.get("rows")?.meanSquares()[1]).toBeCloseTo(sum / tokens, 12);
    expect(tensors.get("act")?.min).toBe(0);
  });

  test("does not see what stands in padded places", async () => {
    const only = observers.filter(({ name }) => name !== "pooled");
    const withPadding = async (padding: number) =>
      textOf({ observers: only, batches: batches(padding) });
    expect(await withPadding(49)).toBe(await withPadding(0));
  });

  test("of shards, merged, equals the whole, to the byte", async () => {
    const shard = (index: number) =>
      run({
        batches: batches(
          0,
          [0, 1, 2, 3, 4, 5].filter((u) => u % 3 === index),
        ),
      });
    const parts = [await shard(2), await shard(0), await shard(1)];
    expect(statisticsToJson(mergeStatistics(parts, { complete: true }))).toBe(await textOf());
  });

  test("that is cut off after any unit goes on to the same bytes", async () => {
    const whole = await textOf();
    for (const last of [0, 3, 5]) {
      const stop = new AbortController();
      let checkpoint = "";
      const cut = run({
        signal: stop.signal,
        onUnit(unit, statistics) {
          checkpoint = statisticsToJson(statistics);
          if (unit === last) stop.abort();
        },
      });
      if (last === UNITS - 1) await cut;
      else await expect(cut).rejects.toThrow(/abort/i);
      expect(await textOf({ statistics: parseStatistics(checkpoint) })).toBe(whole);
    }
  });

  test("reads an input that is an observer from what it is fed", async () => {
    const small = buildModel((b) => {
      const x = b.input("x", ["batch", 2]);
      b.output(b.op("y", "Relu", [x]));
    });
    expect(addObservers(small, ["x"])).toEqual([]);
    const x: RuntimeTensor = { dtype: "float32", dims: [1, 2], data: Float32Array.of(-3, 5) };
    const { tensors } = await calibrate({
      runtime: ortNode,
      model: bytesOf(small),
      observers: [{ name: "x", masked: "none" }],
      batches: [{ unit: 0, feeds: { x } }],
      statistics: emptyStatistics({ model: "m", options: {}, units: 1 }, ["x"]),
    });
    expect(tensors.get("x")).toMatchObject({ min: -3, max: 5 });
  });

  test("frees its session whatever happens, and says what does not fit", async () => {
    let open = 0;
    const counting: Runtime = {
      ...ortNode,
      async load(source, options) {
        const session = await ortNode.load(source, options);
        open++;
        return {
          inputs: session.inputs,
          outputs: session.outputs,
          run: (feeds, options) => session.run(feeds, options),
          async release() {
            open--;
            await session.release();
          },
        };
      },
    };
    const failing = (message: RegExp, more: Partial<CalibrationRun>) =>
      expect(run({ runtime: counting, ...more })).rejects.toThrow(message);
    await failing(/"act" is 6 × 8, not batch-length of 2 × 3/, {
      observers: [{ name: "act", masked: "batch-length" }],
    });
    await failing(/no tensor "hidden"/, { observers: [{ name: "hidden", masked: "flat" }] });
    await failing(/"ids" has elements of type int64/, {
      observers: [{ name: "ids", masked: "none" }],
      statistics: emptyStatistics({ model: "m", options: {}, units: UNITS }, ["ids"]),
    });
    await failing(/abort/i, { signal: AbortSignal.abort() });
    expect(open).toBe(0);
  });
});

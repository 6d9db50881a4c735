// Training as a whole, on a small classifier in onnxruntime: it learns, is the same each time, goes on where it was ended, and stops in time.
import { expect, test } from "vitest";
import { ortNode } from "../runtime/ort-node.js";
import type { Session } from "../runtime/runtime.js";
import { tinyBatches, tinyTrainable } from "../../test/training.js";
import { trainLoop } from "./loop.js";
import type {
  CheckpointStore,
  Trained,
  TrainingBatches,
  TrainingState,
  TrainLoopOptions,
} from "./training.js";

const OPTIONS: TrainLoopOptions = {
  steps: 12,
  schedule: "linear",
  warmup: 2,
  clip: 1,
  accumulate: 1,
  optimizer: "adamw",
  rate: 0.05,
  weightDecay: 0.01,
  betas: [0.9, 0.999],
  epsilon: 1e-8,
  momentum: 0.9,
  threads: 1,
  now: () => 0,
};

const train = (
  options: Partial<TrainLoopOptions> = {},
  batches: TrainingBatches = tinyBatches(),
): Promise<Trained> => trainLoop(ortNode, tinyTrainable(), batches, { ...OPTIONS, ...options });

/** Checkpoints in memory, copied as a file would be. */
function memoryStore(): CheckpointStore & { state: TrainingState | undefined } {
  return {
    state: undefined,
    path: "model.onnx.part",
    every: 0,
    read() {
      return this.state;
    },
    write(state) {
      this.state = structuredClone(state);
    },
  };
}

const weightsOf = ({ weights }: Trained) =>
  [...weights].map(([name, values]) => [name, [...new Uint32Array(values.slice().buffer)]]);

const meanOf = (losses: Float32Array) => losses.reduce((a, b) => a + b, 0) / losses.length;

test.each([
  { optimizer: "adamw", rate: 0.05 },
  { optimizer: "sgd", rate: 0.3 },
] as const)("$optimizer lowers the loss, all parameters change", async (options) => {
  const { losses, weights, steps, stopped, best } = await train({ ...options, steps: 60 });
  expect({ steps, stopped, best, curve: losses.length }).toEqual({
    steps: 60,
    stopped: "done",
    best: 60,
    curve: 60,
  });
  expect(meanOf(losses.subarray(50))).toBeLessThan(meanOf(losses.subarray(0, 10)) / 2);
  const { model } = tinyTrainable();
  for (const [name, values] of weights) {
    const before = new Float32Array(
      model.graph.value(name)?.tensor?.data.read().slice().buffer ?? [],
    );
    expect(values).toHaveLength(before.length);
    expect(values).not.toEqual(before);
  }
  expect([...weights.keys()]).toEqual([
    "words.weight",
    "dense.weight",
    "dense.bias",
    "head.weight",
    "head.bias",
  ]);
});

test("the same options give the same bytes; so do two batches of half the size per update, but for rounding", async () => {
  const whole = await train();
  expect(weightsOf(await train())).toEqual(weightsOf(whole));
  const halves = await train({ accumulate: 2 }, tinyBatches({ rows: 4, perEpoch: 8 }));
  for (const [name, values] of halves.weights)
    for (const [i, value] of values.entries())
      expect(value).toBeCloseTo(whole.weights.get(name)?.[i] ?? NaN, 3);
});

test("parameters learn at their own rate, stay above their least value, and what is left out stays as it is", async () => {
  const trainable = tinyTrainable();
  const parameters = trainable.parameters
    .filter(({ name }) => name !== "words.weight")
    .map((parameter) =>
      parameter.name === "head.bias" ? { ...parameter, rate: 1e-6, least: 0.25 } : parameter,
    );
  const before = tinyTrainable().model.graph.value("head.bias")?.tensor?.data.read().slice();
  const { weights } = await trainLoop(
    ortNode,
    { ...trainable, parameters },
    tinyBatches(),
    OPTIONS,
  );
  expect(weights.has("words.weight")).toBe(false);
  const initial = new Float32Array(before?.buffer ?? new ArrayBuffer());
  for (const [i, value] of (weights.get("head.bias") ?? []).entries())
    expect(value).toBeCloseTo(Math.max(0.25, initial[i] ?? NaN), 5);
});

test("a run that is ended after any step goes on as if it never had been", async () => {
  const scores = [1, 3, 2, 5, 4];
  const scored = (): Partial<TrainLoopOptions> => ({
    evaluateEvery: 3,
    evaluate: (session) => Promise.resolve((expectForward(session), scores.shift() ?? 0)),
  });
  const expectForward = (session: Session) =>
    expect(session.inputs.map(({ name }) => name)).toEqual(["input_ids", "attention_mask"]);
  const uninterrupted = await train(scored());
  expect(uninterrupted.scores.map(({ step, value }) => [step, value])).toEqual([
    [0, 1],
    [3, 3],
    [6, 2],
    [9, 5],
    [12, 4],
  ]);
  expect(uninterrupted.best).toBe(9);

  for (const end of [1, 5, 9, 11]) {
    scores.push(1, 3, 2, 5, 4);
    const checkpoint = memoryStore();
    const controller = new AbortController();
    const interrupted = train({
      ...scored(),
      checkpoint,
      signal: controller.signal,
      onStep: ({ done }) => done === end && controller.abort(new Error("enough")),
    });
    await expect(interrupted).rejects.toThrow("enough");
    const taken = await train({ ...scored(), checkpoint });
    expect(taken.resumed).toBe(end);
    expect(weightsOf(taken)).toEqual(weightsOf(uninterrupted));
    expect([...taken.losses]).toEqual([...uninterrupted.losses]);
    expect(taken.scores).toEqual(uninterrupted.scores);
    scores.length = 0;
  }
});

test("a checkpoint of other options, another version or other parameters is refused before anything is changed", async () => {
  const checkpoint = memoryStore();
  const identity = { model: "sha256:1", rate: "0.05" };
  await train({ checkpoint, identity });
  const state = checkpoint.state;
  if (state === undefined) throw new Error("no state was kept");
  const refused = async (changed: TrainingState, why: string, other = identity) => {
    checkpoint.state = changed;
    await expect(train({ checkpoint, identity: other })).rejects.toThrow(why);
  };
  await refused(
    state,
    "The checkpoint model.onnx.part cannot be taken up: its rate is 0.05, this run's is 0.1.",
    { ...identity, rate: "0.1" },
  );
  await refused({ ...state, texts: { ...state.texts, version: "7" } }, "it has version 7");
  await refused({ ...state, texts: {} }, "it is no checkpoint of training");
  await refused({ ...state, texts: { ...state.texts, steps: "13" } }, "13 steps");
  await refused({ ...state, texts: { ...state.texts, scores: "[1]" } }, "scores");
  const { "moment/head.bias": _, ...tensors } = state.tensors;
  await refused({ ...state, tensors }, 'no tensor "moment/head.bias" of 3 numbers');
});

test("a loss or a gradient that is no number stops the run before it does harm, and names the step and its records", async () => {
  const batches = tinyBatches();
  const bad: TrainingBatches = {
    ...batches,
    async batch(epoch, index) {
      const batch = await batches.batch(epoch, index);
      if (epoch !== 1 || index !== 1) return batch;
      const rows = batch.feeds["octavo.rows"];
      if (rows === undefined) throw new Error("no weights of rows");
      const data = Float32Array.of(NaN, ...(rows.data.subarray(1) as Float32Array));
      return { ...batch, feeds: { ...batch.feeds, "octavo.rows": { ...rows, data } } };
    },
  };
  const checkpoint = memoryStore();
  const stopped = train({ checkpoint }, bad);
  await expect(stopped).rejects.toMatchObject({ code: "loss-not-finite", step: 6, what: "loss" });
  await expect(stopped).rejects.toThrow("became NaN at step 6 (rows 40 to 47)");
  expect(checkpoint.state?.texts["steps"]).toBe("5");
  const values = Object.values(checkpoint.state?.tensors ?? {}).flatMap(({ data }) => [...data]);
  expect(values.every((value) => Number.isFinite(Number(value)))).toBe(true);
});

test("training stops when several evaluations in a row were no better, and gives the best parameters, also those of the start", async () => {
  const scores = [5, 4, NaN, 3, 6];
  const { steps, stopped, best, weights } = await train({
    evaluateEvery: 1,
    patience: 3,
    evaluate: () => Promise.resolve(scores.shift() ?? 0),
  });
  expect({ steps, stopped, best }).toEqual({ steps: 3, stopped: "early", best: 0 });
  const { model } = tinyTrainable();
  for (const [name, values] of weights)
    expect(new Uint8Array(values.slice().buffer)).toEqual(
      Uint8Array.from(model.graph.value(name)?.tensor?.data.read() ?? []),
    );
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../../test/build.js";
import { OptionError } from "../../errors.js";
import { importModel } from "../../graph/import.js";
import { calibrate, quantize } from "../../node.js";
import { decodeModel } from "../../onnx/reader.js";
import { ortNode } from "../../runtime/ort-node.js";
import { ofSomeMode } from "../../../test/options.js";
import type { AnyQuantizeOptions } from "../../options/quantize.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-rounding-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const WIDTH = 48;
const VOCABULARY = 300;

/** Two feed-forward layers that share one weight, over embeddings that hang together. */
function layers(b: Builder): void {
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  b.input("attention_mask", ["batch", "length"], "int64");
  const few = noise(VOCABULARY * 4, 1);
  const mixing = noise(4 * WIDTH, 2);
  const own = noise(VOCABULARY * WIDTH, 3);
  const table = Array.from({ length: VOCABULARY * WIDTH }, (_, i) => {
    const [r, k] = [Math.floor(i / WIDTH), i % WIDTH];
    let sum = 0.2 * (own[i] as number) + 0.3;
    for (let f = 0; f < 4; f++)
      sum += (few[r * 4 + f] as number) * (mixing[f * WIDTH + k] as number);
    return sum;
  });
  const shared = b.float("shared.weight", [...noise(WIDTH * WIDTH, 4)], [WIDTH, WIDTH]);
  const bias = b.float("shared.bias", [...noise(WIDTH, 5)]);
  let x = b.op("rows", "Gather", [b.float("words", table, [VOCABULARY, WIDTH]), ids]);
  for (const layer of [1, 2]) {
    const product = b.op(`product${layer}`, "MatMul", [x, shared]);
    x = b.op(`layer${layer}`, "Tanh", [b.op(`sum${layer}`, "Add", [product, bias])]);
  }
  b.output(b.op("y", "MatMul", [x, b.float("head", [...noise(WIDTH * 32, 6)], [WIDTH, 32])]));
}

function feedsOf(row: number, length: number, padding: number) {
  const ids = Array.from({ length: length + padding }, (_, i) =>
    i < length ? (row * 17 + i * 29) % VOCABULARY : 299,
  );
  return {
    input_ids: [ids],
    attention_mask: [ids.map((_, i) => (i < length ? 1 : 0))],
  };
}

function write(name: string, padding: number): void {
  const lines = Array.from({ length: 80 }, (_, r) =>
    JSON.stringify({ inputs: feedsOf(r, 4 + (r % 7), padding) }),
  );
  writeFileSync(at(name), lines.join("\n"));
}

beforeAll(() => {
  writeFileSync(at("model.onnx"), bytesOf(buildModel(layers)));
  write("data.jsonl", 0);
  write("padded.jsonl", 9);
});

let count = 0;
async function quantizedModel(options: AnyQuantizeOptions = {}) {
  const output = at(`quantized${count++}.onnx`);
  const data = at("data.jsonl");
  const settings = { mode: "static", data, output, check: false, embeddings: false } as const;
  const { report } = await quantize(at("model.onnx"), ofSomeMode({ ...settings, ...options }));
  return { output, report };
}

/** Noise power of a quantized model over rows that calibration did not see. */
async function noiseOf(path: string): Promise<number> {
  const sessions = [await ortNode.load(at("model.onnx")), await ortNode.load(path)];
  let noisePower = 0;
  for (let r = 100; r < 140; r++) {
    const { input_ids: [ids = []] = [] } = feedsOf(r, 8, 0);
    const dims = [1, ids.length];
    const tensor = (values: readonly number[]) =>
      ({ dtype: "int64", dims, data: BigInt64Array.from(values, BigInt) }) as const;
    const feeds = { input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) };
    const [exact, coded] = await Promise.all(sessions.map((session) => session.run(feeds)));
    const reference = exact?.["y"]?.data as Float32Array;
    reference.forEach((v, i) => (noisePower += (v - Number(coded?.["y"]?.data[i])) ** 2));
  }
  for (const session of sessions) await session.release();
  return noisePower;
}

describe("rounding against covariances", () => {
  test("makes less noise than rounding to the nearest, and is counted in the report", async () => {
    // With nearly exact activations, so that what weights do is seen.
    const options = { accuracy: "high", extraProducts: 1, correct: false, smooth: false } as const;
    const nearest = await quantizedModel({ ...options, round: false });
    const rounded = await quantizedModel(options);
    expect(nearest.report.calibration).toMatchObject({ rounded: 0, corrected: 0 });
    expect(rounded.report.calibration).toMatchObject({ rounded: 2, corrected: 0 });
    expect(await noiseOf(rounded.output)).toBeLessThan(0.6 * (await noiseOf(nearest.output)));
  });

  test("a weight that two layers share stays one initializer", async () => {
    const { output } = await quantizedModel();
    const { graph } = importModel(decodeModel(readFileSync(output)));
    const codes = [...graph.initializers()].filter(
      (value) => value.tensor?.dtype === "int8" && value.tensor.dims.join() === `${WIDTH},${WIDTH}`,
    );
    expect(codes).toHaveLength(1);
  });

  test("the same data gives the same bytes, and padding changes nothing", async () => {
    const [once, again] = [await quantizedModel(), await quantizedModel()];
    const padded = await quantizedModel({ data: at("padded.jsonl") });
    const bytes = readFileSync(once.output);
    expect(readFileSync(again.output).equals(bytes)).toBe(true);
    expect(await noiseOf(padded.output)).toBeCloseTo(await noiseOf(once.output), 3);
  });

  test("with statistics alone weights are rounded to the nearest, which is said", async () => {
    await calibrate(at("model.onnx"), { data: at("data.jsonl"), output: at("stats.json") });
    const { report } = await quantizedModel({ data: undefined, stats: at("stats.json") });
    expect(report.calibration).toMatchObject({ rounded: 0 });
    expect(report.warnings.join()).toMatch(/rounded to the nearest/);
  });
});

describe("bias correction", () => {
  test("makes the mean error of a layer small", async () => {
    const meanError = async (path: string): Promise<number> => {
      const [float, coded] = [await ortNode.load(at("model.onnx")), await ortNode.load(path)];
      const sums = new Float64Array(32);
      for (let r = 0; r < 80; r++) {
        const { input_ids: [ids = []] = [] } = feedsOf(r, 4 + (r % 7), 0);
        const data = BigInt64Array.from(ids, BigInt);
        const ones = BigInt64Array.from(ids, () => 1n);
        const dims = [1, ids.length];
        const feeds = {
          input_ids: { dtype: "int64", dims, data },
          attention_mask: { dtype: "int64", dims, data: ones },
        } as const;
        const [a, b] = [(await float.run(feeds))["y"]?.data, (await coded.run(feeds))["y"]?.data];
        a?.forEach((v, i) => (sums[i % 32] = (sums[i % 32] ?? 0) + Number(v) - Number(b?.[i])));
      }
      await float.release();
      await coded.release();
      return sums.reduce((total, v) => total + v * v, 0);
    };
    const without = await quantizedModel({ round: false, correct: false });
    const corrected = await quantizedModel({ round: false });
    expect(corrected.report.calibration).toMatchObject({ corrected: 1 });
    expect(await meanError(corrected.output)).toBeLessThan(await meanError(without.output));
  });

  test("leaves the weight to a constant that is multiplied with it, too (DeBERTa's relative positions)", async () => {
    const model = buildModel((b) => {
      const ids = b.input("input_ids", ["batch", "length"], "int64");
      b.input("attention_mask", ["batch", "length"], "int64");
      const table = b.float("words", [...noise(VOCABULARY * WIDTH, 1)], [VOCABULARY, WIDTH]);
      const weight = b.float("onnx::MatMul_7", [...noise(WIDTH * WIDTH, 2)], [WIDTH, WIDTH]);
      const bias = b.float("m.query.bias", [...noise(WIDTH, 3)]);
      const positions = b.float("positions", [...noise(8 * WIDTH, 4)], [8, WIDTH]);
      const project = (name: string, x: ReturnType<Builder["op"]>) =>
        b.op(`${name}.sum`, "Add", [b.op(`${name}.product`, "MatMul", [x, weight]), bias]);
      const query = project("query", b.op("rows", "Gather", [table, ids]));
      const turned = b.op("turned", "Transpose", [project("places", positions)], { perm: [1, 0] });
      b.output(b.op("y", "MatMul", [query, turned]));
    });
    writeFileSync(at("relative.onnx"), bytesOf(model));
    const output = at("relative-int8.onnx");
    const { report } = await quantize(at("relative.onnx"), {
      mode: "static",
      data: at("data.jsonl"),
      output,
      check: false,
      smooth: false,
    });
    expect(report.calibration?.corrected).toBe(1);
    const { graph } = importModel(decodeModel(readFileSync(output)));
    const kept = [...graph.initializers()].filter(
      ({ tensor }) => tensor?.dims.join() === `${WIDTH},${WIDTH}`,
    );
    expect(kept.map(({ tensor }) => tensor?.dtype)).toEqual(["int8"]);
  });

  test("knows the error of what it sees, also where the statistics are of other data", async () => {
    // Few rows of few words: their means are far from those of the statistics.
    const few = Array.from({ length: 4 }, () => JSON.stringify({ inputs: feedsOf(1, 6, 0) }));
    writeFileSync(at("few.jsonl"), few.join("\n"));
    await calibrate(at("model.onnx"), { data: at("data.jsonl"), output: at("other.json") });
    const options = { stats: at("other.json"), data: at("few.jsonl") };
    const without = await quantizedModel({ ...options, correct: false });
    const corrected = await quantizedModel(options);
    expect(await noiseOf(corrected.output)).toBeLessThan(1.5 * (await noiseOf(without.output)));
  });
});

describe("a second term", () => {
  test("make less noise, for as many products as they may", async () => {
    const plain = await quantizedModel();
    const high = await quantizedModel({ accuracy: "high", extraProducts: 1 });
    expect(high.report.calibration?.secondTerms).toBe(3);
    expect(await noiseOf(high.output)).toBeLessThan(await noiseOf(plain.output));
    const none = await quantizedModel({ accuracy: "high", extraProducts: 0 });
    expect(none.report.calibration?.secondTerms).toBe(0);
    expect(readFileSync(none.output).equals(readFileSync(plain.output))).toBe(true);
  });

  test("are refused where there is no such form, or nothing to measure on", async () => {
    for (const other of [{ target: "tensorrt" }, { mode: "dynamic" }] as const)
      await expect(quantizedModel({ accuracy: "high", ...other })).rejects.toThrow(OptionError);
    await calibrate(at("model.onnx"), {
      data: at("data.jsonl"),
      output: at("stats.json"),
      force: true,
    });
    const stats = { data: undefined, stats: at("stats.json") };
    await expect(quantizedModel({ accuracy: "high", ...stats })).rejects.toThrow(OptionError);
  });
});

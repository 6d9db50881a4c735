import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { AlreadyQuantizedError, OptionError, UnsupportedError } from "../errors.js";
import { inspect, quantize } from "../node.js";
import { quantizeBytes } from "./bytes.js";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "octavo-weights-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

function classifier(b: Builder): void {
  const weight = (name: string, rows: number, cols: number, seed: number) =>
    b.float(name, [...noise(rows * cols, seed)], [rows, cols]);
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  const rows = b.op("rows", "Gather", [weight("words.weight", 400, 64, 1), ids]);
  const up = b.op("up", "MatMul", [rows, weight("up.weight", 64, 96, 2)]);
  const wide = b.op("wide", "Relu", [b.op("biased", "Add", [up, b.float("b", [...noise(96, 3)])])]);
  b.output(b.op("down", "MatMul", [wide, weight("down.weight", 96, 64, 4)]));
}

function save(): string {
  writeFileSync(at("model.onnx"), bytesOf(buildModel(classifier)));
  return at("model.onnx");
}

test.each([
  ["int4", "model_q4.onnx", 4, 32, 12],
  ["int8-only", "model_int8.onnx", 8, 64, 30],
] as const)("%s weights go to %s, float activations", async (weights, file, bits, block, snr) => {
  const { path, report } = await quantize(save(), { weights });
  expect(path).toBe(at(file));
  expect(report.weights).toBe(weights);
  expect(report.sites.map(({ runs }) => runs)).toEqual(["stored", "packed", "packed"]);
  expect(report.sites[1]?.reason).toBe(
    `${bits}-bit weights in blocks of ${block}, float activations: kernel MatMulNBits`,
  );
  expect(report.check?.snrDb).toBeGreaterThan(snr);
  expect((await inspect(path)).quantized).toContain("weight-only: com.microsoft.MatMulNBits × 2");
  await expect(quantize(path)).rejects.toThrow(AlreadyQuantizedError);
});

test.each([
  [4, undefined, "mse"],
  [5, undefined, "mse"],
  [6, undefined, undefined],
  [4, "min-max", "min-max"],
] as const)("%i bits: scales %s become %s", async (weightBits, weightRange, expected) => {
  const options = { weightBits, writePlan: at("plan.json"), force: true } as const;
  await quantize(save(), weightRange === undefined ? options : { ...options, weightRange });
  const { sites } = JSON.parse(readFileSync(at("plan.json"), "utf8")) as {
    sites: Record<string, { kind: string; weight: { limit: number; range?: string } }>;
  };
  for (const { kind, weight } of Object.values(sites))
    expect(weight.range).toBe(kind === "linear" ? expected : weightRange);
});

test("a plan brings its form along: the same bytes, under the same name", async () => {
  const model = save();
  const first = await quantize(model, {
    weights: "int4",
    weightRange: "mse",
    blockSize: 16,
    writePlan: at("plan.json"),
  });
  const bytes = readFileSync(first.path);
  rmSync(first.path);
  const again = await quantize(model, { plan: at("plan.json") });
  expect(again.path).toBe(at("model_q4.onnx"));
  expect(readFileSync(again.path).equals(bytes)).toBe(true);
  await expect(
    quantize(model, { plan: at("plan.json"), weights: "int8", output: at("x.onnx") }),
  ).rejects.toThrow(/A plan for --weights int4 .* --weights int8/);
});

test("the range of weights is min-max where none is asked for; least error costs no size", async () => {
  const model = save();
  const options = { mode: "dynamic", check: false } as const;
  const plain = await quantize(model, { ...options, output: at("a.onnx") });
  const all = await quantize(model, { ...options, output: at("b.onnx"), weightRange: "min-max" });
  const least = await quantize(model, { ...options, output: at("c.onnx"), weightRange: "mse" });
  expect(readFileSync(all.path).equals(readFileSync(plain.path))).toBe(true);
  expect(least.report.bytesAfter).toBe(plain.report.bytesAfter);
});

test.each([
  ["tensorrt", "int4"],
  ["tensorrt", "int8-only"],
  ["openvino", "int4"],
  ["openvino", "int8-only"],
] as const)(
  "target %s refuses %s, whatever the mode, and names a target that takes it",
  async (target, weights) => {
    const model = save();
    const message = new RegExp(`--weights ${weights} with --target ${target} .*--target cpu`, "s");
    for (const mode of ["static", "dynamic"] as const)
      await expect(quantize(model, { target, weights, mode })).rejects.toThrow(message);
    await expect(inspect(model, { target, weights })).rejects.toThrow(message);
    expect(() => quantizeBytes(readFileSync(model), { target, weights })).toThrow(message);
    expect(readdirSync(folder)).toEqual(["model.onnx"]);
  },
);

test("what does not go with float activations is an error that says what does, and writes nothing", async () => {
  const model = save();
  await expect(quantize(model, { weights: "int4", mode: "static" })).rejects.toThrow(
    UnsupportedError,
  );
  await expect(quantize(model, { weights: "int4", stats: at("stats.json") })).rejects.toThrow(
    OptionError,
  );
  await expect(quantize(model, { blockSize: 32 })).rejects.toThrow(OptionError);
  await expect(inspect(model, { weights: "int8-only", mode: "static" })).rejects.toThrow(
    UnsupportedError,
  );
  expect(readdirSync(folder)).toEqual(["model.onnx"]);
});

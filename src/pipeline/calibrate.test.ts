import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withoutSaturation } from "../../test/integer-sums.js";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { run } from "../cli/run.js";
import { calibrate, quantize } from "../node.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-calibrate-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

function model(seed: number): (b: Builder) => void {
  return (b) => {
    const ids = b.input("input_ids", ["batch", "length"], "int64");
    const rows = b.op("rows", "Gather", [
      b.float("words.weight", [...noise(400 * 32, seed)], [400, 32]),
      ids,
    ]);
    const up = b.op("up", "MatMul", [rows, b.float("up.weight", [...noise(2048, 2)], [32, 64])]);
    const down = b.float("down.weight", [...noise(2048, 3)], [64, 32]);
    b.output(b.op("y", "MatMul", [b.op("act", "Relu", [up]), down]));
  };
}

const settings = { samples: 50, seed: 3 };

beforeAll(async () => {
  writeFileSync(at("model.onnx"), bytesOf(buildModel(model(1))));
  writeFileSync(at("other.onnx"), bytesOf(buildModel(model(9))));
  const lines = Array.from({ length: 60 }, (_, r) =>
    JSON.stringify({
      inputs: {
        input_ids: [Array.from({ length: 3 + (r % 9) }, (__, i) => (r * 7 + i * 31) % 400)],
      },
    }),
  );
  writeFileSync(at("data.jsonl"), lines.join("\n"));
  const data = at("data.jsonl");
  await calibrate(at("model.onnx"), { ...settings, data, output: at("whole.json") });
  for (const index of [0, 1, 2])
    await calibrate(at("model.onnx"), {
      ...settings,
      data,
      shard: { index, count: 3 },
      output: at(`part${index}.json`),
    });
});

describe("calibrate", () => {
  test.each([
    [{ JOB_COMPLETION_INDEX: "1" }, "part1.json"],
    [{ SLURM_ARRAY_TASK_ID: "1" }, "part1.json"],
    [{ SLURM_ARRAY_TASK_ID: "3", SLURM_ARRAY_TASK_MIN: "1" }, "part2.json"],
  ])("as a process with %j runs the shard that is meant", async (env, part) => {
    const io = { stdout: { write: () => true }, stderr: { write: () => true }, env };
    const options = ["--samples", "50", "--seed", "3", "--shards", "3", "--force"];
    const output = at("by-environment.json");
    const data = ["--data", at("data.jsonl"), "-o", output];
    expect(await run(["calibrate", at("model.onnx"), ...data, ...options], io)).toBe(0);
    expect(readFileSync(output).equals(readFileSync(at(part)))).toBe(true);
  });

  test("--shards without a part in the environment is wrong usage, and says what to set", async () => {
    let told = "";
    const stderr = { write: (text: string) => (told += text) };
    const io = { stdout: { write: () => true }, stderr, env: {} };
    const options = ["--data", at("data.jsonl"), "--shards", "3", "-o", at("never.json")];
    expect(await run(["calibrate", at("model.onnx"), ...options], io)).toBe(2);
    expect(told).toMatch(/JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID/);
  });

  test.each([[[0, 1, 2]], [[2, 0, 1]], [[1, 2, 0]]])(
    "shards merged in the order %j equal the unsharded file to the byte",
    async (order) => {
      const output = at(`merged${order.join("")}.json`);
      const merge = order.map((i) => at(`part${i}.json`));
      const { report } = await calibrate(undefined, { merge, output });
      expect(readFileSync(output).equals(readFileSync(at("whole.json")))).toBe(true);
      expect(report).toMatchObject({ units: 50, covered: 50, activations: 2 });
    },
  );

  test("statistics quantize to the same bytes as the data they are of, where weights are not rounded on data", async () => {
    const common = { mode: "static", check: false, round: false, ...settings } as const;
    await quantize(at("model.onnx"), { ...common, data: at("data.jsonl"), output: at("a.onnx") });
    await quantize(at("model.onnx"), { ...common, stats: at("whole.json"), output: at("b.onnx") });
    expect(readFileSync(at("b.onnx")).equals(readFileSync(at("a.onnx")))).toBe(true);
  });

  test("statistics beside data give the same bytes as that data alone: weights are rounded on it", async () => {
    const common = { mode: "static", check: false, ...settings, data: at("data.jsonl") } as const;
    const alone = await quantize(at("model.onnx"), { ...common, output: at("h.onnx") });
    expect(alone.report.calibration?.rounded).toBeGreaterThan(0);
    const both = { ...common, stats: at("whole.json"), output: at("f.onnx") };
    const { report } = await quantize(at("model.onnx"), both);
    expect(report.calibration?.rounded).toBe(alone.report.calibration?.rounded);
    expect(report.warnings).toEqual([]);
    expect(readFileSync(at("f.onnx")).equals(readFileSync(at("h.onnx")))).toBe(true);
    await quantize(at("model.onnx"), { ...both, output: at("g.onnx"), round: false });
    expect(readFileSync(at("g.onnx")).equals(readFileSync(at("h.onnx")))).toBe(false);
  });

  test("statistics alone round weights to the nearest, and a warning says what rounding needs", async () => {
    const warnings = async (options: object) => {
      const given = { mode: "static", check: false, force: true, ...settings, ...options } as const;
      return (await quantize(at("model.onnx"), { ...given, output: at("w.onnx") })).report.warnings;
    };
    const [data, stats] = [at("data.jsonl"), at("whole.json")];
    expect(await warnings({ stats })).toEqual([
      expect.stringMatching(/^Weights are rounded to the nearest: .* needs --data/),
    ]);
    expect(await warnings({ stats, mode: "dynamic" })).toHaveLength(1);
    expect(await warnings({ stats, round: false })).toEqual([]);
    expect(await warnings({ data })).toEqual([]);
  });

  test.each([
    ["a shard that is missing", ["part0.json", "part1.json"], /unit/],
    [
      "a shard that comes twice",
      ["part0.json", "part0.json", "part1.json"],
      /each unit in one file/,
    ],
    ["a file that is no statistics", ["data.jsonl"], /data.jsonl/],
    ["a file that does not exist", ["none.json"], /none.json: it does not exist/],
  ])("%s is an error, and nothing is written", async (_, files, message) => {
    const merge = files.map(at);
    const run = calibrate(undefined, { merge, output: at("never.json") });
    await expect(run).rejects.toThrow(message);
    expect(readdirSync(folder)).not.toContain("never.json");
  });

  test("statistics of another model, or of another setting, are refused", async () => {
    const options = { mode: "static", stats: at("whole.json"), output: at("never.onnx") } as const;
    await expect(quantize(at("other.onnx"), options)).rejects.toThrow(/they are of the model/);
    const without = quantize(at("model.onnx"), { ...options, outliers: false });
    await expect(without).rejects.toThrow(/--no-outliers/);
  });
});

describe("what lies beyond the ranges, on rows of another draw", () => {
  const loud = (factor: number) => (b: Builder) => {
    const x = b.input("x", ["batch", 32], "float32");
    b.output(
      b.op("y", "MatMul", [
        x,
        b.float(
          "weight",
          [...noise(1024, 2)].map((w) => w * factor),
          [32, 32],
        ),
      ]),
    );
  };
  const rows = (size: (row: number) => number, count = 200) =>
    Array.from({ length: count }, (_, r) =>
      JSON.stringify({ inputs: { x: [[...noise(32, r)].map((v) => v * size(r))] } }),
    ).join("\n");

  test("nothing, where data is like the data of calibration", async () => {
    writeFileSync(at("loud.onnx"), bytesOf(buildModel(loud(1))));
    writeFileSync(
      at("alike.jsonl"),
      rows(() => 1),
    );
    const options = { mode: "static", data: at("alike.jsonl"), output: at("alike.onnx") } as const;
    const { report } = await quantize(at("loud.onnx"), options);
    expect(report.clipped).toEqual([{ site: "weight", operand: "activation", share: 0 }]);
    expect(withoutSaturation(report.warnings)).toEqual([]);
  });

  test("a share and a warning that names the site, where statistics are of quieter data", async () => {
    writeFileSync(
      at("quiet.jsonl"),
      rows(() => 0.25),
    );
    const stats = at("quiet.json");
    await calibrate(at("loud.onnx"), { data: at("quiet.jsonl"), output: stats });
    const options = {
      mode: "static",
      stats,
      data: at("alike.jsonl"),
      output: at("c.onnx"),
    } as const;
    const { report } = await quantize(at("loud.onnx"), options);
    const [clipped] = report.clipped ?? [];
    expect(clipped?.share).toBeGreaterThan(0.1);
    expect(report.warnings.at(-1)).toMatch(
      new RegExp(`1 site leaves .* % of the values at "${clipped?.site}"`),
    );
  });

  test("is asked of static mode only, and the check does not change the result", async () => {
    const data = at("alike.jsonl");
    const dynamic = await quantize(at("loud.onnx"), { data, output: at("d.onnx") });
    expect(dynamic.report.clipped).toBeUndefined();
    const options = { mode: "static", data, output: at("e.onnx"), check: false } as const;
    const { report } = await quantize(at("loud.onnx"), options);
    expect(report.clipped).toBeUndefined();
    expect(readFileSync(at("e.onnx")).equals(readFileSync(at("alike.onnx")))).toBe(true);
  });
});

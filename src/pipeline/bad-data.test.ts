// What a user may get wrong with data and statistics: each is an error that says what to do, and nothing is left behind.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { calibrate, OctavoError, quantize } from "../node.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-bad-data-"));
const at = (name: string) => join(folder, name);
const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
afterAll(() => rmSync(folder, { recursive: true }));

/** A product of 32 × 32, and one behind a logarithm. */
function model(b: Builder): void {
  const x = b.input("x", ["batch", 32], "float32");
  const weight = (name: string, seed: number) => b.float(name, [...noise(1024, seed)], [32, 32]);
  b.output(b.op("y", "MatMul", [x, weight("first", 2)]));
  b.output(b.op("z", "MatMul", [b.op("log", "Log", [x]), weight("second", 3)]));
}

const row = (r: number, change = (v: number) => 0.5 + Math.abs(v)) =>
  JSON.stringify({ inputs: { x: [[...noise(32, r)].map(change)] } });

beforeAll(async () => {
  writeFileSync(at("model.onnx"), bytesOf(buildModel(model)));
  writeFileSync(at("good.jsonl"), Array.from({ length: 20 }, (_, r) => row(r)).join("\n"));
  writeFileSync(at("empty.jsonl"), "\n\n");
  writeFileSync(at("broken.jsonl"), `${row(1)}\n{"inputs": {\n`);
  writeFileSync(at("name.jsonl"), JSON.stringify({ inputs: { pixels: [[1, 2]] } }));
  writeFileSync(at("shape.jsonl"), JSON.stringify({ inputs: { x: [[1, 2, 3]] } }));
  writeFileSync(at("type.jsonl"), JSON.stringify({ inputs: { x: [["a"]] } }));
  writeFileSync(at("blank.jsonl"), '{"text": ""}\n{"text": "  "}');
  await calibrate(at("model.onnx"), { data: at("good.jsonl"), output: at("stats.json") });
  const text = readFileSync(at("stats.json"), "utf8");
  writeFileSync(at("version.json"), text.replace('"version": 1', '"version": 2'));
  writeFileSync(at("fewer.json"), text.replaceAll('"log"', '"other"'));
});

describe.each([
  ["calibrate", calibrate],
  [
    "quantize",
    (path: string, options: { data?: string; output: string }) =>
      quantize(path, { mode: "static", ...options }),
  ],
])("octavo %s", (_, verb) => {
  test.each([
    ["no data", "model.onnx", undefined, /Option "data" cannot be left out/],
    ["data without a record", "model.onnx", "empty.jsonl", /empty.jsonl: no record in it/],
    ["a line that is no record", "model.onnx", "broken.jsonl", /broken.jsonl, line 2/],
    ["a feed of another name", "model.onnx", "name.jsonl", /line 1.*"pixels".*x float32/s],
    [
      "a feed of another shape",
      "model.onnx",
      "shape.jsonl",
      /line 1.*"x" is \[1, 3\].*\[batch, 32\]/s,
    ],
    ["a feed that is no numbers", "model.onnx", "type.jsonl", /type.jsonl, line 1/],
    ["texts that tokenize to nothing", demo, "blank.jsonl", /line 1.*tokenizes to nothing/s],
  ])("%s", async (__, path, data, message) => {
    const before = readdirSync(folder);
    const options = { ...(data !== undefined && { data: at(data) }), output: at("never") };
    const failed = verb(path === demo ? demo : at(path), options);
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toBeInstanceOf(OctavoError);
    expect(readdirSync(folder)).toEqual(before);
  });
});

test("all data that tokenizes to nothing is refused as a sample of it is", async () => {
  const options = { data: at("blank.jsonl"), samples: "all", output: at("never") } as const;
  await expect(calibrate(demo, options)).rejects.toThrow(/tokenizes to nothing/);
});

test("more tokens than the model reads are cut, and texts that tokenize to nothing left out: both are counted", async () => {
  writeFileSync(
    at("long.jsonl"),
    `{"text": "${"long ".repeat(900)}"}\n{"text": "short", "label": "?"}\n{"text": ""}`,
  );
  const options = { data: at("long.jsonl"), output: at("long.json") };
  const { report } = await calibrate(demo, options);
  expect(report).toMatchObject({ rows: 2, truncated: 1, empty: 1 });
  const quantizedModel = {
    ...options,
    output: at("long.onnx"),
    mode: "static",
    check: false,
  } as const;
  const { report: quantized } = await quantize(demo, quantizedModel);
  expect(quantized.calibration).toMatchObject({ rows: 2, truncated: 1, empty: 1 });
});

test("a NaN in an activation leaves its sites in float, and names the node and the batch", async () => {
  const lines = [row(1), row(2), row(3, (v) => v), row(4)];
  writeFileSync(at("negative.jsonl"), lines.join("\n"));
  const data = at("negative.jsonl");
  const { report } = await quantize(at("model.onnx"), {
    mode: "static",
    data,
    output: at("n.onnx"),
  });
  expect(report.warnings[0]).toMatch(
    /^Activation "log" \(of Log\) holds a NaN.* \(first in batch \d/,
  );
  expect(report.sites.map(({ runs }) => runs)).toEqual(["int8", "float"]);
});

describe("statistics", () => {
  test.each([
    ["of another version of the file", "version.json", /version.*1.*2/],
    [
      "without a tensor that a site reads",
      "fewer.json",
      /no tensor "log", which site .* Calibrate again/,
    ],
  ])("%s are refused", async (_, stats, message) => {
    const options = { mode: "static", stats: at(stats), output: at("never") } as const;
    await expect(quantize(at("model.onnx"), options)).rejects.toThrow(message);
    expect(readdirSync(folder)).not.toContain("never");
  });

  test("of shards on different data do not merge", async () => {
    writeFileSync(at("like.jsonl"), Array.from({ length: 20 }, (_, r) => row(r + 1)).join("\n"));
    const part = (index: number, data: string) =>
      calibrate(at("model.onnx"), {
        data: at(data),
        shard: { index, count: 2 },
        output: at(`part${index}.json`),
      });
    await part(0, "good.jsonl");
    await part(1, "like.jsonl");
    const merge = [at("part0.json"), at("part1.json")];
    const merged = calibrate(undefined, { merge, output: at("never") });
    await expect(merged).rejects.toThrow(/part1.json has option data/);
  });
});

describe("plans", () => {
  const plan = async (change: (text: string) => string) => {
    const options = { mode: "static", stats: at("stats.json"), force: true, check: false } as const;
    await quantize(at("model.onnx"), {
      ...options,
      output: at("p.onnx"),
      writePlan: at("plan.json"),
    });
    writeFileSync(at("changed.json"), change(readFileSync(at("plan.json"), "utf8")));
    return quantize(at("model.onnx"), {
      ...options,
      output: at("never"),
      plan: at("changed.json"),
    });
  };

  test.each([
    [
      "a site that the model has not",
      (text: string) => text.replace('"first"', '"none"'),
      /no site "none"/,
    ],
    [
      "a layer without its activation",
      (text: string) => text.replace(/,\s*"activation": \{[^}]*\}\s*\}/, ""),
      /needs an "activation" on target cpu/,
    ],
  ])("%s", async (_, change, message) => {
    await expect(plan(change)).rejects.toThrow(message);
    expect(readdirSync(folder)).not.toContain("never");
  });
});

test.each([
  [
    "an estimator that there is not",
    { mode: "static", range: "median" },
    /"range" cannot be "?median.*mse/,
  ],
  ["a percentile below the middle", { mode: "static", range: "percentile:20" }, /percentile:99/],
  ["an estimator in dynamic mode", { range: "mse" }, /dynamic mode/],
] as const)("%s is refused", async (_, options, message) => {
  const given = { ...options, data: at("good.jsonl"), output: at("never") };
  await expect(quantize(at("model.onnx"), given)).rejects.toThrow(message);
});

test.each(["moving-average", "percentile", "percentile:99.9", "entropy", "mse"])(
  "--range %s gives ranges within what was seen, and nothing is smoothed",
  async (range) => {
    const options = { mode: "static", stats: at("stats.json"), check: false, force: true } as const;
    const written = { output: at("r.onnx"), writePlan: at("r.json") };
    const { report } = await quantize(at("model.onnx"), { ...options, ...written, range });
    expect(report.calibration?.smoothed).toBe(0);
    const { sites } = JSON.parse(readFileSync(at("r.json"), "utf8")) as {
      sites: Record<string, { activation: { range: { min: number; max: number } } }>;
    };
    const ranges = Object.values(sites).map((site) => site.activation.range);
    expect(ranges).toHaveLength(2);
    expect(ranges[0]?.min).toBe(0);
    for (const { min, max } of ranges) expect(max).toBeGreaterThan(min);
    expect(ranges[0]?.max).toBeLessThan(1.51);
  },
);

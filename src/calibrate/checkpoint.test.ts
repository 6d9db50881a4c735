import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildModel, bytesOf, noise } from "../../test/build.js";
import { calibrate } from "../node.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-checkpoint-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const ROWS = 40;
const settings = { samples: ROWS, seed: 3 };
const data = at("data.jsonl");

beforeAll(async () => {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", 32], "float32");
    b.output(b.op("y", "MatMul", [x, b.float("weight", [...noise(1024, 2)], [32, 32])]));
  });
  writeFileSync(at("model.onnx"), bytesOf(model));
  const lines = Array.from({ length: ROWS }, (_, r) =>
    JSON.stringify({ inputs: { x: [[...noise(32, r)]] } }),
  );
  writeFileSync(data, lines.join("\n"));
  await calibrate(at("model.onnx"), { ...settings, data, output: at("whole.json") });
});

const kept = (name: string) => {
  writeFileSync(at(`${name}.part`), readFileSync(at("whole.json")));
  return { output: at(name), samples: ROWS, data };
};

test.each([
  ["another seed", { seed: 4 }, /option data|option seed/],
  ["another shard", { seed: 3, shard: { index: 0, count: 2 } }, /another shard/],
  ["another length", { seed: 3, maxLength: 8 }, /option maxLength/],
])(
  "what is kept of a run with %s: an error that says what to do, and the file stays",
  async (name, options, message) => {
    const given = { ...kept(`${name}.json`), ...options };
    const run = calibrate(at("model.onnx"), given);
    await expect(run).rejects.toThrow(message);
    await expect(calibrate(at("model.onnx"), given)).rejects.toThrow(/anew with --force/);
    expect(existsSync(`${given.output}.part`)).toBe(true);
    expect(existsSync(given.output)).toBe(false);
  },
);

test("with force a run beside a damaged checkpoint begins anew, with a warning", async () => {
  const output = at("damaged.json");
  writeFileSync(`${output}.part`, "{");
  const options = { ...settings, data, output };
  await expect(calibrate(at("model.onnx"), options)).rejects.toThrow(/not JSON/);
  const { report } = await calibrate(at("model.onnx"), { ...options, force: true });
  expect(report.warnings).toEqual([expect.stringMatching(/this one begins anew/)]);
  expect(readFileSync(output).equals(readFileSync(at("whole.json")))).toBe(true);
  expect(existsSync(`${output}.part`)).toBe(false);
});

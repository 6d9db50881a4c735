// The commands evaluate and compare, and quantize --eval, as they are typed.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "./run.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));

let folder: string;
let data: string;
let small: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "octavo-cli-evaluate-"));
  data = join(folder, "dev.tsv");
  small = join(folder, "small.onnx");
  const rows = [
    "sentence\tlabel",
    "A fine, warm place.\t1",
    "Dull and noisy.\t0",
    "I loved it.\t1",
  ];
  writeFileSync(data, rows.map((row) => `${row}\n`).join(""));
  await octavo("quantize", demo, "-o", small, "--no-check");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function octavo(...args: string[]) {
  let [stdout, stderr] = ["", ""];
  const status = await run(args, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: {},
  });
  return { status, stdout, stderr };
}

const parsed = (text: string) => JSON.parse(text) as Record<string, unknown>;

describe("octavo evaluate", () => {
  test("prints a table, or one object with --json", async () => {
    const text = await octavo("evaluate", demo, "--data", data);
    expect(text).toMatchObject({ status: 0, stderr: "" });
    expect(text.stdout).toMatch(/task +text-classification/);
    expect(text.stdout).toMatch(/accuracy +1\.0000 +0\.4385 … 1\.0000/);
    const { status, stdout } = await octavo("evaluate", demo, "--data", data, "--json");
    expect(status).toBe(0);
    expect(parsed(stdout)).toMatchObject({ version: 1, command: "evaluate", rows: 3 });
  });

  test("scores a quantized model elsewhere by the folder that is named", async () => {
    const without = await octavo("evaluate", small, "--data", data);
    expect(without.status).toBe(1);
    expect(without.stderr).toContain("name it with --task. Tasks are");
    const { status } = await octavo("evaluate", small, "--data", data, "--folder", demo);
    expect(status).toBe(0);
  });

  test("without data, or with a task that there is not, is wrong usage", async () => {
    expect(await octavo("evaluate", demo)).toMatchObject({ status: 2, stdout: "" });
    const task = await octavo("evaluate", demo, "--data", data, "--task", "translation");
    expect(task.status).toBe(2);
    expect(task.stderr).toContain("question-answering");
    const both = ["--text-column", "a", "--question-column", "b"];
    expect((await octavo("evaluate", demo, "--data", data, ...both)).status).toBe(2);
  });

  test("a label that the model does not know is status 1, with the line", async () => {
    const wrong = join(folder, "wrong.csv");
    writeFileSync(wrong, "text,label\nGood.,positive\nSo so.,undecided\n");
    const { status, stdout } = await octavo("evaluate", demo, "--data", wrong, "--json");
    expect(status).toBe(1);
    expect(parsed(stdout)["error"]).toMatchObject({
      code: "label",
      label: "undecided",
      place: `${wrong}, line 3`,
    });
  });
});

describe("octavo compare", () => {
  test("prints what changed and where, or one object with --json", async () => {
    const text = await octavo("compare", demo, small, "--data", data, "--site-rows", "2");
    expect(text.status).toBe(0);
    expect(text.stdout).toContain("predictions  100.00 % the same (3 of 3 rows)");
    expect(text.stdout).toMatch(/accuracy +1\.0000 +1\.0000 +0\.0000 .* 1\.000\n/);
    expect(text.stdout).toContain("Sites, the furthest fall first");
    const json = await octavo("compare", demo, small, "--site-rows", "0", "--json");
    expect(parsed(json.stdout)).toMatchObject({ command: "compare", inputs: "synthetic" });
  });

  test("a plan that is none is status 1", async () => {
    const { status, stderr } = await octavo(
      "compare",
      demo,
      small,
      "--sensitivity",
      "--plan",
      data,
    );
    expect(status).toBe(1);
    expect(stderr).toContain("cannot be used");
  });
});

test("octavo quantize --eval prints accuracy before and after", async () => {
  const output = join(folder, "again.onnx");
  const { status, stdout } = await octavo("quantize", demo, "-o", output, "--eval", data);
  expect(status).toBe(0);
  expect(stdout).toMatch(/Accuracy {2}text-classification, 3 rows of /);
  expect(stdout).toContain("predictions: 100.00 % the same");
});

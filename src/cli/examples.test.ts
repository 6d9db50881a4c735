// The scripts of examples/ as a reader runs them: child processes against the built package.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const examples = join(root, "examples");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-examples-"));
  if (!existsSync(join(root, "dist", "node.js")))
    execFileSync(process.execPath, [join(root, "scripts", "build.mjs")], { cwd: root });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

function node(script: string, ...args: string[]) {
  // From elsewhere, with a folder of its own for what is temporary; onnxruntime's telemetry keeps files there too.
  return spawnSync(process.execPath, [join(examples, script), ...args], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder, ORT_DISABLE_TELEMETRY: "1" },
    encoding: "utf8",
  });
}

describe("examples", () => {
  test("quantize.mjs writes a quantized model of about a quarter of the size", () => {
    const output = join(folder, "small.onnx");
    const { status, stdout } = node("quantize.mjs", join(examples, "demo-reviews"), output);
    expect(status).toBe(0);
    expect(stdout).toMatch(/small\.onnx: 2[56]\.\d % of the size\n/);
    expect(stdout).toMatch(/\d+\.\d dB signal-to-noise/);
    expect(existsSync(output)).toBe(true);

    const again = node("quantize.mjs", join(examples, "demo-reviews"), output);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain("output-exists: Not written to ");
    rmSync(output);
  });

  test("plan.mjs keeps a site in float by an edited plan, and leaves nothing behind", () => {
    const { status, stdout, stderr } = node("plan.mjs");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(": float (kept by hand)\n");
    const [first = 0, second = 0] = [...stdout.matchAll(/^(\d+) bytes/gm)].map((m) => Number(m[1]));
    expect(second).toBeGreaterThan(first);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("static.mjs finds ranges on reviews, and leaves nothing behind", () => {
    const { status, stdout, stderr } = node("static.mjs");
    expect(status).toBe(0);
    expect(stderr).toMatch(/^calibrating: \d+ batches$/m);
    expect(stdout).toMatch(/^128 rows; \d+ of \d+ activations smoothed\n2[56]\.\d % of the size\n/);
    expect(stdout).toMatch(/\d+\.\d dB signal-to-noise/);
    expect(readdirSync(folder)).toEqual([]);
  }, 60_000);

  test("passes.mjs shows what each rewrite changes, without a runtime", () => {
    const model = join(examples, "demo-reviews", "onnx", "model.onnx");
    const { status, stdout, stderr } = node("passes.mjs", model, "Erf(");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^clean-up: \d+ lines gone, \d+ made\n/);
    expect(stdout).toMatch(
      /^gelu: 15 lines gone, 15 made\n(?:- %val_\d+: .* = Erf\(.*\n){3}(?:\+ %node_gelu.*\n){3}nan-guard: /m,
    );
    expect(stdout).toMatch(/^lowering: \d+ lines gone, \d+ made$/m);
  });

  test("the code of docs/DEBUGGING.md prints the graph after a pass", () => {
    const page = readFileSync(join(root, "docs", "DEBUGGING.md"), "utf8");
    const [, code = ""] = /^```js\n(.*?)^```$/ms.exec(page) ?? [];
    const model = JSON.stringify(join(examples, "demo-reviews", "onnx", "model.onnx"));
    const bytes = `import { readFileSync } from "node:fs"; const bytes = readFileSync(${model});`;
    const script = ["--input-type=module", "-e", bytes + code];
    const { status, stdout } = spawnSync(process.execPath, script, { cwd: root, encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout).toMatch(/%node_gelu\/Erf_out: float32\[s10, s11, 1536\] = Erf\(/);
  });

  test("browser-bytes.mjs quantizes in memory, without a runtime", () => {
    const { status, stdout, stderr } = node("browser-bytes.mjs");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^28269204 bytes → 7\d{6} bytes\n18 of 39 sites in INT8\n/);
    expect(readdirSync(folder)).toEqual([]);
  });
});

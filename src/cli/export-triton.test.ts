// octavo export-triton as a user meets it: what it prints, what it refuses, and with which status it ends.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { buildModel, bytesOf, floats } from "../../test/build.js";
import { run } from "./run.js";

let folder = "";
const at = (...names: string[]) => join(folder, ...names);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-cli-triton-"));
  const model = buildModel((b) => {
    const w = b.graph.addInitializer("w", floats([32, 2]));
    b.output(b.op("logits", "MatMul", [b.input("x", ["batch", 32]), w]));
  });
  writeFileSync(at("model.onnx"), bytesOf(model));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function octavo(...args: string[]) {
  let [stdout, stderr] = ["", ""];
  const status = await run(["export-triton", ...args], {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: {},
  });
  return { status, stdout, stderr };
}

test("prints where the model is, how to start the server and how to ask it", async () => {
  const { status, stdout, stderr } = await octavo(at("model.onnx"), "-o", at("repository"));
  expect(status).toBe(0);
  expect(stdout).toContain("model     model, for target cpu");
  expect(stdout).toContain("up to 32 rows, of requests of one length");
  expect(stdout).toMatch(/^Start it\n {2}docker run .* --model-repository=\/models$/m);
  expect(stdout).toMatch(/^Ask it\n {2}curl -X POST localhost:8000\/v2\/models\/model\/infer /m);
  expect(stdout).not.toContain("trtexec");
  expect(stderr).toContain("Warning: This is the float model.");
  expect(existsSync(at("repository", "model", "1", "model.onnx"))).toBe(true);
});

test("for a GPU prints the command for an engine, too; --json is one object", async () => {
  const options = ["-o", at("repository"), "--name", "m", "--target", "tensorrt"];
  const { stdout } = await octavo(at("model.onnx"), ...options, "--max-batch", "8");
  expect(stdout).toMatch(/^Or serve an engine.*\n {2}trtexec --onnx=.* --maxShapes=x:8x32$/m);
  const again = await octavo(at("model.onnx"), ...options, "--json");
  expect(again.status).toBe(1);
  expect(JSON.parse(again.stdout)).toMatchObject({ error: { code: "output-exists" } });
  const forced = await octavo(at("model.onnx"), ...options, "--json", "--force");
  expect(JSON.parse(forced.stdout)).toMatchObject({
    command: "export-triton",
    name: "m",
    maxBatch: 32,
  });
});

test("wrong usage ends with status 2 and writes nothing", async () => {
  for (const wrong of [
    [at("model.onnx")],
    [at("model.onnx"), "-o", at("repository"), "--max-batch", "many"],
    [at("model.onnx"), "-o", at("repository"), "--target", "tpu"],
  ])
    expect((await octavo(...wrong)).status).toBe(2);
  expect(existsSync(at("repository"))).toBe(false);
});

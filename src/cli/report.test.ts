// octavo report and octavo benchmark as their users run them, and quantize --report.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats } from "../../test/build.js";
import { benchmarkReport, quantizeReport } from "../../test/reports.js";
import { reportJson } from "../report/json.js";
import { parseReport } from "../report/schema.js";
import { run } from "./run.js";

let folder = "";
const at = (name: string) => join(folder, name);
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "octavo-report-"))));
afterEach(() => rmSync(folder, { recursive: true }));

async function octavo(...args: string[]) {
  let [stdout, stderr] = ["", ""];
  const status = await run(args, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: {},
  });
  return { status, stdout, stderr };
}

function model(): string {
  const built = buildModel((b) => {
    const x = b.input("x", ["batch", "length", 32]);
    const w = b.graph.addInitializer("layer.0.query.weight", floats([32, 32]));
    b.output(b.op("y", "MatMul", [x, w]));
  });
  writeFileSync(at("model.onnx"), bytesOf(built));
  return at("model.onnx");
}

describe("octavo report", () => {
  test("makes report.html beside the reports of a folder, whichever are there", async () => {
    writeFileSync(at("report.json"), reportJson(quantizeReport()));
    writeFileSync(at("benchmark.json"), reportJson(benchmarkReport()));
    const made = await octavo("report", folder, "--json");
    expect(made.status).toBe(0);
    const page = readFileSync(at("report.html"), "utf8");
    expect(JSON.parse(made.stdout)).toEqual({
      path: at("report.html"),
      bytes: Buffer.byteLength(page),
      from: [at("report.json"), at("benchmark.json")],
    });
    for (const heading of ["Layers", "Latency"]) expect(page).toContain(`<h2>${heading}</h2>`);
    const again = await octavo("report", folder);
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining("--force")]);
    expect((await octavo("report", folder, "--force")).status).toBe(0);
  });

  test("what is no report is an error that names the file and what is expected, and writes nothing", async () => {
    const missing = await octavo("report", at("nothing"));
    expect(missing.stderr).toMatch(/nothing: .*Expected a report in JSON/);
    const empty = await octavo("report", folder);
    expect(empty.stderr).toMatch(/holds no report.*report\.json, evaluate\.json/);
    writeFileSync(at("report.json"), "<html>");
    const other = await octavo("report", folder, "--json");
    expect(other.status).toBe(1);
    expect(JSON.parse(other.stdout)).toMatchObject({
      error: { code: "data", path: at("report.json"), detail: "it is not JSON" },
    });
    writeFileSync(at("report.json"), reportJson({ ...quantizeReport(), version: 9 }));
    expect((await octavo("report", folder)).stderr).toContain('"version" is 9. Expected 1 there');
    expect(existsSync(at("report.html"))).toBe(false);
  });
});

describe("octavo quantize --report", () => {
  test("writes the page, or the data that makes it", async () => {
    const path = model();
    const page = await octavo("quantize", path, "--report", at("page.html"), "--json");
    expect(page.status).toBe(0);
    expect(readFileSync(at("page.html"), "utf8")).toMatch(/^<!doctype html>/);
    const data = await octavo("quantize", path, "--force", "--report", at("report.json"));
    expect(data.status).toBe(0);
    const parsed = parseReport(readFileSync(at("report.json"), "utf8"));
    if (!parsed.ok || parsed.report.command !== "quantize") throw new Error("not read");
    const { parts = [], bytesBefore, bytesAfter, commandLine } = parsed.report;
    const sum = (of: "bytesBefore" | "bytesAfter") => parts.reduce((s, part) => s + part[of], 0);
    expect([sum("bytesBefore"), sum("bytesAfter")]).toEqual([bytesBefore, bytesAfter]);
    expect(parts[0]).toEqual({ part: "linear layers", bytesBefore: 4096, bytesAfter: 1024 });
    expect(commandLine).toBe(`octavo quantize ${path} --force --report ${at("report.json")}`);
    expect(await octavo("report", at("report.json"), "-o", at("b.html"))).toMatchObject({
      status: 0,
    });
  });

  test("one that is there, or of another kind, is refused before anything is written", async () => {
    const path = model();
    writeFileSync(at("page.html"), "mine");
    expect((await octavo("quantize", path, "--report", at("page.html"))).status).toBe(1);
    const other = await octavo("quantize", path, "--report", at("page.pdf"));
    expect([other.status, other.stderr]).toEqual([1, expect.stringContaining(".html or .json")]);
    expect(existsSync(at("model_quantized.onnx"))).toBe(false);
    expect(readFileSync(at("page.html"), "utf8")).toBe("mine");
  });
});

describe("octavo benchmark", () => {
  test("prints a table, or one object that report reads", async () => {
    const path = model();
    const quick = ["--shapes", "1x8", "--rounds", "3", "--no-memory"];
    const text = await octavo("benchmark", path, path, ...quick);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/1 thread\n.*shape.*\n +1 × 8 +model\.onnx .*\n +model\.onnx #2 /);
    const json = await octavo("benchmark", path, ...quick, "--json");
    expect(parseReport(json.stdout)).toMatchObject({ ok: true });
  });

  test("wrong lists are wrong usage, or an error that says what is expected", async () => {
    const path = model();
    expect((await octavo("benchmark")).status).toBe(2);
    expect((await octavo("benchmark", path, "--threads", "1,x")).status).toBe(2);
    expect((await octavo("benchmark", path, "--threads", "0")).status).toBe(2);
    expect((await octavo("benchmark", path, "--shapes")).status).toBe(2);
    const shape = await octavo("benchmark", path, "--shapes", "8by128");
    expect([shape.status, shape.stderr]).toEqual([
      1,
      expect.stringContaining('"8by128". Expected batch × length, as 1x32 or 8x128'),
    ]);
  });
});

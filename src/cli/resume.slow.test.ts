// A calibration as a process that is cut off, taken up again, and run in shards as a cluster does.
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { buildModel, bytesOf, noise } from "../../test/build.js";
import { calibrate, type CalibrateReport } from "../node.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
// By its place: the processes run in other folders.
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const CLI = ["--import", tsx, join(root, "src", "cli", "main.ts")];
const folder = mkdtempSync(join(tmpdir(), "octavo-resume-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const ROWS = 2000;
const settings = { samples: ROWS, seed: 3 };

beforeAll(async () => {
  mkdirSync(at("temporary"));
  const model = buildModel((b) => {
    const ids = b.input("input_ids", ["batch", "length"], "int64");
    const rows = b.op("rows", "Gather", [
      b.float("words.weight", [...noise(400 * 64, 1)], [400, 64]),
      ids,
    ]);
    const up = b.op("up", "MatMul", [rows, b.float("up.weight", [...noise(8192, 2)], [64, 128])]);
    const down = b.float("down.weight", [...noise(8192, 3)], [128, 64]);
    b.output(b.op("y", "MatMul", [b.op("act", "Relu", [up]), down]));
  });
  writeFileSync(at("model.onnx"), bytesOf(model));
  const lines = Array.from({ length: ROWS }, (_, r) =>
    JSON.stringify({
      inputs: {
        input_ids: [Array.from({ length: 30 + (r % 9) }, (__, i) => (r * 7 + i * 31) % 400)],
      },
    }),
  );
  writeFileSync(at("data.jsonl"), lines.join("\n"));
  const data = at("data.jsonl");
  await calibrate(at("model.onnx"), { ...settings, data, output: at("whole.json") });
  await calibrate(at("model.onnx"), { ...settings, data, samples: "all", output: at("all.json") });
}, 60_000);

/** Temporary files in a folder of the test's own; onnxruntime's telemetry keeps files there too. */
const env = { ...process.env, TMPDIR: at("temporary"), ORT_DISABLE_TELEMETRY: "1" };

function commandFor(output: string, samples = String(ROWS)): string[] {
  const options = ["--samples", samples, "--seed", "3", "--checkpoint-every", "0", "--json"];
  return [
    ...CLI,
    "calibrate",
    at("model.onnx"),
    "--data",
    at("data.jsonl"),
    "-o",
    output,
    ...options,
  ];
}

/** Runs until a checkpoint is there, and is then sent a signal. */
async function cutOff(args: readonly string[], part: string, signal: NodeJS.Signals) {
  const child = spawn(process.execPath, args, {
    env,
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  child.stdout.on("data", (chunk) => (told += String(chunk)));
  child.stderr.on("data", (chunk) => (told += String(chunk)));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const watch = setInterval(() => {
    if (!existsSync(part)) return;
    clearInterval(watch);
    child.kill(signal);
  }, 1);
  const status = await ended;
  clearInterval(watch);
  return { status, told };
}

function whole(args: readonly string[]): CalibrateReport {
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    env,
    cwd: root,
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as CalibrateReport;
}

describe("a calibration that is cut off", () => {
  test.each([
    ["a sample", String(ROWS), "whole.json"],
    ["all data", "all", "all.json"],
  ])(
    "by SIGKILL goes on when the same command is given again, to the same bytes: %s",
    async (_, samples, expected) => {
      const output = at(`killed-${expected}`);
      const command = commandFor(output, samples);
      await cutOff(command, `${output}.part`, "SIGKILL");
      expect(existsSync(output)).toBe(false);
      expect(existsSync(`${output}.part`)).toBe(true);
      const report = whole(command);
      expect(report.resumed).toBeGreaterThan(0);
      expect(report.resumed).toBeLessThan(ROWS);
      expect(report).toMatchObject({ units: ROWS, covered: ROWS, rows: ROWS, warnings: [] });
      expect(readFileSync(output).equals(readFileSync(at(expected)))).toBe(true);
      expect(existsSync(`${output}.part`)).toBe(false);
    },
    60_000,
  );

  test("by SIGINT ends with status 130, says how to go on, and leaves the checkpoint alone behind", async () => {
    const output = at("interrupted.json");
    const before = readdirSync(at("temporary")).filter((name) => name.startsWith("octavo-"));
    const { status, told } = await cutOff(commandFor(output), `${output}.part`, "SIGINT");
    expect(status).toBe(130);
    expect(JSON.parse(told)).toMatchObject({ error: { code: "interrupted" } });
    expect(told).toContain("goes on from");
    const after = readdirSync(at("temporary")).filter((name) => name.startsWith("octavo-"));
    expect(after).toEqual(before);
    expect(whole(commandFor(output)).resumed).toBeGreaterThan(0);
    expect(readFileSync(output).equals(readFileSync(at("whole.json")))).toBe(true);
  }, 60_000);
});

describe("--manifest", () => {
  const manifest = (kind: string, ...more: string[]) => {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [...CLI, "calibrate", at("model.onnx"), "--manifest", kind, ...more],
      { env, cwd: root, encoding: "utf8" },
    );
    return { stdout, stderr, status };
  };

  /** `octavo` as a command, in a folder for PATH. */
  const path = (): string => {
    const shim = at("bin");
    if (!existsSync(shim)) {
      mkdirSync(shim);
      const quoted = [process.execPath, ...CLI].map((word) => `'${word}'`).join(" ");
      writeFileSync(join(shim, "octavo"), `#!/bin/sh\nexec ${quoted} "$@"\n`);
      chmodSync(join(shim, "octavo"), 0o755);
    }
    return `${shim}${delimiter}${process.env["PATH"] ?? ""}`;
  };

  test.runIf(process.platform !== "win32")(
    "slurm: the body of the script, run for each task and for the merge, gives the file of one run",
    () => {
      const work = at("it's a $(folder)");
      mkdirSync(work);
      const data = join(work, "the data.jsonl");
      writeFileSync(data, readFileSync(at("data.jsonl")));
      const script = join(work, "job.sh");
      const options = [
        "--shards",
        "3",
        "--samples",
        "all",
        "--seed",
        "3",
        "--data",
        data,
        "-o",
        script,
      ];
      expect(manifest("slurm", ...options)).toMatchObject({ status: 0, stderr: "" });
      expect(readFileSync(script, "utf8")).toMatch(
        /^#!\/bin\/bash\n#SBATCH .*\n#SBATCH --array=0-2\n/,
      );
      const shared = { cwd: work, encoding: "utf8" } as const;
      for (const task of ["0", "1", "2"]) {
        // As Slurm sets them where the task was submitted again by itself.
        const own = { SLURM_ARRAY_TASK_ID: task, SLURM_ARRAY_TASK_MIN: task };
        const run = spawnSync("bash", [script], {
          ...shared,
          env: { ...env, ...own, PATH: path() },
        });
        expect([run.status, run.stderr]).toEqual([0, ""]);
      }
      const run = spawnSync("bash", [script, "merge"], {
        ...shared,
        env: { ...env, PATH: path() },
      });
      expect([run.status, run.stderr]).toEqual([0, ""]);
      expect(readFileSync(join(work, "stats.json")).equals(readFileSync(at("all.json")))).toBe(
        true,
      );
    },
    60_000,
  );

  test("kubernetes: the commands of both jobs, run as pods do, give the file of one run", () => {
    const options = [
      "--shards",
      "2",
      "--samples",
      "all",
      "--seed",
      "3",
      "--data",
      at("data.jsonl"),
    ];
    const { stdout, status } = manifest("kubernetes", ...options);
    expect(status).toBe(0);
    const jobs = parseAllDocuments(stdout).map((document) => (document.toJS() as Job).spec);
    expect(jobs).toMatchObject([
      { completionMode: "Indexed", completions: 2, parallelism: 2 },
      { suspend: true },
    ]);
    const [shards = [], merge = []] = jobs.map(
      ({ template }) => template.spec.containers[0]?.command ?? [],
    );
    const work = at("pods");
    mkdirSync(work);
    const pod = (command: readonly string[], index?: string) => {
      const own = index === undefined ? {} : { JOB_COMPLETION_INDEX: index };
      const [, ...args] = command.map((word) => expanded(word, own));
      const run = spawnSync(process.execPath, [...CLI, ...args], {
        cwd: work,
        env: { ...env, ...own },
        encoding: "utf8",
      });
      expect([run.status, run.stderr]).toEqual([0, ""]);
    };
    for (const index of ["0", "1"]) pod(shards, index);
    pod(merge);
    expect(readFileSync(join(work, "stats.json")).equals(readFileSync(at("all.json")))).toBe(true);
  }, 60_000);
});

interface Job {
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: readonly { readonly command: readonly string[] }[] };
    };
  };
}

/** As Kubernetes expands a command. */
function expanded(word: string, variables: Readonly<Record<string, string>>): string {
  return word.replaceAll(/\$\$|\$\((\w+)\)/g, (found, name: string | undefined) =>
    found === "$$" ? "$" : (variables[name ?? ""] ?? found),
  );
}

// Training as a process that is killed at any moment, interrupted, and taken up again; and a real model that learns.
import { spawn, spawnSync } from "node:child_process";
import {
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
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { random } from "../math/random.js";
import { evaluate, train, type TrainReport } from "../node.js";
import { writeTrainingFiles, type TrainingFiles } from "../../test/training-files.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const folder = mkdtempSync(join(tmpdir(), "octavo-train-cli-"));
const at = (name: string) => join(folder, name);
/** Temporary files in a folder of the test's own; onnxruntime's telemetry keeps files there too. */
const env = { ...process.env, TMPDIR: at("temporary"), ORT_DISABLE_TELEMETRY: "1" };
let files: TrainingFiles;

beforeAll(() => {
  mkdirSync(at("temporary"));
  files = writeTrainingFiles(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

function commandFor(output: string): string[] {
  const words =
    "--task text-classification --batch-size 8 --lr 0.01 --epochs 25 --eval-every 40 --threads 1 --checkpoint-every 0 --json";
  const start = ["--import", tsx, join(root, "src", "cli", "main.ts"), "train", files.model];
  const data = ["--data", files.data, "--eval", files.dev, "-o", output];
  return [...start, ...data, ...words.split(" ")];
}

function whole(args: readonly string[]): TrainReport {
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    env,
    cwd: root,
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as TrainReport;
}

/** Runs until a checkpoint is there and some time has gone by, and is then sent a signal. */
async function cutOff(
  args: readonly string[],
  part: string,
  signal: NodeJS.Signals,
  after: number,
) {
  const child = spawn(process.execPath, args, { env, cwd: root });
  let told = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => (told += String(chunk)));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const watch = setInterval(() => {
    if (!existsSync(part)) return;
    clearInterval(watch);
    setTimeout(() => child.kill(signal), after);
  }, 1);
  const status = await ended;
  clearInterval(watch);
  return { status, told };
}

describe("a training run that is cut off", () => {
  test("by SIGKILL at any moment, several times over, ends in the same bytes", async () => {
    const expected = whole(commandFor(at("whole.onnx")));
    expect(expected.resumed).toBe(0);
    const numbers = random(7);
    const command = commandFor(at("killed.onnx"));
    let cuts = 0;
    for (let i = 0; i < 3 && !existsSync(at("killed.onnx")); i++) {
      await cutOff(command, at("killed.onnx.part"), "SIGKILL", 400 * numbers.uniform());
      cuts++;
    }
    expect(cuts).toBeGreaterThan(0);
    // A kill while the finished model was being scored leaves both files.
    const written = existsSync(at("killed.onnx"));
    if (existsSync(at("killed.onnx.part"))) {
      const report = whole([...command, ...(written ? ["--force"] : [])]);
      expect(report.resumed).toBeGreaterThan(0);
      expect(report.losses).toEqual(expected.losses);
      expect(report.scores).toEqual(expected.scores);
    }
    expect(readFileSync(at("killed.onnx"))).toEqual(readFileSync(at("whole.onnx")));
    expect(existsSync(at("killed.onnx.part"))).toBe(false);
  }, 120_000);

  test.skipIf(process.platform === "win32")(
    "by SIGINT keeps its state, says how to go on, and does",
    async () => {
      const command = commandFor(at("stopped.onnx"));
      const { status, told } = await cutOff(command, at("stopped.onnx.part"), "SIGINT", 50);
      expect(status).toBe(130);
      expect(JSON.parse(told)).toEqual({
        error: {
          code: "interrupted",
          message: `Interrupted. The same command goes on from ${at("stopped.onnx.part")}.`,
        },
      });
      expect(existsSync(at("stopped.onnx"))).toBe(false);
      expect(whole(command).resumed).toBeGreaterThan(0);
      expect(readFileSync(at("stopped.onnx"))).toEqual(readFileSync(at("whole.onnx")));
    },
    120_000,
  );
});

test("the demo's model learns labels that were turned around, and its folder is whole", async () => {
  const demo = join(root, "examples", "demo-reviews");
  const [header = "", ...rows] = readFileSync(join(demo, "reviews.tsv"), "utf8")
    .trimEnd()
    .split("\n");
  const turned = rows.map((row) => row.replace(/[01]$/, (label) => String(1 - Number(label))));
  const write = (name: string, part: readonly string[]) => {
    writeFileSync(at(name), [header, ...part].join("\n"));
    return at(name);
  };
  const data = write("turned.tsv", turned.slice(0, 480));
  const dev = write("turned-dev.tsv", turned.slice(480, 640));
  const { path } = await train(demo, { data, output: at("tuned"), rate: 1e-4, epochs: 2 });
  const scores = await Promise.all(
    [demo, path].map(async (model) => (await evaluate(model, { data: dev })).metrics[0]?.value),
  );
  expect(scores[0]).toBeLessThan(0.1);
  expect(scores[1]).toBeGreaterThan(0.85);
  const names = readdirSync(demo).filter((name) => name.endsWith(".json"));
  expect(readdirSync(path)).toEqual(expect.arrayContaining([...names, "onnx"]));
}, 300_000);

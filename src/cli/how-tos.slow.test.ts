// Commands of the documents and scripts of examples/ as a reader runs them, on the demo's model: child processes against the built package.
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const demo = join(root, "examples", "demo-reviews");
const main = join(root, "dist", "cli", "main.js");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-how-to-"));
  if (!existsSync(main))
    execFileSync(process.execPath, [join(root, "scripts", "build.mjs")], { cwd: root });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** As a reader's project: the demo under the name of the documents, and some of its reviews. */
function project(): string {
  const place = mkdtempSync(join(folder, "project-"));
  cpSync(demo, join(place, "my-model"), { recursive: true });
  const [header = "", ...rows] = readFileSync(join(demo, "reviews.tsv"), "utf8")
    .trimEnd()
    .split("\n");
  const lines = rows.slice(0, 16).map((row) => JSON.stringify({ text: row.split("\t")[0] }));
  writeFileSync(join(place, "train.jsonl"), lines.join("\n"));
  writeFileSync(join(place, "dev.tsv"), [header, ...rows.slice(16, 48)].join("\n"));
  writeFileSync(join(place, "train.tsv"), [header, ...rows.slice(48, 148)].join("\n"));
  const texts = rows.slice(148, 248).map((row) => JSON.stringify({ text: row.split("\t")[0] }));
  writeFileSync(join(place, "texts.jsonl"), texts.join("\n"));
  mkdirSync(join(place, "texts"));
  mkdirSync(join(place, "run"));
  writeFileSync(join(place, "texts", "train.jsonl"), lines.join("\n"));
  return place;
}

function node(cwd: string, ...args: string[]) {
  return nodeWith({}, cwd, ...args);
}

function nodeWith(env: Readonly<Record<string, string>>, cwd: string, ...args: string[]) {
  return spawnSync(process.execPath, args, {
    cwd,
    env: { ...process.env, TMPDIR: folder, ORT_DISABLE_TELEMETRY: "1", ...env },
    encoding: "utf8",
  });
}

interface Shown {
  /** What stands in front of it. */
  readonly env: Readonly<Record<string, string>>;
  readonly words: string[];
}

/** The octavo commands of a document's shell blocks. */
function commandsOf(document: string): Shown[] {
  const blocks = readFileSync(join(root, document), "utf8").matchAll(/^```sh\n(.*?)^```$/gms);
  const lines = [...blocks].flatMap(([, block = ""]) => block.split("\n"));
  return lines.flatMap((line) => {
    const [, settings = "", rest] = /^((?:[A-Z_]+=\S+ )*)npx octavo (.*)$/.exec(line) ?? [];
    if (rest === undefined) return [];
    const command = rest.replace(/\s+#.*$/, "");
    const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)];
    return [
      {
        env: Object.fromEntries(
          [...settings.matchAll(/([A-Z_]+)=(\S+)/g)].map(([, name = "", value = ""]) => [
            name,
            value,
          ]),
        ),
        words: words.map(([, quoted, word]) => quoted ?? word ?? ""),
      },
    ];
  });
}

/** Commands that write files. */
const WRITING = new Set(["calibrate", "export-triton", "optimize", "quantize", "report", "train"]);

/** Documents with commands, and how many at least. */
const DOCUMENTS = [
  ["README.md", 5],
  ["docs/HOWTO.md", 40],
  ["docs/DEBUGGING.md", 8],
] as const;

describe.each(DOCUMENTS)("%s", (document, least) => {
  test("shows commands that run, one after the other", () => {
    const place = project();
    // What the README takes from other machines and tools.
    for (const i of [1, 2]) {
      const shard = ["--shard", `${i}/2`, "-o", `part${i}.json`];
      node(place, main, "calibrate", "my-model", "--data", "train.jsonl", ...shard);
    }
    for (const name of ["a.onnx", "b.onnx"])
      cpSync(join(demo, "onnx", "model.onnx"), join(place, name));
    const gpu = ["--mode", "static", "--target", "tensorrt", "-o", "gpu.onnx"];
    node(place, main, "quantize", "my-model", "--data", "train.jsonl", ...gpu);

    const commands = commandsOf(document);
    expect(commands.length).toBeGreaterThanOrEqual(least);
    for (const { env, words: command } of commands) {
      // Results of the commands before may stand in the way.
      const force = WRITING.has(command[0] ?? "") ? ["--force"] : [];
      const [to] = command.includes(">") ? command.slice(-1) : [];
      const words = to === undefined ? command : command.slice(0, -2);
      // Hundreds of steps take minutes; a few show that they run.
      const few = words.includes("qat") ? ["--train-steps", "2"] : [];
      const { status, stdout, stderr } = nodeWith(env, place, main, ...words, ...force, ...few);
      if (to !== undefined) writeFileSync(join(place, to), stdout);
      expect([command.join(" "), status, status === 0 ? "" : stderr]).toEqual([
        command.join(" "),
        0,
        "",
      ]);
    }
    // Models that were to be kept are there, and load.
    const kept = commands.flatMap(({ env }) => env["OCTAVO_KEEP"] ?? []);
    for (const name of new Set(kept)) {
      const models = readdirSync(join(place, name), { recursive: true, encoding: "utf8" });
      const [model = ""] = models.filter((path) => path.endsWith(".onnx"));
      expect(node(place, main, "inspect", join(name, model)).status).toBe(0);
    }
  });
});

const SCRIPTS: Readonly<Record<string, RegExp>> = {
  "shards.mjs": /^shard 1\/3: .*\nmerged, in another order: the same bytes as one run\n$/s,
  "calibrate-once.mjs":
    /^96 rows, \d+ bytes.*\n8-bit weights: 19 sites in INT8, .* dB\n7-bit weights: 19 sites in INT8, .* dB\n$/s,
  "weights.mjs":
    /^int8: 2[56]\.\d % .* dB\nint8-only: 2[56]\.\d % .* dB\nint4: 1[89]\.\d % .* dB\n$/s,
  "tensorrt.mjs": /^unsupported: .*\n19 × linear in INT8\n.*\ntrtexec --onnx=.*\n$/s,
  "lint.mjs": /^Q\/DQ: .*\n\d+ × stored: activation s8/s,
  "train.mjs":
    /^4 steps on 64 rows, loss 0\.\d+ at first\naccuracy: [01]\.\d+ → [01]\.\d+\nquantized: 2[56]\.\d % of the size\n$/,
  "triton.mjs": /model\.onnx\n.*config\.pbtxt\ndocker run .*\ncurl -X POST .*\n$/s,
};

describe("examples", () => {
  test.each(Object.entries(SCRIPTS))("%s does what it says", (script, expected) => {
    const { status, stdout, stderr } = node(folder, join(root, "examples", script));
    expect([status, status === 0 ? "" : stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(expected);
  });

  test("every script is run by a test", () => {
    const scripts = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".mjs"));
    const elsewhere = readFileSync(new URL("examples.test.ts", import.meta.url), "utf8");
    const untested = scripts.filter(
      (name) => !(name in SCRIPTS) && !elsewhere.includes(`"${name}"`),
    );
    expect(untested).toEqual([]);
  });

  test("every script is named in a document", () => {
    const howTos = ["HOWTO.md", "DEBUGGING.md"]
      .map((name) => readFileSync(join(root, "docs", name), "utf8"))
      .join("\n");
    const scripts = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".mjs"));
    for (const script of scripts) expect(howTos).toContain(`(../examples/${script})`);
  });
});

// The package as npm packs it, installed without its optional dependency: what needs no runtime works, the rest says what is missing.
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "octavo-package-"));
const modules = join(folder, "node_modules");
const main = join(modules, "octavo", "dist", "cli", "main.js");
/** As .ci/run has it. */
const LIMIT = 700_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}
let packed: Packed;

const npm = (...args: string[]) =>
  execFileSync("npm", args, { cwd: root, encoding: "utf8", shell: process.platform === "win32" });

/** A package of this checkout, under its own name. */
function link(name: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(join(root, "node_modules", name), join(modules, name), "junction");
}

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts", "ensure.mjs")], { cwd: root });
  const made: unknown = JSON.parse(
    npm("pack", "--json", "--ignore-scripts", "--pack-destination", folder),
  );
  packed = Object.values(made as Record<string, Packed>)[0] as Packed;
  execFileSync("tar", ["-xf", join(folder, packed.filename)], { cwd: folder });
  mkdirSync(modules);
  cpSync(join(folder, "package"), join(modules, "octavo"), { recursive: true });
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) link(name);
  cpSync(join(root, "examples", "demo-reviews"), join(folder, "my-model"), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

function node(...args: string[]) {
  return spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
}

test("is small, and holds no test and nothing that only tests use", () => {
  expect(packed.size).toBeLessThan(LIMIT);
  const paths = packed.files.map(({ path }) => path);
  expect(paths).toContain("dist/index.js");
  expect(paths.filter((path) => /test|oracle|fixture|interpret|\.map$/.test(path))).toEqual([]);
  expect(paths.filter((path) => !path.startsWith("dist/")).toSorted()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "package.json",
  ]);
});

describe("without onnxruntime-node", () => {
  test('a script that imports "octavo" quantizes bytes', () => {
    writeFileSync(
      join(folder, "core.mjs"),
      `import { readFileSync } from "node:fs";
       import { quantizeBytes } from "octavo";
       console.log(quantizeBytes(readFileSync("my-model/onnx/model.onnx")).sites.length);`,
    );
    const { stdout, stderr } = node("core.mjs");
    expect([stdout, stderr]).toEqual(["39\n", ""]);
  });

  test("what runs no model works: inspect, and quantize without its check", () => {
    expect(node(main, "inspect", "my-model")).toMatchObject({ status: 0, stderr: "" });
    const { status, stdout } = node(main, "quantize", "my-model", "--no-check", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      environment: { runtime: "onnxruntime-node not installed" },
    });
  });

  test.each([
    ["quantize", "my-model", "--force"],
    ["evaluate", "my-model", "--data", "my-model/reviews.tsv"],
    ["benchmark", "my-model"],
    ["calibrate", "my-model", "--data", "my-model/reviews.tsv", "-o", "stats.json"],
    ["train", "my-model", "--data", "my-model/reviews.tsv", "-o", "tuned"],
  ])("%s says how to get it, and leaves nothing behind", (...args) => {
    const before = readdirSync(folder);
    const { status, stderr } = node(main, ...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(/the package is not installed\. .*npm install onnxruntime-node\n$/);
    expect(readdirSync(folder)).toEqual(before);
    const { stdout } = node(main, ...args, "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: "runtime-missing", runtime: "onnxruntime-node" },
    });
  });

  test.each(["octavo", "octavo/node"])('the types of "%s" are checked strictly', (entry) => {
    writeFileSync(join(folder, "typed.mts"), `export * from "${entry}";\n`);
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const settings = ["--module", "nodenext", "--target", "es2023", "--noEmit", "--strict"];
    const { status, stdout } = node(tsc, ...settings, "--skipLibCheck", "false", "typed.mts");
    expect([status, stdout]).toEqual([0, ""]);
    expect(existsSync(join(modules, "onnxruntime-node"))).toBe(false);
  });
});

// What the documents say of the command line, the scripts and the dependencies is so.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { gradients } from "../../scripts/gradients.js";
import { reference } from "../../scripts/reference.js";
import { run } from "./run.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

const documents = [
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(read("package.json")) as Manifest;

async function helpOf(command: string): Promise<string> {
  let text = "";
  const status = await run(["help", command], {
    stdout: { write: (more) => (text += more) },
    stderr: { write: () => undefined },
    env: {},
  });
  return status === 0 ? text : "";
}

/** Headings as links name them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} -]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe.each(documents)("%s", (document) => {
  const text = read(document);

  test("links to files and headings that are there", () => {
    for (const [, to = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(to)) continue;
      const [file = "", heading] = to.split("#");
      const target = file === "" ? document : join(dirname(document), file);
      expect(existsSync(join(root, target)), to).toBe(true);
      if (heading !== undefined) expect(headingsOf(read(target)), to).toContain(heading);
    }
  });

  test("shows commands and options that octavo has", async () => {
    for (const [, command = "", rest = ""] of text.matchAll(
      /\boctavo ([a-z]+(?:-[a-z]+)*)\b([^`#\n]*)/g,
    )) {
      // Prose goes on after the name.
      if (!/^\s+[./-]|^$/.test(rest)) continue;
      const help = command === "help" ? "help" : await helpOf(command);
      expect(help, `octavo ${command}`).not.toBe("");
      for (const [option] of rest.matchAll(/(?<=\s)-{1,2}[a-z][a-z0-9-]*/g))
        expect(help, `octavo ${command}${rest}`).toMatch(new RegExp(`${option}\\b`));
    }
  });

  test("names files and folders of src/ and test/ that are there", () => {
    const tops = ["src", "test", ...readdirSync(join(root, "src"))];
    const missing = [...text.matchAll(/`((?:[a-z-]+\/)+(?:[a-z-]+(?:\.ts)?)?)`/g)]
      .map(([, path = ""]) => path)
      .filter((path) => tops.includes(path.split("/")[0] ?? ""))
      .map((path) => (/^(?:src|test)\//.test(path) ? path : join("src", path)))
      .filter((path) => !existsSync(join(root, path)) && !existsSync(join(root, `${path}.ts`)));
    expect(missing).toEqual([]);
  });

  test("names npm scripts that package.json has", () => {
    for (const [, script = ""] of text.matchAll(/\bnpm run ([a-z:]+)/g))
      expect(Object.keys(manifest.scripts)).toContain(script);
  });
});

test("README.md stays two screens long", () => {
  expect(read("README.md").split("\n").length).toBeLessThanOrEqual(151);
});

test("every dependency is justified, and no other is", () => {
  const section = read("docs/ARCHITECTURE.md").split("\n## Dependencies\n")[1] ?? "";
  const named = [...section.matchAll(/^\| (`[^|]*`) +\|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
  );
  const { dependencies, optionalDependencies, devDependencies } = manifest;
  const all = { ...dependencies, ...optionalDependencies, ...devDependencies };
  expect(named.toSorted()).toEqual(Object.keys(all).toSorted());
});

test("docs/REFERENCE.md is what the command line says of itself (npm run docs writes it)", () =>
  expect(read("docs/REFERENCE.md")).toBe(reference()));

test("docs/GRADIENTS.md is what the table of gradients says (npm run docs writes it)", () =>
  expect(read("docs/GRADIENTS.md")).toBe(gradients()));

test("the README's signal-to-noise ratios are those of docs/BENCHMARKS.md", () => {
  const rows = (text: string, title: string) =>
    Object.fromEntries(
      (text.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? "")
        .split("\n")
        .filter((line) => line.includes(" dB "))
        .map((line) => line.split("|").map((cell) => cell.trim()))
        .map(([, model = "", ...cells]) => [model, cells] as const),
    );
  const benchmarks = read("docs/BENCHMARKS.md");
  const [dynamic, fixed] = ["dynamic", "static"].map((mode) =>
    rows(benchmarks, `Accuracy, ${mode} mode`),
  );
  const figure = (text = "") => /\d+\.\d/.exec(text)?.[0];
  const readme = Object.entries(rows(read("README.md"), "Figures"));
  expect(readme.length).toBeGreaterThan(5);
  for (const [model, [, , atRunTime, beforehand]] of readme) {
    expect([model, figure(atRunTime)]).toEqual([model, figure(dynamic?.[model]?.[3])]);
    expect([model, figure(beforehand)]).toEqual([model, figure(fixed?.[model]?.[0])]);
  }
});

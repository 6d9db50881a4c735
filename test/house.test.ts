// Holds the house in order: who imports whom in src/, what reaches Node, how files open and how long they are.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, posix, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** Each part of the house, and the parts it may import: only such as stand above it. */
const MAY_IMPORT: Readonly<Record<string, string>> = {
  errors: "",
  "errors-training": "errors",
  onnx: "errors",
  graph: "errors onnx",
  ops: "errors onnx graph",
  passes: "errors onnx graph ops",
  autodiff: "errors errors-training onnx graph ops",
  quant: "errors onnx graph",
  targets: "errors onnx graph quant",
  runtime: "errors onnx graph ops",
  calibrate: "errors onnx graph ops quant runtime",
  train: "errors errors-training onnx graph ops quant autodiff runtime",
  data: "errors onnx runtime",
  tasks: "errors data",
  report: "",
  improve: "errors onnx graph ops quant",
  pipeline:
    "errors errors-training onnx graph ops passes autodiff quant calibrate improve targets runtime train data tasks report",
  index: "errors errors-training onnx graph quant targets report pipeline",
  node: "errors errors-training onnx targets runtime data report pipeline",
  cli: "errors runtime data tasks report pipeline node",
};

/** Where packages and Node's own modules are used. A name that ends with a slash is a folder. */
const OUTSIDE: Readonly<Record<string, string>> = {
  "node:fs":
    "onnx/file-source.ts onnx/files.ts onnx/write-whole.ts data/folder.ts data/record-files.ts node.ts cli/",
  "node:path": "onnx/files.ts onnx/write-whole.ts data/folder.ts data/record-files.ts node.ts cli/",
  "node:child_process": "node.ts",
  "node:crypto": "node.ts",
  "node:module": "runtime/ort-node.ts cli/",
  "node:os": "node.ts cli/",
  "node:url": "node.ts cli/",
  "onnxruntime-node": "runtime/ort-node.ts",
  "onnxruntime-web": "runtime/ort-web.ts",
  "@huggingface/tokenizers": "data/pieces.ts",
  "csv-parse/stream": "data/csv.ts",
  hyparquet: "data/parquet.ts",
  commander: "cli/",
  picocolors: "report/style.ts",
  valibot:
    "quant/plan.ts calibrate/statistics-file.ts calibrate/statistics-tensor.ts pipeline/options.ts report/",
};

const words = (text = ""): readonly string[] => text.split(" ").filter((word) => word !== "");

/** What runs in Node only: files that bind it, hence also every file that imports one of them. */
const IN_NODE_ONLY = /^(node:|onnxruntime-node$)/;

interface Import {
  /** A file of src/, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
}

interface Source {
  readonly text: string;
  /** Without comments that fill their line. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const root = fileURLToPath(new URL("../src", import.meta.url));
const sources = readSources();

function readSources(): ReadonlyMap<string, Source> {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll(sep, "/"))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  return new Map(
    names.toSorted().map((name) => {
      const text = readFileSync(join(root, name), "utf8");
      const code = text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, "");
      return [name, { text, code, imports: importsOf(name, code) }];
    }),
  );
}

function importsOf(name: string, code: string): Import[] {
  const pattern =
    /^(?:import|export)\s+(?<type>type\s)?[^;"]*?from\s+"(?<from>[^"]+)"|^import\s+"(?<bare>[^"]+)"|\bimport\("(?<lazy>[^"]+)"\)/gm;
  return [...code.matchAll(pattern)].map(({ groups = {} }) => {
    const to = groups["from"] ?? groups["bare"] ?? groups["lazy"] ?? "";
    const file = posix.join(dirname(name), to).replace(/\.js$/, ".ts");
    return { to: to.startsWith(".") ? file : to, typeOnly: groups["type"] !== undefined };
  });
}

/** `graph/node.ts` is of part graph, `node.ts` is part node. */
function partOf(file: string): string {
  return file.split("/")[0]?.replace(/\.ts$/, "") ?? "";
}

function isIn(place: string, file: string): boolean {
  return place.endsWith("/") ? file.startsWith(place) : file === place;
}

const allImports = [...sources].flatMap(([from, { imports }]) =>
  imports.map(({ to, typeOnly }) => ({ from, to, typeOnly })),
);

test("imports are found", () => {
  expect(sources.size).toBeGreaterThan(100);
  expect(allImports.length).toBeGreaterThan(500);
  const lost = allImports.filter(
    ({ to }) => to.includes("/") && to.endsWith(".ts") && !sources.has(to),
  );
  expect(lost).toEqual([]);
});

test("the table of parts has an order: what a part imports stands above it", () => {
  const parts = Object.keys(MAY_IMPORT);
  const below = Object.entries(MAY_IMPORT).flatMap(([part, others]) =>
    words(others)
      .filter((other) => !parts.slice(0, parts.indexOf(part)).includes(other))
      .map((other) => `${part} imports ${other}`),
  );
  expect(below).toEqual([]);
});

test("parts import only what the table lets them", () => {
  const wrong = allImports
    .filter(({ to }) => sources.has(to))
    .filter(({ from, to }) => {
      const [a, b] = [partOf(from), partOf(to)];
      return a !== b && !words(MAY_IMPORT[a]).includes(b);
    })
    .map(({ from, to }) => `${from} imports ${to}`);
  expect(wrong).toEqual([]);
});

test("packages and Node's modules are used where the table says", () => {
  const wrong = allImports
    .filter(({ to }) => !sources.has(to))
    .filter(({ from, to }) => !words(OUTSIDE[to]).some((place) => isIn(place, from)))
    .map(({ from, to }) => `${from} imports ${to}`);
  expect(wrong).toEqual([]);
});

test("only node.ts and the command line bind what runs in Node", () => {
  const bound = new Set(
    allImports.filter(({ to }) => IN_NODE_ONLY.test(to)).map(({ from }) => from),
  );
  const wrong = allImports
    .filter(({ from, to, typeOnly }) => bound.has(to) && !bound.has(from) && !typeOnly)
    .filter(({ from }) => partOf(from) !== "node" && partOf(from) !== "cli")
    .map(({ from, to }) => `${from} imports ${to}`);
  expect(wrong).toEqual([]);
});

test("the core reaches no module of Node, no runtime and no global of Node", () => {
  const core = reachableFrom("index.ts");
  expect(core.size).toBeGreaterThan(80);
  const wrong = [...core].flatMap((file) => {
    const { code = "", imports = [] } = sources.get(file) ?? {};
    const modules = imports.map(({ to }) => to).filter((to) => IN_NODE_ONLY.test(to));
    const globals = code.match(/(?<![\w."])(process|Buffer|require|__dirname)(?=\.|\()/g) ?? [];
    return [...modules, ...globals].map((what) => `${file} uses ${what}`);
  });
  expect(wrong).toEqual([]);
});

/** A file and all that is loaded with it. Types count: declarations must not need Node's either. */
function reachableFrom(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const { to } of sources.get(file)?.imports ?? [])
    if (sources.has(to)) reachableFrom(to, seen);
  return seen;
}

test("every file opens with a line that says what it is for", () => {
  const without = [...sources]
    .filter(([, { text }]) => !/^(#!.*\n)?\/\/ \S/.test(text))
    .map(([file]) => file);
  expect(without).toEqual([]);
});

test("no file is longer than 400 lines", () => {
  const long = [...sources]
    .map(([file, { text }]) => ({ file, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > 400);
  expect(long).toEqual([]);
});

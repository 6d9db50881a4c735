// Holds the house in order: who imports whom in src/, what reaches Node, how files open, that no files import each other in circles.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, posix, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The rooms from the ground up: each may import those that stand above it in this list, and itself. */
const ROOMS = [
  "errors",
  "math",
  "onnx",
  "graph",
  "ops",
  "passes",
  "autodiff",
  "runtime",
  "inputs",
  "data",
  "report",
  "host",
  "benchmark",
  "quant",
  "targets",
  "tasks",
  "plan",
  "calibrate",
  "evaluate",
  "train",
  "qat",
  "ptq",
  "options",
  "cluster",
  "pipeline",
  "index",
  "node",
  "cli",
] as const;

/** What a room leaves alone although it stands above: these keep to what they are for. */
const NOT_BESIDE: Readonly<Record<string, string>> = {
  report: "onnx graph ops passes autodiff runtime inputs data",
  quant: "passes autodiff runtime inputs data report host benchmark",
  targets: "passes autodiff runtime inputs data report host benchmark",
  autodiff: "passes",
  pipeline: "",
};

/** Where packages and Node's own modules are used. A name that ends with a slash is a folder. */
const OUTSIDE: Readonly<Record<string, string>> = {
  "node:fs":
    "onnx/file-source.ts onnx/files.ts onnx/write-whole.ts data/folder.ts data/record-files.ts node.ts cli/",
  "node:path":
    "onnx/files.ts onnx/write-whole.ts data/folder.ts data/record-files.ts runtime/ort-node.ts node.ts cli/",
  "node:child_process": "node.ts",
  "node:crypto": "node.ts",
  "node:module": "runtime/ort-node.ts cli/",
  "node:stream": "data/record-files.ts",
  "node:zlib": "data/record-files.ts",
  "node:os": "node.ts cli/",
  "node:url": "node.ts cli/",
  "onnxruntime-node": "runtime/ort-node.ts",
  "onnxruntime-web": "runtime/ort-web.ts",
  "@huggingface/tokenizers": "data/pieces.ts",
  "csv-parse/stream": "data/csv.ts",
  hyparquet: "data/parquet.ts",
  "hyparquet-compressors": "data/parquet.ts",
  commander: "cli/",
  picocolors: "report/style.ts",
  valibot:
    "quant/plan.ts calibrate/statistics-file.ts calibrate/statistics-tensor.ts options/ report/",
};

const words = (text = ""): readonly string[] => text.split(" ").filter((word) => word !== "");

/** What runs in Node only: files that bind it, hence also every file that imports one of them. */
const IN_NODE_ONLY = /^(node:|onnxruntime-node$)/;

interface Import {
  /** A file of src/, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
  readonly lazy: boolean;
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
    return {
      to: to.startsWith(".") ? file : to,
      typeOnly: groups["type"] !== undefined,
      lazy: groups["lazy"] !== undefined,
    };
  });
}

/** `graph/node.ts` is of room graph, `node.ts` is room node. */
function roomOf(file: string): string {
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

test("each room imports only rooms that stand above it", () => {
  const wrong = allImports
    .filter(({ to }) => sources.has(to))
    .filter(({ from, to }) => {
      const [a, b] = [roomOf(from), roomOf(to)];
      const [at, above] = [a, b].map((room) => (ROOMS as readonly string[]).indexOf(room));
      if (at === undefined || above === undefined || at < 0 || above < 0) return true;
      return above > at || words(NOT_BESIDE[a]).includes(b);
    })
    .map(({ from, to }) => `${from} imports ${to}`);
  expect(wrong).toEqual([]);
});

test("files do not import each other in circles at run time", () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) {
      circles.push([...way.slice(way.indexOf(file)), file].join(" → "));
      return;
    }
    if (done.has(file)) return;
    for (const { to, typeOnly, lazy } of sources.get(file)?.imports ?? [])
      if (!typeOnly && !lazy && sources.has(to)) visit(to, [...way, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  expect(circles).toEqual([]);
});

test("the table of rooms in docs/ARCHITECTURE.md has a row for each, and the picture a box", () => {
  const page = readFileSync(join(root, "../docs/ARCHITECTURE.md"), "utf8");
  const without = ROOMS.filter((room) => !new RegExp(`^\\| .*\`${room}[\`/]`, "m").test(page));
  expect(without).toEqual([]);
  // `npm run docs` draws it from scripts/rooms.ts: from the roof down, a floor from left to right.
  const drawn = roomsIn(readFileSync(join(root, "../docs/pictures/rooms.svg"), "utf8"));
  expect(drawn).toEqual(ROOMS.toReversed());
});

function roomsIn(picture: string): string[] {
  return [...picture.matchAll(/<rect [^>]*\/><text [^>]*>([a-z]+)<\/text>/g)].map(
    ([, room = ""]) => room,
  );
}

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
    .filter(({ from }) => roomOf(from) !== "node" && roomOf(from) !== "cli")
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

test("--version and --help are answered without loading a command", () => {
  const atOnce = (file: string): string[] =>
    (sources.get(file)?.imports ?? [])
      .filter(({ to, typeOnly, lazy }) => !typeOnly && !lazy && sources.has(to))
      .flatMap(({ to }) => [to, ...atOnce(to)]);
  expect(atOnce("cli/main.ts")).toEqual([]);
  expect(atOnce("cli/version.ts")).toEqual([]);
  expect(atOnce("cli/overview.ts")).toEqual(["report/style.ts"]);
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

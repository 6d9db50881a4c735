// The public surface of both entries as declarations, rolled up into docs/api.txt: `npm run api` writes it, a test compares.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
export const API_FILE = join(root, "docs", "api.txt");

interface Declaration {
  readonly file: string;
  readonly name: string;
  readonly kind: string;
  /** Without comments. */
  readonly text: string;
}

/** A file of declarations: what it declares, and what its names stand for elsewhere. */
interface Source {
  readonly declared: ReadonlyMap<string, Declaration>;
  readonly imported: ReadonlyMap<string, Link>;
  readonly exported: ReadonlyMap<string, Link>;
  /** Files of `export *`. */
  readonly all: readonly string[];
}

interface Link {
  /** Undefined for the file itself, a package's name for what is no file. */
  readonly file: string | undefined;
  readonly name: string;
}

/** The surface of one entry: what it exports by name, and what of its types it does not export. */
export interface Surface {
  readonly exported: ReadonlyMap<string, Declaration>;
  readonly hidden: readonly Declaration[];
}

export const ENTRIES = { octavo: "index.d.ts", "octavo/node": "node.d.ts" } as const;
export type Entry = keyof typeof ENTRIES;

/** Compiles the declarations of src/ and reads the surfaces of both entries. */
export function surfaces(): Record<Entry, Surface> {
  const folder = mkdtempSync(join(tmpdir(), "octavo-api-"));
  try {
    const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
    const tsc = join(dirname(manifest), "bin", "tsc");
    const options = ["--emitDeclarationOnly", "--outDir", folder];
    const args = [tsc, "-p", join(root, "tsconfig.build.json"), ...options];
    const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
    if (status !== 0) throw new Error("The declarations do not compile.");
    const program = new Program(folder);
    return {
      octavo: program.surface(ENTRIES.octavo),
      "octavo/node": program.surface(ENTRIES["octavo/node"]),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Each entry with its declarations by name; what both have stands with the first. */
export function apiReport(all: Record<Entry, Surface>): string {
  const seen = new Map<Declaration, string>();
  const parts = Object.entries(all).map(([entry, { exported }]) => {
    const names = [...exported].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const lines = names.map(([name, declaration]) => {
      const before = seen.get(declaration);
      if (before !== undefined) return `// ${name}: as in ${before}\n`;
      seen.set(declaration, entry);
      return `${declaration.text}\n`;
    });
    return `// ${entry}\n\n${lines.join("\n")}`;
  });
  return `// What can be imported, with its types. Written by npm run api.\n\n${parts.join("\n")}`;
}

class Program {
  readonly #folder: string;
  readonly #sources = new Map<string, Source>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  surface(entry: string): Surface {
    const exported = this.#exportsOf(entry);
    const known = new Set(exported.values());
    const hidden: Declaration[] = [];
    const queue = [...known];
    for (let next = queue.pop(); next !== undefined; next = queue.pop())
      for (const used of this.#typesIn(next)) {
        if (known.has(used)) continue;
        known.add(used);
        queue.push(used);
        // A constant stands in types by its literal values.
        if (used.kind !== "const" && used.kind !== "function") hidden.push(used);
      }
    return { exported, hidden };
  }

  #source(file: string): Source {
    const known = this.#sources.get(file);
    if (known !== undefined) return known;
    const source = parse(file, readFileSync(join(this.#folder, file), "utf8"));
    this.#sources.set(file, source);
    return source;
  }

  #exportsOf(file: string): Map<string, Declaration> {
    const { exported, all } = this.#source(file);
    const found = new Map<string, Declaration>();
    for (const other of all)
      for (const [name, declaration] of this.#exportsOf(other)) found.set(name, declaration);
    for (const [name, link] of exported) {
      const declaration = this.#follow(file, link);
      if (declaration !== undefined) found.set(name, declaration);
    }
    return found;
  }

  /** The declaration behind a link; undefined where that is in a package. */
  #follow(from: string, { file, name }: Link): Declaration | undefined {
    if (file === undefined) {
      const { declared, imported } = this.#source(from);
      const link = imported.get(name);
      return declared.get(name) ?? (link && this.#follow(from, link));
    }
    if (!file.endsWith(".d.ts")) return undefined;
    return this.#exportsOf(file).get(name);
  }

  #typesIn({ file, name, text }: Declaration): Declaration[] {
    const inline = [...text.matchAll(/import\("(\.[^"]+)"\)\.(\w+)/g)].map(
      ([, path = "", other = ""]) => ({ file: besides(file, path), name: other }),
    );
    const bare = text.replaceAll(/"[^"]*"/g, "");
    const words = new Set(bare.match(/(?<![.\w$])[A-Za-z_$][\w$]*(?!\??:)/g));
    const links = [...inline, ...[...words].map((word) => ({ file: undefined, name: word }))];
    return links.flatMap((link) => {
      const found = link.name === name ? undefined : this.#follow(file, link);
      return found === undefined ? [] : [found];
    });
  }
}

function besides(file: string, path: string): string {
  return path.startsWith(".") ? join(dirname(file), path).replace(/\.js$/, ".d.ts") : path;
}

function parse(file: string, text: string): Source {
  const declared = new Map<string, Declaration>();
  const imported = new Map<string, Link>();
  const exported = new Map<string, Link>();
  const all: string[] = [];
  for (const statement of statementsIn(text)) {
    const { names, from, verb, star } =
      /^(?<verb>import|export)\s+(?:type\s+)?(?:(?<star>\*)|\{(?<names>[^}]*)\})(?:\s+from\s+"(?<from>[^"]+)")?;$/s.exec(
        statement,
      )?.groups ?? {};
    if (star !== undefined && from !== undefined) all.push(besides(file, from));
    else if (names !== undefined)
      for (const [name, alias] of namesIn(names)) {
        const link = { file: from === undefined ? undefined : besides(file, from), name };
        (verb === "import" ? imported : exported).set(alias, link);
      }
    else {
      const { kind = "", name = "" } = DECLARATION.exec(statement)?.groups ?? {};
      if (name === "") throw new Error(`${file}: what is this?\n${statement}`);
      declared.set(name, { file, name, kind, text: statement });
      if (statement.startsWith("export ")) exported.set(name, { file: undefined, name });
    }
  }
  return { declared, imported, exported, all };
}

const DECLARATION =
  /^(?:export\s+)?(?:declare\s+)?(?:abstract\s+)?(?<kind>function|class|const|interface|type|enum)\s+(?<name>[\w$]+)/;

/** `A, type B as C` */
function namesIn(list: string): [name: string, alias: string][] {
  return list
    .split(",")
    .map((each) => each.trim().replace(/^type\s+/, ""))
    .filter((each) => each !== "")
    .map((each) => {
      const [name = "", alias = name] = each.split(/\s+as\s+/);
      return [name, alias];
    });
}

/** Statements at the top of a file of declarations, without comments. */
function statementsIn(text: string): string[] {
  const code = text.replaceAll(/("(?:[^"\\]|\\.)*")|\/\*.*?\*\/\s*|\/\/[^\n]*\n/gs, "$1");
  const statements: string[] = [];
  let [depth, start] = [0, 0];
  for (let i = 0; i < code.length; i++) {
    const c = code[i] as string;
    if (c === '"') i = code.indexOf('"', i + 1);
    else if ("{([".includes(c)) depth++;
    else if ("})]".includes(c)) depth--;
    const block = /^\s*(export\s+)?(declare\s+)?(abstract\s+)?(interface|class|enum)\b/;
    const ends = c === ";" || (c === "}" && block.test(code.slice(start, start + 60)));
    if (depth > 0 || !ends) continue;
    statements.push(code.slice(start, i + 1).trim());
    start = i + 1;
  }
  // Namespaces are of packages only.
  return statements.filter((one) => one !== "export {};" && !/^import (type )?\* as /.test(one));
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(API_FILE, apiReport(surfaces()));

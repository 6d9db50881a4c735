// The fast tests as something to ask about mutants: which test files run through which blocks, and which fail with a changed text.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { createVitest, type TestModule, type TestSpecification, type Vitest } from "vitest/node";
import { blocksOf, mutantsOf, sourcesIn, type Mutant } from "./make.js";

/** A changed file, whole. */
interface Changed {
  readonly path: string;
  readonly text: string;
}

/** What one test file does while nothing is changed. */
interface Record {
  /** Of the test file's text: another text is run again. */
  readonly hash: string;
  readonly seconds: number;
  /** Tests that fail anyway, which prove nothing. */
  readonly failing: readonly string[];
  /** By source file, the blocks that ran; a file without any is loaded only. */
  readonly reached: { readonly [file: string]: readonly number[] };
}

interface Records {
  /** Of the sources. */
  readonly hash: string;
  /** Where the blocks of each source begin: parsing all of them takes longer than most tests. */
  readonly blocks: { [file: string]: readonly number[] };
  readonly files: { [testFile: string]: Record };
}

export type Verdict = "passed" | "failed" | "timed out";

const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url));

/** Seconds of computing that no test file of the fast group needs. */
const ENDLESS = 600;

const hashOf = (texts: readonly string[]): string =>
  texts.reduce((hash, text) => hash.update(text).update("\0"), createHash("sha256")).digest("hex");

/** Names of the tests that failed, and "" where the file itself did. */
function failuresOf(module: TestModule): readonly string[] {
  const tests = [...module.children.allTests("failed")].map(({ fullName }) => fullName);
  const suites = [...module.children.allSuites()].filter((suite) => suite.errors().length > 0);
  return module.errors().length + suites.length > 0 ? ["", ...tests] : tests;
}

export class FastTests {
  private changed: Changed | undefined;
  private probes: ReadonlyMap<string, string> | undefined;
  private readonly folder = mkdtempSync(join(tmpdir(), "octavo-mutants-"));
  private records: Records = { hash: "", blocks: {}, files: {} };
  private specifications: ReadonlyMap<string, TestSpecification> = new Map();
  private vitest!: Vitest;

  private constructor(private readonly root: string) {}

  /** The fast tests in `folders`. */
  static async open(root: string, folders: readonly string[]): Promise<FastTests> {
    const tests = new FastTests(root);
    tests.vitest = await createVitest(
      "test",
      {
        root,
        config: false,
        watch: false,
        include: folders.map((folder) => `${folder}/**/*.test.ts`),
        exclude: ["**/*.slow.test.ts"],
        setupFiles: ["test/seed.ts", WORKER],
        testTimeout: 60_000,
        reporters: [{}],
        fileParallelism: false,
        execArgv: ["--max-old-space-size=4096"],
      },
      {
        logLevel: "silent",
        plugins: [{ name: "mutants", enforce: "pre", load: (id) => tests.textOf(id) }],
      },
    );
    const found = await tests.vitest.globTestSpecifications();
    tests.specifications = new Map(found.map((one) => [tests.nameOf(one.moduleId), one]));
    return tests;
  }

  /** Runs each test file whose record is missing or old, and keeps the records in `path`. */
  async record(path: string, onFile: (name: string, left: number) => void): Promise<void> {
    const sources = sourcesIn(this.root, ["src"]);
    const hash = hashOf(sources.map((file) => readFileSync(join(this.root, file), "utf8")));
    if (existsSync(path)) this.records = JSON.parse(readFileSync(path, "utf8")) as Records;
    if (this.records.hash !== hash) this.records = { hash, blocks: {}, files: {} };
    const stale = [...this.specifications].filter(
      ([name]) => this.records.files[name]?.hash !== this.hashOfTest(name),
    );
    if (stale.length === 0) return;

    const places = await this.addProbes(sources);
    mkdirSync(dirname(path), { recursive: true });
    for (const [index, [name, specification]] of stale.entries()) {
      onFile(name, stale.length - index);
      this.records.files[name] = await this.recordOf(name, specification, places);
      writeFileSync(path, JSON.stringify(this.records));
    }
    this.removeProbes();
  }

  /** The test files that run through a block of a file (all that load it for -1): nearest first, then quickest. */
  reaching(file: string, block: number): readonly string[] {
    const folder = dirname(file);
    const distance = (name: string): number => {
      if (name.replace(/\.test\.ts$/, ".ts") === file) return 0;
      if (dirname(name) === folder) return 1;
      return name.split("/")[1] === file.split("/")[1] ? 2 : 3;
    };
    const seconds = (name: string): number => this.records.files[name]?.seconds ?? 0;
    return Object.entries(this.records.files)
      .filter(([name, { reached }]) => {
        const blocks = reached[file];
        return (
          this.specifications.has(name) &&
          blocks !== undefined &&
          (block < 0 || blocks.includes(block))
        );
      })
      .map(([name]) => name)
      .toSorted((one, other) => distance(one) - distance(other) || seconds(one) - seconds(other));
  }

  /** One test file with one mutant in place. */
  async against(name: string, { file, start, end, replacement }: Mutant): Promise<Verdict> {
    const specification = this.specifications.get(name);
    const record = this.records.files[name];
    if (specification === undefined || record === undefined)
      throw new Error(`internal: no record of ${name}`);
    const path = join(this.root, file);
    const text = readFileSync(path, "utf8");
    this.changed = { path, text: text.slice(0, start) + replacement + text.slice(end) };
    this.vitest.invalidateFile(path);
    const limit = Math.max(20, record.seconds * 5);
    const modules = await this.run(specification, limit, "");
    this.changed = undefined;
    this.vitest.invalidateFile(path);
    if (modules === undefined) return "timed out";
    const news = modules.flatMap(failuresOf).some((test) => !record.failing.includes(test));
    return news ? "failed" : "passed";
  }

  async close(): Promise<void> {
    await this.vitest.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What a module of the program is loaded from, instead of its file. */
  private textOf(id: string): string | undefined {
    const path = id.split("?")[0] ?? id;
    return this.changed?.path === path ? this.changed.text : this.probes?.get(path);
  }

  private nameOf(path: string): string {
    return relative(this.root, path).split(sep).join("/");
  }

  private hashOfTest(name: string): string {
    return hashOf([readFileSync(join(this.root, name), "utf8")]);
  }

  /** Undefined where the worker ended itself. */
  private async run(
    specification: TestSpecification,
    limit: number,
    reach: string,
  ): Promise<readonly TestModule[] | undefined> {
    const project = this.vitest.getRootProject();
    const marker = join(this.folder, "ended");
    rmSync(marker, { force: true });
    project.provide("mutantsLimit", limit);
    project.provide("mutantsMarker", marker);
    project.provide("mutantsReach", reach);
    const { testModules } = await this.vitest.runTestSpecifications([specification]);
    // Tests that fail are what is looked for: none of it is this process's own failure.
    process.exitCode = 0;
    // Vitest keeps the modules of earlier runs.
    const mine = testModules.filter(({ moduleId }) => moduleId === specification.moduleId);
    return existsSync(marker) ? undefined : mine;
  }

  private async recordOf(
    name: string,
    specification: TestSpecification,
    places: readonly string[],
  ): Promise<Record> {
    const reach = join(this.folder, "reach");
    rmSync(reach, { force: true });
    const started = performance.now();
    const modules = (await this.run(specification, ENDLESS, reach)) ?? [];
    const seconds = (performance.now() - started) / 1000;
    const bytes = existsSync(reach) ? readFileSync(reach) : new Uint8Array(0);
    const reached: { [file: string]: number[] } = {};
    const counts = new Map<string, number>();
    for (const [index, file] of places.entries()) {
      const block = counts.get(file) ?? 0;
      counts.set(file, block + 1);
      // The first place of a file is the file itself, at its first line.
      if (bytes[index] === 1) (reached[file] ??= []).push(block - 1);
    }
    return { hash: this.hashOfTest(name), seconds, failing: modules.flatMap(failuresOf), reached };
  }

  /** Puts a probe into each block of each source; returns the file of each probe. */
  private async addProbes(files: readonly string[]): Promise<readonly string[]> {
    const places: string[] = [];
    const probes = new Map<string, string>();
    for (const file of files) {
      const path = join(this.root, file);
      const text = readFileSync(path, "utf8");
      const probe = (): string => `globalThis.mutantsReached[${places.push(file) - 1}]=1;`;
      const head = probe();
      const starts = (this.records.blocks[file] ??= blocksOf(await mutantsOf(this.root, file)).map(
        ({ start }) => start,
      ));
      const cuts = starts.map((start) => ({ at: start + 1, probe: probe() }));
      let probed = text;
      for (const cut of cuts.toSorted((one, other) => other.at - one.at))
        probed = probed.slice(0, cut.at) + cut.probe + probed.slice(cut.at);
      probes.set(path, head + probed);
    }
    this.probes = probes;
    for (const path of probes.keys()) this.vitest.invalidateFile(path);
    return places;
  }

  private removeProbes(): void {
    const paths = [...(this.probes?.keys() ?? [])];
    this.probes = undefined;
    for (const path of paths) this.vitest.invalidateFile(path);
  }
}

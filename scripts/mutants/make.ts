// Makes every mutant of a source file, with Stryker's mutators, as a change of its text.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import { random } from "../../src/math/random.js";

/** A range of a file's text. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** One change of one file. */
export interface Mutant extends Span {
  /** Path from the repository's root, with slashes. */
  readonly file: string;
  readonly line: number;
  /** Stryker's name of the kind of change. */
  readonly mutator: string;
  readonly original: string;
  readonly replacement: string;
}

const silent = (): void => {};
const logger: ConstructorParameters<typeof Instrumenter>[0] = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
};

/** The sources (no tests) in files and folders, as paths from the root, in order. */
export function sourcesIn(root: string, paths: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const visit = (path: string): void => {
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path)) visit(join(path, name));
    } else if (path.endsWith(".ts") && !path.endsWith(".test.ts")) {
      found.add(relative(root, path).split(sep).join("/"));
    }
  };
  for (const path of paths) visit(join(root, path));
  return [...found].toSorted();
}

/** What stands for a whole statement, a block or a `case`, takes no parentheses; an expression needs them to stay one operand. */
function inPlace(mutator: string, original: string, replacement: string): string {
  const statement = mutator === "BlockStatement" || /^(case\b|default\b)/.test(original);
  return statement ? replacement : `(${replacement})`;
}

/** All mutants of a file, in the order of its text. */
export async function mutantsOf(root: string, file: string): Promise<readonly Mutant[]> {
  const text = readFileSync(join(root, file), "utf8");
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  const instrumenter = new Instrumenter(logger);
  const { mutants } = await instrumenter.instrument(
    [{ name: join(root, file), content: text, mutate: true }],
    { plugins: null, excludedMutations: [], ignorers: [] },
  );
  const offset = ({ line, column }: { line: number; column: number }): number =>
    (starts[line] ?? 0) + column;
  return mutants.map(({ location, mutatorName, replacement }) => {
    const [start, end] = [offset(location.start), offset(location.end)];
    const original = text.slice(start, end);
    return {
      file,
      start,
      end,
      line: location.start.line + 1,
      mutator: mutatorName,
      original,
      replacement: inPlace(mutatorName, original, replacement),
    };
  });
}

/** `count` of the mutants, drawn by a seed; all where there are no more. In the order of their files. */
export function sample(mutants: readonly Mutant[], count: number, seed: number): readonly Mutant[] {
  const numbers = random(seed);
  const order = mutants.map((_, index) => index);
  const chosen = Math.min(count, order.length);
  for (let at = 0; at < chosen; at++) {
    const other = at + numbers.whole(order.length - at);
    [order[at], order[other]] = [order[other] ?? 0, order[at] ?? 0];
  }
  return order
    .slice(0, chosen)
    .toSorted((one, other) => one - other)
    .flatMap((index) => mutants[index] ?? []);
}

/** The blocks of a file that hold code: where probes tell which tests run through them. */
export const blocksOf = (mutants: readonly Mutant[]): readonly Span[] =>
  mutants.filter(({ mutator }) => mutator === "BlockStatement");

/** The smallest block around a mutant, by its place in `blocks`; -1 for what runs when the file is loaded. */
export function blockAround(blocks: readonly Span[], { start, end }: Span): number {
  let best = -1;
  let size = Infinity;
  for (const [index, block] of blocks.entries()) {
    if (block.start <= start && end <= block.end && block.end - block.start < size) {
      best = index;
      size = block.end - block.start;
    }
  }
  return best;
}

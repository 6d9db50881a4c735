// `npm run mutants -- --sample 300 --seed 1 FOLDERS`: changes the code at random places, and tells which changes no fast test notices.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  blockAround,
  blocksOf,
  mutantsOf,
  sample,
  sourcesIn,
  type Mutant,
} from "./mutants/make.js";
import { FastTests } from "./mutants/tests.js";

type Status = "killed" | "timed out" | "survived" | "unfinished";

interface Outcome extends Mutant {
  readonly status: Status;
  /** The test file that noticed. */
  readonly by?: string;
  /** How many test files run through the place. */
  readonly reaching: number;
}

const STATUSES: readonly Status[] = ["killed", "timed out", "survived", "unfinished"];
const root = fileURLToPath(new URL("..", import.meta.url));
/** Outside of the tree that git sees, and kept until node_modules is made anew. */
const RECORDS = join(root, "node_modules", ".cache", "octavo-mutants.json");

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** The tests that run through the mutant, nearest first, until one notices or the time is over. */
async function tried(
  tests: FastTests,
  mutant: Mutant,
  block: number,
  limit: number,
): Promise<Outcome> {
  const names = tests.reaching(mutant.file, block);
  const outcome = { ...mutant, reaching: names.length };
  const started = performance.now();
  for (const by of names) {
    const verdict = await tests.against(by, mutant);
    if (verdict === "failed") return { ...outcome, status: "killed", by };
    if (verdict === "timed out") return { ...outcome, status: "timed out", by };
    const late = performance.now() - started > limit * 1000;
    if (late && by !== names.at(-1)) return { ...outcome, status: "unfinished" };
  }
  return { ...outcome, status: "survived" };
}

const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > 90 ? `${line.slice(0, 60)} … ${line.slice(-25)}` : line;
};

const described = ({ file, line, mutator, original, replacement }: Mutant): string =>
  `${file}:${line}  ${mutator}: ${oneLine(original)} → ${oneLine(replacement)}`;

function print(outcomes: readonly Outcome[], folders: readonly string[]): void {
  for (const folder of folders) {
    const here = outcomes.filter(({ file }) =>
      `${file}/`.startsWith(`${folder.replace(/\/$/, "")}/`),
    );
    if (here.length === 0) continue;
    const counts = STATUSES.map((status) => here.filter((one) => one.status === status).length);
    const [killed = 0, timedOut = 0] = counts;
    const share = ((100 * (killed + timedOut)) / here.length).toFixed(1);
    const parts = STATUSES.map((status, index) => `${counts[index] ?? 0} ${status}`).join(", ");
    console.log(`${folder}: ${share} % of ${here.length} noticed (${parts})`);
  }
  for (const one of outcomes.filter(
    ({ status }) => status === "survived" || status === "unfinished",
  ))
    console.log(`${one.status}, of ${one.reaching} test files: ${described(one)}`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
    limit: { type: "string", default: "120" },
    tests: { type: "string", default: "src,test" },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  },
});
const [count, seed, limit] = [Number(values.sample), Number(values.seed), Number(values.limit)];
if (positionals.length === 0 || ![count, seed, limit].every(Number.isFinite)) {
  say(
    "Usage: npm run mutants -- [--sample 300] [--seed 1] [--limit SECONDS] [--tests FOLDER,FOLDER] [--json FILE] [--list] FOLDERS",
  );
  process.exit(2);
}

const all = new Map<string, readonly Mutant[]>();
for (const file of sourcesIn(root, positionals)) all.set(file, await mutantsOf(root, file));
const every = [...all.values()].flat();
const drawn = sample(every, count, seed);
say(`${drawn.length} of ${every.length} mutants in ${all.size} files, seed ${seed}.`);
if (values.list) {
  for (const mutant of drawn) console.log(described(mutant));
  process.exit(0);
}

const tests = await FastTests.open(root, values.tests.split(","));
const outcomes: Outcome[] = [];
try {
  await tests.record(RECORDS, (name, left) => say(`${left} test files to record: ${name}`));
  for (const mutant of drawn) {
    const block = blockAround(blocksOf(all.get(mutant.file) ?? []), mutant);
    const outcome = await tried(tests, mutant, block, limit);
    outcomes.push(outcome);
    say(
      `${outcomes.length}/${drawn.length} ${outcome.status} ${outcome.by ?? ""}: ${described(mutant)}`,
    );
  }
} finally {
  await tests.close();
}
print(outcomes, positionals);
if (values.json !== undefined) {
  const { json } = values;
  writeFileSync(
    json,
    `${JSON.stringify({ seed, of: every.length, mutants: outcomes }, null, 1)}\n`,
  );
}

// Statistics as a file: JSON that is the same to the byte for the same data, checked where it comes in, and merged with those of other units.
import * as v from "valibot";
import { StatisticsError } from "../errors.js";
import { readTensor, tensorSchema, writeTensor } from "./statistics-tensor.js";
import { TensorStatistics } from "./tensor-statistics.js";
import { missingOf, overlapOf, spansOf, spansText, type UnitSpans } from "./units.js";

export type StatisticsOptions = Readonly<Record<string, string | number | boolean | null>>;

/** Statistics of a model on a part of a sample. */
export interface Statistics {
  /** Hash of the model, as whoever calibrates it computes it. */
  readonly model: string;
  /** All that decides what the units hold: rows, seed, length, … Statistics of other options do not merge. */
  readonly options: StatisticsOptions;
  /** Units of the whole sample. */
  readonly units: number;
  /** The units that are in these statistics. */
  readonly covered: UnitSpans;
  readonly tensors: ReadonlyMap<string, TensorStatistics>;
  /** Where they were read from, for messages; not part of the file. */
  readonly source?: string | undefined;
}

const FORMAT = "octavo-statistics";
const VERSION = 1;

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const optionValue = v.union([v.string(), v.pipe(v.number(), v.finite()), v.boolean(), v.null()]);
const fileSchema = v.strictObject({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  model: v.pipe(v.string(), v.nonEmpty()),
  options: v.record(v.string(), optionValue),
  units: whole,
  covered: v.array(v.strictTuple([whole, whole])),
  tensors: v.array(tensorSchema),
});

const MAKE_AGAIN = "Make the file again with octavo calibrate.";

/** No statistics yet, of the tensors named. */
export function emptyStatistics(
  facts: Pick<Statistics, "model" | "options" | "units">,
  names: Iterable<string>,
): Statistics {
  const tensors = new Map([...names].map((name) => [name, new TensorStatistics()]));
  return { ...facts, covered: [], tensors };
}

/** The text of the file: the same for equal statistics, whatever way they came about. */
export function statisticsToJson({ model, options, units, covered, tensors }: Statistics): string {
  const file = {
    format: FORMAT,
    version: VERSION,
    model,
    options: Object.fromEntries(sortedEntries(options)),
    units,
    covered: spansOf(covered),
    tensors: sortedTensors(tensors).map(([name, tensor]) => writeTensor(name, tensor)),
  };
  return `${JSON.stringify(file, undefined, 1)}\n`;
}

/** Reads statistics. Throws StatisticsError for what is none, naming the place. `path`: for messages. */
export function parseStatistics(text: string, path?: string): Statistics {
  const fail = (got: string): never => {
    throw new StatisticsError(got, "statistics as octavo calibrate writes them", MAKE_AGAIN, path);
  };
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    return fail(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  const result = v.safeParse(fileSchema, data);
  if (!result.success) {
    const issue = result.issues[0];
    const at = issue.path?.map((p) => String(p.key)).join(" → ");
    return fail(`${at ? `${at}: ` : ""}${issue.message}`);
  }
  const { model, options, units, covered, tensors: list } = result.output;
  if (covered.some(([from, to]) => from >= to || to > units))
    return fail(`units are covered that are none of the ${units}`);
  const spans = spansOf(covered);
  if (JSON.stringify(spans) !== JSON.stringify(covered))
    return fail("the ranges of units are not in order");
  const tensors = new Map<string, TensorStatistics>();
  for (const entry of list) {
    if (tensors.has(entry.name)) return fail(`tensor "${entry.name}" is there twice`);
    const reading = readTensor(entry, spans);
    if (typeof reading === "string") return fail(`tensor "${entry.name}": ${reading}`);
    tensors.set(entry.name, reading);
  }
  return { model, options, units, covered: spans, tensors, source: path };
}

export interface MergeOptions {
  /** Whether all units of the sample must be there; default false. */
  readonly complete?: boolean | undefined;
  /** The shard that a unit belongs to, by the name its user knows, for the message about missing units. */
  readonly shardOf?: ((unit: number) => string) | undefined;
}

/**
 * The statistics of all units together, the same in whatever order the parts come. The parts stay as they are. Throws StatisticsError for
 * parts of different models, options or tensors, for units that are in two of them, and with `complete` for units that are in none.
 */
export function mergeStatistics(
  parts: readonly Statistics[],
  { complete = false, shardOf }: MergeOptions = {},
): Statistics {
  const [first] = parts;
  if (first === undefined)
    throw new StatisticsError("no statistics", "at least one file of them", "Name the files.");
  const names = parts.map(({ source }, i) => source ?? `part ${i + 1}`);
  for (const [i, part] of parts.entries())
    requireAlike(first, part, names[0] ?? "", names[i] ?? "");
  requireApart(parts, names);
  const covered = spansOf(parts.flatMap((part) => part.covered));
  if (complete) requireComplete(covered, first.units, shardOf);
  const tensors = new Map<string, TensorStatistics>();
  for (const name of first.tensors.keys()) {
    const sum = new TensorStatistics();
    for (const part of parts) sum.merge(part.tensors.get(name) ?? new TensorStatistics());
    tensors.set(name, sum);
  }
  const { model, options, units } = first;
  return { model, options, units, covered, tensors };
}

/** Throws StatisticsError unless two parts may be merged. */
function requireAlike(a: Statistics, b: Statistics, nameA: string, nameB: string): void {
  const facts = (part: Statistics): [string, string, string][] => [
    ["model", part.model, "Calibrate all shards with the same model file."],
    ...sortedEntries(part.options).map(([key, value]): [string, string, string] => [
      `option ${key}`,
      JSON.stringify(value),
      "Calibrate all shards with the same options.",
    ]),
    ["number of units", String(part.units), "Calibrate all shards on the same data."],
  ];
  const [left, right] = [facts(a), facts(b)];
  const keys = new Map([...left, ...right].map(([key, , todo]) => [key, todo]));
  for (const [key, todo] of keys) {
    const [one, two] = [left, right].map((list) => list.find(([k]) => k === key)?.[1] ?? "none");
    if (one !== two)
      throw new StatisticsError(`${nameB} has ${key} ${two}`, `${one} as ${nameA} has`, todo);
  }
  const odd = [...a.tensors.keys(), ...b.tensors.keys()].find(
    (name) => !a.tensors.has(name) || !b.tensors.has(name),
  );
  if (odd !== undefined)
    throw new StatisticsError(
      `tensor "${odd}" is in ${a.tensors.has(odd) ? nameA : nameB} only`,
      "the same tensors in all files",
      "Calibrate all shards with the same target and plan.",
    );
}

function requireApart(parts: readonly Statistics[], names: readonly string[]): void {
  let seen: UnitSpans = [];
  for (const [i, { covered }] of parts.entries()) {
    if (overlapOf(seen, covered).length > 0) {
      const j = parts.findIndex((other) => overlapOf(other.covered, covered).length > 0);
      const both = spansText(overlapOf(parts[j]?.covered ?? [], covered));
      throw new StatisticsError(
        `unit ${both} is in ${names[j]} and in ${names[i]}`,
        "each unit in one file",
        "Merge each shard once.",
      );
    }
    seen = spansOf([...seen, ...covered]);
  }
}

function requireComplete(
  covered: UnitSpans,
  units: number,
  shardOf: MergeOptions["shardOf"],
): void {
  const missing = missingOf(covered, units);
  if (missing.length === 0) return;
  const shards = new Set<string>();
  for (const [from, to] of missing)
    if (shardOf !== undefined) for (let unit = from; unit < to; unit++) shards.add(shardOf(unit));
  const of = shards.size === 0 ? "" : ` (shard ${[...shards].join(", ")})`;
  throw new StatisticsError(
    `unit ${spansText(missing)} is missing${of}`,
    `all ${units} units of the sample`,
    "Calibrate the missing shards, and merge them too.",
  );
}

function sortedEntries(options: StatisticsOptions): [string, string | number | boolean | null][] {
  return Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** By name, code unit by code unit. */
function sortedTensors(
  tensors: ReadonlyMap<string, TensorStatistics>,
): [string, TensorStatistics][] {
  return [...tensors].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

// The documented interfaces of src/options, read from their source: each option with its doc comment, so that docs are made from what editors show.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as defaults from "../src/options/defaults.js";

export interface OptionDoc {
  readonly name: string;
  /** Without what follows where it is left out. */
  readonly meaning: string;
  /** What happens where it is left out, for what has no default value. */
  readonly leftOut: string | undefined;
  /** As the doc comment gives it. */
  readonly default: string | undefined;
  readonly required: boolean;
}

interface Interface {
  readonly parents: readonly { readonly name: string; readonly without: readonly string[] }[];
  readonly fields: readonly OptionDoc[];
}

/** What each verb takes: its interfaces, and its defaults. */
export const VERBS = {
  quantize: {
    interfaces: ["DynamicOptions", "StaticOptions", "QatOptions"],
    defaults: defaults.QUANTIZE_DEFAULTS,
  },
  calibrate: { interfaces: ["CalibrateOptions"], defaults: defaults.CALIBRATE_DEFAULTS },
  evaluate: { interfaces: ["EvaluationOptions"], defaults: defaults.EVALUATE_DEFAULTS },
  compare: { interfaces: ["CompareOptions"], defaults: defaults.COMPARE_DEFAULTS },
  inspect: { interfaces: ["InspectOptions"], defaults: defaults.INSPECT_DEFAULTS },
  optimize: { interfaces: ["OptimizeOptions"], defaults: defaults.OPTIMIZE_DEFAULTS },
  benchmark: { interfaces: ["BenchmarkOptions"], defaults: defaults.BENCHMARK_DEFAULTS },
  report: { interfaces: ["ReportOptions"], defaults: defaults.REPORT_DEFAULTS },
  train: { interfaces: ["TrainOptions"], defaults: defaults.TRAIN_DEFAULTS },
  "export-triton": {
    interfaces: ["ExportTritonOptions"],
    defaults: defaults.EXPORT_TRITON_DEFAULTS,
  },
} as const;
export type Verb = keyof typeof VERBS;

export function isVerb(name: string): name is Verb {
  return Object.hasOwn(VERBS, name);
}

const interfaces = readInterfaces();

/** The options of an interface by name, its parents' first. */
export function optionsOf(name: string): Map<string, OptionDoc> {
  const { parents, fields } = interfaces.get(name) ?? { parents: [], fields: [] };
  const all = new Map<string, OptionDoc>();
  for (const parent of parents)
    for (const [option, doc] of optionsOf(parent.name))
      if (!parent.without.includes(option)) all.set(option, doc);
  for (const field of fields) all.set(field.name, field);
  return all;
}

/** The options of a verb, whatever its mode. */
export function optionsOfVerb(verb: Verb): Map<string, OptionDoc> {
  const all = new Map<string, OptionDoc>();
  for (const name of VERBS[verb].interfaces)
    for (const [option, doc] of optionsOf(name)) if (!all.has(option)) all.set(option, doc);
  return all;
}

function readInterfaces(): ReadonlyMap<string, Interface> {
  const folder = fileURLToPath(new URL("../src/options", import.meta.url));
  const files = readdirSync(folder).filter((name) => /(?<!\.test)\.ts$/.test(name));
  const found = new Map<string, Interface>();
  for (const file of files) {
    const text = readFileSync(join(folder, file), "utf8");
    const pattern =
      /^export interface (?<name>\w+)(?:\s+extends\s+(?<parents>[^{]+?))?\s*\{\n(?<body>.*?)^\}/gms;
    for (const { groups = {} } of text.matchAll(pattern)) {
      const { name = "", parents = "", body = "" } = groups;
      found.set(name, { parents: parentsIn(parents), fields: fieldsIn(body) });
    }
  }
  return found;
}

/** `A, Omit<B, "c" | "d">` */
function parentsIn(text: string): Interface["parents"] {
  return [...text.matchAll(/Omit<(\w+), ([^>]+)>|(\w+)/g)].map(([, omitted, names = "", name]) => ({
    name: omitted ?? name ?? "",
    without: omitted === undefined ? [] : names.split("|").map((one) => one.trim().slice(1, -1)),
  }));
}

function fieldsIn(body: string): OptionDoc[] {
  const pattern =
    /^ {2}(?:\/\*\*(?<doc>(?:(?!\*\/).)*)\*\/\s+)?readonly (?<name>\w+)(?<optional>\?)?:/gms;
  return [...body.matchAll(pattern)].map(({ groups = {} }) => {
    const { doc = "", name = "", optional } = groups;
    const text = doc
      .replaceAll(/^\s*\*? ?/gm, "")
      .replaceAll(/\s+/g, " ")
      .trim();
    const [about = "", value] = text.split(" @default ");
    const [meaning = "", leftOut] = about.split(/ ?Left out: /);
    return { name, meaning, leftOut, default: value, required: optional === undefined };
  });
}

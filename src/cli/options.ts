// Options of commands as tables, and those that several commands share. Names and defaults are the library's; only parsing is loaded.
import { Command, InvalidArgumentError, Option } from "commander";
import { SHORT_FLAGS } from "../options/spelling.js";

/** One option. Its library name is the long flag's, in camelCase. */
export interface OptionRow {
  readonly flags: string;
  readonly about: string;
  /** What the library does without it, for the help. */
  readonly default?: string | number | readonly number[];
  readonly choices?: readonly string[];
  readonly parse?: (value: string, previous: never) => unknown;
  readonly required?: true;
  readonly conflicts?: string;
}

/** Adds a table of options. What is not given stays undefined: the library has the defaults. */
export function withOptions(command: Command, rows: readonly OptionRow[]): Command {
  for (const row of rows) {
    const option = new Option(flagsOf(row), aboutOf(row));
    if (row.choices !== undefined) option.choices(row.choices);
    if (row.parse !== undefined) option.argParser(row.parse as (value: string) => unknown);
    if (row.conflicts !== undefined) option.conflicts(row.conflicts);
    command.addOption(option.makeOptionMandatory(row.required === true));
  }
  return command;
}

/** A short flag stands beside the whole name. */
function flagsOf({ flags }: OptionRow): string {
  const [long = ""] = flags.split(" ");
  const short = SHORT_FLAGS[nameOf(long)];
  return short === undefined ? flags : `${short}, ${flags}`;
}

function nameOf(long: string): string {
  return long.slice(2).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function aboutOf({ about, ...row }: OptionRow): string {
  const value = row.default;
  return value === undefined ? about : `${about} (default: ${String(value)})`;
}

/** The options that were given, all but those of the command line itself. */
export function given<Options extends object>(command: Command, options: Options): Options {
  const own = new Set(["json", "verbose"]);
  const all: [string, unknown][] = Object.entries(options);
  const named = all.filter(
    ([name]) => !own.has(name) && command.getOptionValueSource(name) !== "default",
  );
  return Object.fromEntries(named) as Options;
}

const MODES = ["dynamic", "static", "qat"];
const TARGETS = ["cpu", "web", "openvino", "tensorrt"];
export const TASKS = [
  "text-classification",
  "multi-label-classification",
  "regression",
  "sentence-embedding",
  "token-classification",
  "question-answering",
  "masked-language-modelling",
  "causal-language-modelling",
  "image-classification",
];

export const MODEL =
  "an .onnx file, or a folder as Hugging Face lays it out (config.json, onnx/model.onnx)";

export const MODE = {
  flags: "--mode <mode>",
  about: "how ranges of activations are found",
  choices: MODES,
} as const;

export const TARGET = {
  flags: "--target <target>",
  about: "where the model will run",
  choices: TARGETS,
  default: "cpu",
} as const;

/** What is quantized beside layers and tables. */
export const OPERANDS: readonly OptionRow[] = [
  {
    flags: "--attention <which>",
    about: "products of two activations in INT8 (default: none)",
    choices: ["none", "values", "all"],
  },
  {
    flags: "--residual <which>",
    about: "operands of residual sums in INT8, for tensorrt (default there: skip)",
    choices: ["none", "skip", "both"],
  },
];

export const WEIGHTS: readonly OptionRow[] = [
  {
    flags: "--weights <form>",
    about: "int8 with 8-bit activations; int4 or int8-only with float ones (default: int8)",
    choices: ["int8", "int4", "int8-only"],
  },
  {
    flags: "--weight-range <range>",
    about:
      "scales of weights by all values, or by least error (default: min-max; of 5 bits and fewer: mse)",
    choices: ["min-max", "mse"],
  },
  {
    flags: "--block-size <values>",
    about: "weights that share a scale, with int4 or int8-only: 16 to 256 (default: 32, 128)",
    parse: wholeNumber,
  },
  {
    flags: "--weight-bits <bits>",
    about: "bits that INT8 weights use: 4 to 8, a scale per output channel (default: 8)",
    parse: wholeNumber,
  },
  { flags: "--reduce-range", about: "7-bit weights, for x86 CPUs without VNNI" },
];

/** Which sites are quantized. */
export const SITES: readonly OptionRow[] = [
  {
    flags: "--include <pattern>",
    about: "quantize only sites of this name; * is any text (repeatable)",
    parse: collect,
  },
  {
    flags: "--exclude <pattern>",
    about: "leave sites of this name in float; * is any text (repeatable)",
    parse: collect,
  },
];

export const COLUMNS: readonly OptionRow[] = [
  { flags: "--text-column <name>", about: "the column of the text", parse: named },
  { flags: "--pair-column <name>", about: "the column of the second text", parse: named },
  {
    flags: "--tokens-column <name>",
    about: "the column of words that are split already",
    parse: named,
  },
];

export const MAX_LENGTH: OptionRow = {
  flags: "--max-length <tokens>",
  about: "tokens of a row at most",
  parse: wholeNumber,
};

/** How data is drawn and read, for the commands that calibrate with it. */
export function dataRows(defaults: { readonly samples: number; readonly seed: number }) {
  return [
    {
      flags: "--data <path>",
      about: "texts to calibrate with: JSONL, CSV, TSV, Parquet, a folder (repeatable)",
      parse: collect,
    },
    {
      flags: "--samples <number>",
      about: "rows drawn from the data, or all",
      parse: numberOrAll,
      default: defaults.samples,
    },
    {
      flags: "--seed <number>",
      about: "seed of the sample and of dummy inputs",
      parse: wholeNumber,
      default: defaults.seed,
    },
    MAX_LENGTH,
    ...COLUMNS,
  ] satisfies readonly OptionRow[];
}

/** Options of every command. */
export function withCommon(command: Command): Command {
  return command
    .option("--json", "print one JSON object on the standard output, and nothing else there")
    .option("--verbose", "on failure, show where in the code")
    .helpOption("-h, --help", "show this help");
}

/** A path or a pattern. One that begins as options do is an option whose value was forgotten. */
export function named(value: string): string {
  if (value === "") throw new InvalidArgumentError("It is empty.");
  if (value.startsWith("-"))
    throw new InvalidArgumentError(`It begins as options do; write ./${value} for a file.`);
  return value;
}

/** Collects an option that may be given several times. */
export function collect(value: string, all: readonly string[] = []): string[] {
  return [...all, named(value)];
}

export function numberOrAll(value: string): number | "all" {
  return value === "all" ? value : wholeNumber(value);
}

export function wholeNumber(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number))
    throw new InvalidArgumentError("It is no whole number.");
  return number;
}

export function decimal(value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number) || number < 0)
    throw new InvalidArgumentError("It is no number from 0 on.");
  return number;
}

export function share(value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !(number >= 0 && number <= 1))
    throw new InvalidArgumentError("Expected a number from 0 to 1.");
  return number;
}

// Options that several commands share, and the values they take.
import { Command, InvalidArgumentError, Option } from "commander";

const MODES = ["dynamic", "static", "qat"];
const TARGETS = ["cpu", "web", "openvino", "tensorrt"];

export const MODEL =
  "an .onnx file, or a folder as Hugging Face lays it out (config.json, onnx/model.onnx)";

export function modeOption(): Option {
  return new Option("--mode <mode>", "how ranges of activations are found").choices(MODES);
}

export function targetOption(): Option {
  return new Option("--target <target>", "where the model will run")
    .choices(TARGETS)
    .default("cpu");
}

/** What is quantized beside layers and tables. */
export interface OperandOptions {
  readonly attention?: "none" | "values" | "all";
  readonly residual?: "none" | "skip" | "both";
}

export function withOperands(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--attention <which>",
        "products of two activations in INT8 (default: the target's, none)",
      ).choices(["none", "values", "all"]),
    )
    .addOption(
      new Option(
        "--residual <which>",
        "operands of residual sums in INT8, for tensorrt (default there: skip)",
      ).choices(["none", "skip", "both"]),
    );
}

export function weightsOption(): Option {
  return new Option(
    "--weights <form>",
    "int8 with 8-bit activations; int4 or int8-only with float ones (default: int8)",
  ).choices(["int8", "int4", "int8-only"]);
}

export function weightRangeOption(): Option {
  return new Option(
    "--weight-range <range>",
    "scales of weights by all values, or by least error (default: min-max; of 5 bits and fewer: mse)",
  ).choices(["min-max", "mse"]);
}

export function blockSizeOption(): Option {
  return new Option(
    "--block-size <values>",
    "weights that share a scale, with int4 or int8-only: 16 to 256 (default: 32, 128)",
  ).argParser(wholeNumber);
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

/** How data is drawn and read, for every command that takes some. */
export interface DataOptions {
  readonly data?: string[];
  readonly samples: number | "all";
  readonly seed: number;
  readonly maxLength?: number;
  readonly textColumn?: string;
  readonly pairColumn?: string;
  readonly tokensColumn?: string;
}

export function withData(command: Command): Command {
  return command
    .option(
      "--data <path>",
      "texts to calibrate with: JSONL, CSV, TSV, Parquet, a folder (repeatable)",
      collect,
    )
    .option("--samples <number>", "rows drawn from the data, or all", numberOrAll, 512)
    .option("--seed <number>", "seed of the sample and of made-up inputs", wholeNumber, 0)
    .option("--max-length <tokens>", "tokens of a row at most", wholeNumber)
    .option("--text-column <name>", "the column of the text", named)
    .option("--pair-column <name>", "the column of the second text", named)
    .option("--tokens-column <name>", "the column of words that are split already", named);
}

/** Collects an option that may be given several times. */
export function collect(value: string, all: readonly string[] = []): string[] {
  return [...all, named(value)];
}

function numberOrAll(value: string): number | "all" {
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

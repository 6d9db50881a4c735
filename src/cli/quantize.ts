// octavo quantize: the INT8 edition of a model.
import { Command } from "commander";
import type { TargetName } from "../node.js";
import type { CommonOptions, Io } from "./io.js";
import {
  collect,
  MODEL,
  modeOption,
  named,
  targetOption,
  wholeNumber,
  withCommon,
} from "./options.js";

interface Options extends CommonOptions {
  readonly output?: string;
  readonly mode: "dynamic" | "static" | "qat";
  readonly target: TargetName;
  readonly data?: string[];
  readonly stats?: string;
  readonly samples: number;
  readonly maxLength?: number;
  readonly textColumn?: string;
  readonly pairColumn?: string;
  readonly tokensColumn?: string;
  readonly smooth: boolean;
  readonly reduceRange?: boolean;
  readonly embeddings: boolean;
  readonly outliers: boolean;
  readonly include?: string[];
  readonly exclude?: string[];
  readonly plan?: string;
  readonly writePlan?: string;
  readonly check: boolean;
  readonly seed: number;
  readonly force?: boolean;
}

export function quantizeCommand(io: Io): Command {
  const command = new Command("quantize")
    .description("Write the INT8 edition of a model, and check it against the float model.")
    .argument("<model>", MODEL)
    .option(
      "-o, --output <path>",
      "where to write it (default: beside the model, by the usual name)",
      named,
    )
    .addOption(modeOption())
    .addOption(targetOption())
    .option(
      "--data <path>",
      "texts to calibrate with: JSONL, CSV, TSV, Parquet, a folder (repeatable)",
      collect,
    )
    .option("--stats <file>", "statistics of octavo calibrate, in place of data")
    .option("--samples <number>", "rows drawn from the data", wholeNumber, 512)
    .option("--max-length <tokens>", "tokens of a row at most", wholeNumber)
    .option("--text-column <name>", "the column of the text")
    .option("--pair-column <name>", "the column of the second text")
    .option("--tokens-column <name>", "the column of words that are split already")
    .option("--no-smooth", "do not move size from activations into weights")
    .option("--reduce-range", "7-bit weights, for x86 CPUs without VNNI")
    .option("--no-embeddings", "leave embedding tables in float")
    .option("--no-outliers", "do not set outlier channels apart")
    .option(
      "--include <pattern>",
      "quantize only sites of this name; * is any text (repeatable)",
      collect,
    )
    .option(
      "--exclude <pattern>",
      "leave sites of this name in float; * is any text (repeatable)",
      collect,
    )
    .option("--plan <file>", "use this plan instead of the default one", named)
    .option("--write-plan <file>", "write the plan, to read it, edit it and pass it back", named)
    .option("--no-check", "do not compare the result with the float model")
    .option(
      "--seed <number>",
      "seed of the sample and of the check's synthetic inputs",
      wholeNumber,
      0,
    )
    .option("--force", "overwrite an existing output")
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: Options) => {
      const [{ quantize }, { quantizeText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, ...settings } = options;
      await present(io, options, quantizeText, async (onProgress) => {
        const { report } = await quantize(model, { ...settings, onProgress });
        return report;
      });
    });
  return withCommon(command);
}

const EXAMPLES = `
Examples:
  octavo quantize ./my-model                            writes ./my-model/onnx/model_quantized.onnx
  octavo quantize ./my-model --mode static --data train.jsonl
                                                        ranges found beforehand, on texts of yours
  octavo quantize ./my-model --data train.jsonl         ranges found at run time, smoothed on texts
  octavo quantize model.onnx -o small.onnx              a single file, another name
  octavo quantize ./my-model --exclude "*.layer.0.*"    the first layer stays in float
  octavo quantize ./my-model --write-plan plan.json     what is done where, as JSON to edit
  octavo quantize ./my-model --plan plan.json           … and to pass back
  octavo quantize ./my-model --json | jq .check.snrDb   for scripts
`;

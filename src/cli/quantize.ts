// octavo quantize: the INT8 edition of a model.
import { Command, InvalidArgumentError, Option } from "commander";
import type { TargetName } from "../node.js";
import { TASKS, type TaskName } from "../tasks/read.js";
import { Interrupted, interruption, resumable, type CommonOptions, type Io } from "./io.js";
import {
  blockSizeOption,
  collect,
  decimal,
  MODEL,
  modeOption,
  named,
  targetOption,
  weightRangeOption,
  weightsOption,
  withCommon,
  withData,
  wholeNumber,
  withOperands,
  type DataOptions,
  type OperandOptions,
} from "./options.js";

interface Options extends CommonOptions, DataOptions, OperandOptions {
  readonly output?: string;
  readonly mode: "dynamic" | "static" | "qat";
  readonly target: TargetName;
  readonly weights?: "int8" | "int4" | "int8-only";
  readonly weightRange?: "min-max" | "mse";
  readonly blockSize?: 16 | 32 | 64 | 128 | 256;
  readonly stats?: string;
  readonly range: string;
  readonly smooth: boolean;
  readonly round: boolean;
  readonly correct: boolean;
  readonly accuracy?: "default" | "high";
  readonly extraProducts?: number;
  readonly reduceRange?: boolean;
  readonly weightBits?: number;
  readonly embeddings: boolean;
  readonly outliers: boolean;
  readonly include?: string[];
  readonly exclude?: string[];
  readonly plan?: string;
  readonly writePlan?: string;
  readonly report?: string;
  readonly steps?: boolean;
  readonly check: boolean;
  readonly eval?: string[];
  readonly task?: TaskName;
  readonly labelColumn?: string;
  readonly answersColumn?: string;
  readonly fp16?: boolean;
  readonly force?: boolean;
  readonly loss?: "task" | "distill" | "both";
  readonly trainSteps?: number;
  readonly batchSize?: number;
  readonly lr?: number;
  readonly stepRate?: number;
  readonly temperature?: number;
  readonly hiddenShare?: number;
  readonly labelScale?: number;
  readonly evalEvery?: number;
  readonly patience?: number;
  readonly threads?: number;
  readonly checkpointEvery?: number;
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
    .addOption(modeOption().default("dynamic"))
    .addOption(targetOption())
    .addOption(weightsOption())
    .addOption(weightRangeOption())
    .addOption(blockSizeOption())
    .option("--stats <file>", "statistics of octavo calibrate, in place of data", named)
    .addOption(
      new Option(
        "--range <estimator>",
        "how static ranges are found: min-max, moving-average, percentile[:99.99], entropy, mse; " +
          "all but min-max without smoothing",
      )
        .argParser(named)
        .default("min-max"),
    )
    .option("--no-smooth", "do not move size from activations into weights")
    .option(
      "--no-round",
      "round weights to the nearest, not against the covariance of their inputs",
    )
    .option("--no-correct", "leave biases as they are")
    .addOption(
      new Option("--accuracy <level>", "high: two INT8 terms where one costs most").choices([
        "default",
        "high",
      ]),
    )
    .option(
      "--extra-products <share>",
      "multiplications that --accuracy high may add, of all (default: 0.2)",
      share,
    )
    .option("--reduce-range", "7-bit weights, for x86 CPUs without VNNI")
    .option(
      "--weight-bits <bits>",
      "bits that INT8 weights use: 4 to 8, a scale per output channel (default: 8)",
      wholeNumber,
    )
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
    .option("--steps", "make it again without each step, and tell in the report what it gave")
    .option(
      "--report <file>",
      "write the report: a page (.html) or its data (.json), as octavo report makes it",
      named,
    )
    .option("--fp16", "write what is not quantized in FP16, for tensorrt")
    .option("--no-check", "do not compare the result with the float model")
    .option(
      "--eval <path>",
      "labelled data that both models are scored on afterwards (repeatable)",
      collect,
    )
    .addOption(
      new Option(
        "--task <task>",
        "what the model does, for --eval (default: by config.json)",
      ).choices(TASKS),
    )
    .option("--label-column <name>", "the column of the label, for --eval", named)
    .option("--answers-column <name>", "the column of the right answers, for --eval", named)
    .option("--force", "overwrite an existing output")
    .addOption(
      new Option(
        "--loss <kind>",
        "qat: learn from labels, from the float model, or both (default: both where there are labels)",
      ).choices(["task", "distill", "both"]),
    )
    .option("--train-steps <number>", "qat: updates to make (default: 600)", wholeNumber)
    .option("--batch-size <rows>", "qat: rows of an update (default: 32)", wholeNumber)
    .option(
      "--lr <rate>",
      "qat: highest learning rate (default: by the noise to learn away)",
      decimal,
    )
    .option("--step-rate <factor>", "qat: how much faster steps learn (default: 200)", decimal)
    .option(
      "--temperature <number>",
      "qat: of the float model's probabilities (default: 2)",
      decimal,
    )
    .option(
      "--hidden-share <factor>",
      "qat: of the float model's hidden states beside its outputs (default: 10)",
      decimal,
    )
    .option(
      "--label-scale <number>",
      "qat: what scores of the data are divided by (default: 1)",
      decimal,
    )
    .option(
      "--eval-every <steps>",
      "qat: steps between evaluations (default: a tenth)",
      wholeNumber,
    )
    .option(
      "--patience <number>",
      "qat: evaluations without a better score to stop after",
      wholeNumber,
    )
    .option(
      "--threads <number>",
      "qat: threads that training takes (default: all cores)",
      wholeNumber,
    )
    .option("--checkpoint-every <seconds>", "qat: time between checkpoints (default: 60)", decimal)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: Options) => {
      const [{ quantize }, { quantizeText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, eval: data, evalEvery, lr, ...settings } = options;
      const renamed = {
        ...(data === undefined ? {} : { evaluate: data }),
        ...(evalEvery === undefined ? {} : { evaluateEvery: evalEvery }),
        ...(lr === undefined ? {} : { rate: lr }),
      };
      const signal = interruption(io);
      let kept: string | undefined;
      await present(io, options, quantizeText, async (onProgress) => {
        const { report } = await quantize(model, {
          ...settings,
          ...renamed,
          signal,
          onProgress,
          onCheckpoint: (path) => (kept = path),
        }).catch((error: unknown) =>
          Promise.reject(
            error instanceof Interrupted && options.mode === "qat" ? resumable(kept) : error,
          ),
        );
        return report;
      });
    });
  return withCommon(withData(withOperands(command)));
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError("Expected a number from 0 to 1.");
  return value;
}

const EXAMPLES = `
Examples:
  octavo quantize ./my-model                            writes ./my-model/onnx/model_quantized.onnx
  octavo quantize ./my-model --mode static --data train.jsonl
                                                        ranges found beforehand, on texts of yours
  octavo quantize ./my-model --mode static --data train.jsonl --accuracy high
                                                        nearly 16 bits where 8 cost most
  octavo quantize ./my-model --mode qat --data train.tsv --eval dev.tsv
                                                        trained with its quantizers in place
  octavo quantize ./my-model --data train.jsonl         ranges found at run time, smoothed on texts
  octavo quantize ./my-model --mode static --target tensorrt --data train.jsonl --fp16
                                                        for Nvidia GPUs; prints the trtexec command
  octavo quantize ./my-model --weights int4             writes ./my-model/onnx/model_q4.onnx
  octavo quantize model.onnx -o small.onnx              a single file, another name
  octavo quantize ./my-model --exclude "*.layer.0.*"    the first layer stays in float
  octavo quantize ./my-model --write-plan plan.json     what is done where, as JSON to edit
  octavo quantize ./my-model --plan plan.json           … and to pass back
  octavo quantize ./my-model --report report.html       one page: sizes, errors, what runs where
  octavo quantize ./my-model --eval dev.tsv             accuracy before and after, with intervals
  octavo quantize ./my-model --json | jq .check.snrDb   for scripts
`;

// octavo quantize: an INT8 model from a float one.
import { Command } from "commander";
import type { QuantizeOptions } from "../node.js";
import { QUANTIZE_DEFAULTS as DEFAULTS } from "../options/defaults.js";
import { LABELS } from "./evaluation-options.js";
import { Interrupted, interruption, resumable, type CommonOptions, type Io } from "./io.js";
import {
  collect,
  dataRows,
  decimal,
  given,
  MODE,
  MODEL,
  named,
  OPERANDS,
  share,
  SITES,
  TARGET,
  TASKS,
  WEIGHTS,
  wholeNumber,
  withCommon,
  withOptions,
  type OptionRow,
} from "./options.js";

const OUTPUTS: readonly OptionRow[] = [
  {
    flags: "-o, --output <path>",
    about: "where to write it (default: beside the model, by the usual name)",
    parse: named,
  },
  { flags: "--force", about: "overwrite an existing output" },
  {
    flags: "--plan <file>",
    about: "use this plan instead of the default one",
    parse: named,
  },
  {
    flags: "--write-plan <file>",
    about: "write the plan, to read it, edit it and pass it back",
    parse: named,
  },
  {
    flags: "--report <file>",
    about: "write the report: a page (.html) or its data (.json), as octavo report makes it",
    parse: named,
  },
  { flags: "--no-check", about: "do not compare the result with the float model" },
];

const CALIBRATION: readonly OptionRow[] = [
  {
    flags: "--stats <file>",
    about: "statistics of octavo calibrate, in place of data",
    parse: named,
  },
  {
    flags: "--range <estimator>",
    about:
      "how static ranges are found: min-max, moving-average, percentile[:99.99], entropy, mse; " +
      "all but min-max without smoothing",
    parse: named,
    default: DEFAULTS.range,
  },
  { flags: "--no-smooth", about: "do not move size from activations into weights" },
  {
    flags: "--no-round",
    about: "round weights to the nearest, not against the Gram matrix of their inputs",
  },
  { flags: "--no-correct", about: "leave biases as they are" },
  {
    flags: "--accuracy <level>",
    about: "high: two INT8 terms where one costs most",
    choices: ["default", "high"],
    default: DEFAULTS.accuracy,
  },
  {
    flags: "--extra-products <share>",
    about: "multiplications that --accuracy high may add, of all",
    parse: share,
    default: DEFAULTS.extraProducts,
  },
  { flags: "--no-embeddings", about: "leave embedding tables in float" },
  { flags: "--no-outliers", about: "do not split off outlier channels" },
  { flags: "--fp16", about: "write what is not quantized in FP16, for tensorrt" },
  {
    flags: "--ablation",
    about: "make it again without each step, and tell in the report what it gave",
  },
];

const EVALUATION: readonly OptionRow[] = [
  {
    flags: "--evaluate <path>",
    about: "labelled data that both models are scored on afterwards (repeatable)",
    parse: collect,
  },
  {
    flags: "--task <task>",
    about: "what the model does, for --eval (default: by config.json)",
    choices: TASKS,
  },
  ...LABELS,
];

const TRAINING: readonly OptionRow[] = [
  {
    flags: "--loss <kind>",
    about:
      "qat: learn from labels, from the float model, or both (default: both where there are labels)",
    choices: ["task", "distill", "both"],
  },
  {
    flags: "--train-steps <number>",
    about: "qat: updates to make",
    parse: wholeNumber,
    default: DEFAULTS.trainSteps,
  },
  {
    flags: "--batch-size <rows>",
    about: "qat: rows of an update",
    parse: wholeNumber,
    default: DEFAULTS.batchSize,
  },
  {
    flags: "--rate <rate>",
    about: "qat: highest learning rate (default: by the noise to learn away)",
    parse: decimal,
  },
  {
    flags: "--scale-rate-multiplier <factor>",
    about: "qat: learning-rate multiplier of scales and zero points",
    parse: decimal,
    default: DEFAULTS.scaleRateMultiplier,
  },
  {
    flags: "--temperature <number>",
    about: "qat: of the float model's probabilities",
    parse: decimal,
    default: DEFAULTS.temperature,
  },
  {
    flags: "--hidden-weight <factor>",
    about: "qat: weight of the float model's hidden states beside its outputs",
    parse: decimal,
    default: DEFAULTS.hiddenWeight,
  },
  {
    flags: "--label-scale <number>",
    about: "qat: what scores of the data are divided by",
    parse: decimal,
    default: DEFAULTS.labelScale,
  },
  {
    flags: "--evaluate-every <steps>",
    about: "qat: steps between evaluations (default: a tenth)",
    parse: wholeNumber,
  },
  {
    flags: "--patience <number>",
    about: "qat: evaluations without a better score to stop after",
    parse: wholeNumber,
  },
  {
    flags: "--threads <number>",
    about: "qat: threads that training takes (default: all cores)",
    parse: wholeNumber,
  },
  {
    flags: "--checkpoint-every <seconds>",
    about: "qat: time between checkpoints",
    parse: decimal,
    default: DEFAULTS.checkpointEvery,
  },
];

const ROWS: readonly OptionRow[] = [
  { ...MODE, default: DEFAULTS.mode },
  TARGET,
  ...OUTPUTS,
  ...dataRows(DEFAULTS),
  ...CALIBRATION,
  ...WEIGHTS,
  ...OPERANDS,
  ...SITES,
  ...EVALUATION,
  ...TRAINING,
];

export function quantizeCommand(io: Io): Command {
  const command = new Command("quantize")
    .description("Write the INT8 form of a model, and check it against the float model.")
    .argument("<model>", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: CommonOptions & QuantizeOptions) => {
      const [{ quantize }, { quantizeText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const settings = given(command, options);
      const signal = interruption(io);
      let kept: string | undefined;
      const onCheckpoint =
        settings.mode === "qat" ? { onCheckpoint: (path: string) => void (kept = path) } : {};
      await present(io, options, quantizeText, async (onProgress) => {
        const all = { ...settings, ...onCheckpoint, signal, onProgress };
        const { report } = await quantize(model, all).catch((error: unknown) =>
          Promise.reject(
            error instanceof Interrupted && settings.mode === "qat" ? resumable(kept) : error,
          ),
        );
        return report;
      });
    });
  return withCommon(withOptions(command, ROWS));
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

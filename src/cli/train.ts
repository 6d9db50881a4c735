// octavo train: plain fine-tuning of an ONNX model, on labelled data or by a teacher.
import { Command } from "commander";
import type { TrainOptions } from "../node.js";
import { TRAIN_DEFAULTS as DEFAULTS } from "../options/defaults.js";
import { evaluationGiven, evaluationRows } from "./evaluation-options.js";
import { Interrupted, interruption, resumable, type CommonOptions, type Io } from "./io.js";
import {
  collect,
  decimal,
  MODEL,
  named,
  share,
  wholeNumber,
  withCommon,
  withOptions,
  type OptionRow,
} from "./options.js";

const OUTPUTS: readonly OptionRow[] = [
  {
    flags: "-o, --output <path>",
    about:
      "where to write: an .onnx file, or a folder with configuration and tokenizer (default: beside the model)",
    parse: named,
  },
  { flags: "--force", about: "overwrite an existing output" },
  {
    flags: "--report <path>",
    about: "write the report: a page (.html) or the data (.json)",
    parse: named,
  },
];

const COURSE: readonly OptionRow[] = [
  {
    flags: "--evaluate <path>",
    about: "labelled data that the best weights are chosen by (repeatable)",
    parse: collect,
  },
  {
    flags: "--evaluate-every <steps>",
    about: "steps between evaluations (default: an epoch)",
    parse: wholeNumber,
  },
  {
    flags: "--patience <number>",
    about: "evaluations without a better score to stop after",
    parse: wholeNumber,
  },
  {
    flags: "--epochs <number>",
    about: "how often to go through the data",
    parse: decimal,
    default: DEFAULTS.epochs,
  },
  {
    flags: "--train-steps <number>",
    about: "updates to make, instead of epochs",
    parse: wholeNumber,
  },
  {
    flags: "--checkpoint-every <seconds>",
    about: "time between two checkpoints at least; 0: after each step",
    parse: decimal,
    default: DEFAULTS.checkpointEvery,
  },
  { flags: "--threads <number>", about: "threads of the runtime", parse: wholeNumber },
];

const UPDATES: readonly OptionRow[] = [
  {
    flags: "--rate <rate>",
    about: "highest learning rate",
    parse: decimal,
    default: DEFAULTS.rate,
  },
  {
    flags: "--schedule <form>",
    about: "how the learning rate falls after its rise",
    choices: ["linear", "cosine", "constant"],
    default: DEFAULTS.schedule,
  },
  {
    flags: "--warmup <share>",
    about: "share of the steps in which the rate rises",
    parse: share,
    default: DEFAULTS.warmup,
  },
  {
    flags: "--optimizer <name>",
    about: "how weights are updated",
    choices: ["adamw", "sgd"],
    default: DEFAULTS.optimizer,
  },
  {
    flags: "--weight-decay <number>",
    about: "pull of weights and tables to 0",
    parse: decimal,
    default: DEFAULTS.weightDecay,
  },
  { flags: "--momentum <number>", about: "of sgd", parse: share, default: DEFAULTS.momentum },
  {
    flags: "--clip <length>",
    about: "length of all gradients at most; 0: any",
    parse: decimal,
    default: DEFAULTS.clip,
  },
  {
    flags: "--accumulate <batches>",
    about: "batches per update",
    parse: wholeNumber,
    default: DEFAULTS.accumulate,
  },
  {
    flags: "--label-scale <number>",
    about: "what scores of the data are divided by",
    parse: decimal,
    default: DEFAULTS.labelScale,
  },
  {
    flags: "--freeze <pattern>",
    about: "weights, or nodes that read them, to leave as they are; * is any text (repeatable)",
    parse: collect,
  },
  { flags: "--teacher <model>", about: "a model to learn from instead of labels", parse: named },
  {
    flags: "--temperature <number>",
    about: "of the teacher's probabilities",
    parse: decimal,
    default: DEFAULTS.temperature,
  },
  {
    flags: "--recompute",
    about: "compute activations of blocks twice: less memory, more time",
  },
];

const DATA: OptionRow = {
  flags: "--data <path>",
  about: "labelled data to learn from: JSONL, CSV, TSV, Parquet, a folder (repeatable)",
  parse: collect,
  required: true,
};

export function trainCommand(io: Io): Command {
  const command = new Command("train")
    .description("Fine-tune a float model on labelled data, or by a teacher; ONNX in, ONNX out.")
    .argument("<model>", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: CommonOptions & TrainOptions) => {
      const [{ train }, { trainText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/train-text.js"),
        import("./present.js"),
      ]);
      const settings = evaluationGiven(command, options);
      const signal = interruption(io);
      let kept: string | undefined;
      const onCheckpoint = (path: string) => void (kept = path);
      await present(io, options, trainText, async (onProgress) => {
        const all = { ...settings, onCheckpoint, signal, onProgress };
        const { report } = await train(model, all).catch((error: unknown) =>
          Promise.reject(error instanceof Interrupted ? resumable(kept) : error),
        );
        return report;
      });
    });
  const rows = [DATA, ...OUTPUTS, ...COURSE, ...UPDATES, ...evaluationRows(DEFAULTS)];
  return withCommon(withOptions(command, rows));
}

const EXAMPLES = `
The model is written as its exporter wrote it, with other numbers in its weights: every runtime and
octavo quantize take it as they took the model before. A run that was cut off goes on from
OUTPUT.part when the same command is given again, to the same bytes.

Examples:
  octavo train ./my-model --data train.tsv --epochs 1 --lr 2e-5 -o ./tuned
  octavo train ./my-model --data train.tsv --eval dev.tsv --eval-every 100 --patience 3 -o ./tuned
  octavo train ./my-model --data train.tsv --freeze '*embeddings*' -o tuned.onnx
  octavo train ./small --teacher ./large --data texts.jsonl -o ./taught
  octavo train ./my-model --data train.tsv --report train.html
`;

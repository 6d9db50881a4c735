// octavo train: plain fine-tuning of an ONNX model, on labelled data or by a teacher.
import { Command, Option } from "commander";
import {
  evaluationSettings,
  withEvaluation,
  type EvaluationOptions,
} from "./evaluation-options.js";
import { Interrupted, interruption, resumable, type CommonOptions, type Io } from "./io.js";
import { collect, decimal, MODEL, named, wholeNumber, withCommon } from "./options.js";

interface Options extends CommonOptions, EvaluationOptions {
  readonly data: string[];
  readonly output?: string;
  readonly force?: boolean;
  readonly eval?: string[];
  readonly evalEvery?: number;
  readonly patience?: number;
  readonly teacher?: string;
  readonly temperature: number;
  readonly epochs: number;
  readonly steps?: number;
  readonly lr: number;
  readonly schedule: "constant" | "linear" | "cosine";
  readonly warmup: number;
  readonly optimizer: "adamw" | "sgd";
  readonly weightDecay: number;
  readonly momentum: number;
  readonly clip: number;
  readonly accumulate: number;
  readonly labelScale: number;
  readonly freeze: string[];
  readonly threads?: number;
  readonly recompute?: boolean;
  readonly checkpointEvery: number;
  readonly report?: string;
}

export function trainCommand(io: Io): Command {
  const command = new Command("train")
    .description("Fine-tune a float model on labelled data, or by a teacher; ONNX in, ONNX out.")
    .argument("<model>", MODEL)
    .option(
      "-o, --output <path>",
      "where to write: an .onnx file, or a folder with configuration and tokenizer (default: beside the model)",
      named,
    )
    .option("--force", "overwrite an existing output")
    .option(
      "--eval <path>",
      "labelled data that the best weights are chosen by (repeatable)",
      collect,
    )
    .option("--eval-every <steps>", "steps between evaluations (default: an epoch)", wholeNumber)
    .option("--patience <number>", "evaluations without a better score to stop after", wholeNumber)
    .option("--epochs <number>", "how often to go through the data", decimal, 1)
    .option("--steps <number>", "updates to make, instead of epochs", wholeNumber)
    .option("--lr <rate>", "highest learning rate", decimal, 2e-5)
    .addOption(
      new Option("--schedule <form>", "how the learning rate falls after its rise")
        .choices(["linear", "cosine", "constant"])
        .default("linear"),
    )
    .option("--warmup <share>", "share of the steps in which the rate rises", decimal, 0.06)
    .addOption(
      new Option("--optimizer <name>", "how weights are updated")
        .choices(["adamw", "sgd"])
        .default("adamw"),
    )
    .option("--weight-decay <number>", "pull of weights and tables to 0", decimal, 0.01)
    .option("--momentum <number>", "of sgd", decimal, 0.9)
    .option("--clip <length>", "length of all gradients at most; 0: any", decimal, 1)
    .option("--accumulate <batches>", "batches per update", wholeNumber, 1)
    .option("--label-scale <number>", "what scores of the data are divided by", decimal, 1)
    .option(
      "--freeze <pattern>",
      "weights, or nodes that read them, to leave as they are; * is any text (repeatable)",
      collect,
      [],
    )
    .option("--teacher <model>", "a model to learn from instead of labels", named)
    .option("--temperature <number>", "of the teacher's probabilities", decimal, 2)
    .option("--recompute", "compute activations of blocks twice: less memory, more time")
    .option("--threads <number>", "threads of the runtime", wholeNumber)
    .option(
      "--checkpoint-every <seconds>",
      "time between two checkpoints at least; 0: after each step",
      wholeNumber,
      60,
    )
    .option("--report <path>", "write the report: a page (.html) or the data (.json)", named)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: Options) => {
      const [{ train }, { trainText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/train-text.js"),
        import("./present.js"),
      ]);
      const {
        eval: evaluate,
        evalEvery: evaluateEvery,
        lr: rate,
        ...rest
      } = evaluationSettings(options);
      const signal = interruption(io);
      let kept: string | undefined;
      await present(io, options, trainText, async (onProgress) => {
        const { report } = await train(model, {
          ...rest,
          rate,
          signal,
          onProgress,
          ...(evaluate === undefined ? {} : { evaluate }),
          ...(evaluateEvery === undefined ? {} : { evaluateEvery }),
          onCheckpoint: (path) => (kept = path),
        }).catch((error: unknown) =>
          Promise.reject(error instanceof Interrupted ? resumable(kept) : error),
        );
        return report;
      });
    });
  const data = new Option(
    "--data <path>",
    "labelled data to learn from: JSONL, CSV, TSV, Parquet, a folder (repeatable)",
  ).makeOptionMandatory();
  return withCommon(withEvaluation(command, data));
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

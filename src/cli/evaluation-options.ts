// Options of the commands that read labelled data: evaluate and compare.
import { Option, type Command } from "commander";
import { TASKS, type TaskName } from "../tasks/read.js";
import { POOLINGS, type Pooling } from "../tasks/sentence-embedding.js";
import { collect, named, wholeNumber } from "./options.js";

export interface EvaluationOptions {
  readonly data?: string[];
  readonly task?: TaskName;
  readonly pooling?: Pooling;
  readonly samples?: number;
  readonly seed: number;
  readonly batchSize: number;
  readonly maxLength?: number;
  readonly textColumn?: string;
  readonly pairColumn?: string;
  readonly tokensColumn?: string;
  readonly labelColumn?: string;
  readonly questionColumn?: string;
  readonly contextColumn?: string;
  readonly answersColumn?: string;
  readonly folder?: string;
}

export function withEvaluation(command: Command, data: Option): Command {
  return command
    .addOption(data.argParser(collect))
    .addOption(
      new Option(
        "--task <task>",
        "what the model does (default: as its config.json tells)",
      ).choices(TASKS),
    )
    .addOption(
      new Option(
        "--pooling <pooling>",
        "how vectors of tokens become one, for sentence embeddings (default: as the folder tells)",
      ).choices(POOLINGS),
    )
    .option("--samples <number>", "rows drawn from the data (default: all)", wholeNumber)
    .option("--seed <number>", "seed of resamples, and of a draw", wholeNumber, 0)
    .option("--batch-size <rows>", "rows of a run", wholeNumber, 32)
    .option("--max-length <tokens>", "tokens of a row at most", wholeNumber)
    .option("--text-column <name>", "the column of the text", named)
    .option("--pair-column <name>", "the column of the second text", named)
    .option("--tokens-column <name>", "the column of words that are split already", named)
    .option("--label-column <name>", "the column of the label, or of the labels of words", named)
    .addOption(
      new Option("--question-column <name>", "the column of the question")
        .argParser(named)
        .conflicts("textColumn"),
    )
    .addOption(
      new Option("--context-column <name>", "the column of the text that holds the answer")
        .argParser(named)
        .conflicts("pairColumn"),
    )
    .option("--answers-column <name>", "the column of the right answers", named)
    .option(
      "--folder <path>",
      "where config.json and tokenizer.json are, if not beside the model",
      named,
    );
}

/** As the library takes them: a question is a text, and its context the pair. */
export function evaluationSettings<O extends EvaluationOptions>(
  options: O,
): Omit<O, "questionColumn" | "contextColumn" | "json" | "verbose"> {
  const { questionColumn, contextColumn, ...rest } = options;
  const {
    json: _json,
    verbose: _verbose,
    ...settings
  } = rest as typeof rest & {
    json?: boolean;
    verbose?: boolean;
  };
  return {
    ...settings,
    ...(questionColumn === undefined ? {} : { textColumn: questionColumn }),
    ...(contextColumn === undefined ? {} : { pairColumn: contextColumn }),
  } as Omit<O, "questionColumn" | "contextColumn" | "json" | "verbose">;
}

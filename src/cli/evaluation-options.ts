// Options of the commands that read labelled data: evaluate, compare and train.
import type { Command } from "commander";
import {
  COLUMNS,
  given,
  MAX_LENGTH,
  named,
  numberOrAll,
  TASKS,
  wholeNumber,
  type OptionRow,
} from "./options.js";

interface Defaults {
  readonly samples: string;
  readonly seed: number;
  readonly batchSize: number;
}

/** What labels are, for every command that takes them. */
export const LABELS: readonly OptionRow[] = [
  {
    flags: "--label-column <name>",
    about: "the column of the label, or of the labels of words",
    parse: named,
  },
  { flags: "--answers-column <name>", about: "the column of the right answers", parse: named },
];

export function evaluationRows({ samples, seed, batchSize }: Defaults): readonly OptionRow[] {
  return [
    {
      flags: "--task <task>",
      about: "what the model does (default: as its config.json tells)",
      choices: TASKS,
    },
    {
      flags: "--pooling <pooling>",
      about:
        "how vectors of tokens become one, for sentence embeddings (default: as the folder tells)",
      choices: ["mean", "cls", "max"],
    },
    {
      flags: "--samples <number>",
      about: "rows drawn from the data",
      parse: numberOrAll,
      default: samples,
    },
    {
      flags: "--seed <number>",
      about: "seed of resamples, and of a draw",
      parse: wholeNumber,
      default: seed,
    },
    {
      flags: "--batch-size <rows>",
      about: "rows of a run",
      parse: wholeNumber,
      default: batchSize,
    },
    MAX_LENGTH,
    ...COLUMNS,
    ...LABELS,
    {
      flags: "--question-column <name>",
      about: "the column of the question",
      parse: named,
      conflicts: "textColumn",
    },
    {
      flags: "--context-column <name>",
      about: "the column of the text that holds the answer",
      parse: named,
      conflicts: "pairColumn",
    },
    {
      flags: "--folder <path>",
      about: "where config.json and tokenizer.json are, if not beside the model",
      parse: named,
    },
  ];
}

interface Columns {
  readonly questionColumn?: string;
  readonly contextColumn?: string;
}

/** What was given, as the library takes it: a question is a text, and its context the pair. */
export function evaluationGiven<Options extends object>(
  command: Command,
  options: Options,
): Options {
  const { questionColumn, contextColumn, ...rest } = given<Options & Columns>(command, options);
  return {
    ...rest,
    ...(questionColumn === undefined ? {} : { textColumn: questionColumn }),
    ...(contextColumn === undefined ? {} : { pairColumn: contextColumn }),
  } as Options;
}

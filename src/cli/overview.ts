// What `octavo --help` prints, without the commands and the parser: loading those takes longer than the answer.
import { styleFor } from "../report/style.js";
import type { Io } from "./io.js";

type Row = readonly [term: string, description: string];

export const ABOUT = "INT8 models from Transformers: ONNX in, ONNX out.";
export const VERSION_OPTION: Row = ["-V, --version", "print the version"];
export const HELP_OPTION: Row = ["-h, --help", "show this help"];
export const HELP_COMMAND: Row = ["help [command]", "show the help of a command"];

/** Each command as it describes itself; a test holds both together. */
const COMMANDS: readonly Row[] = [
  [
    "quantize [options] <model>",
    "Write the INT8 form of a model, and check it against the float model.",
  ],
  [
    "calibrate [options] [model]",
    "Find ranges of activations on data, whole or in shards, and keep them in a file.",
  ],
  ["evaluate [options] <model>", "Score a model on labelled data by its task, with intervals."],
  [
    "compare [options] <reference> <candidate>",
    "Hold two models against each other: predictions, metrics, outputs, each site.",
  ],
  [
    "inspect [options] <model>",
    "Show what is in a model, and what will run in INT8 on a target; of a quantized model, what does.",
  ],
  [
    "optimize [options] <model>",
    "Write the float model, same function, in the form that its runtime runs fastest.",
  ],
  [
    "benchmark [options] <models...>",
    "Time models against the first of them, round by round in turn, on dummy inputs; and the memory of each.",
  ],
  [
    "report [options] <path>",
    "Make one HTML page from reports: it needs no network, and reads on a phone, in the dark and in print.",
  ],
  [
    "train [options] <model>",
    "Fine-tune a float model on labelled data, or by a teacher; ONNX in, ONNX out.",
  ],
  [
    "export-triton [options] <model>",
    "Write a model repository for Triton Inference Server, and show how to start it.",
  ],
  [
    "demo [options] [sentence...]",
    "Quantize the embedded model and show size, accuracy and speed, before and after.",
  ],
];

export const EXAMPLES = `
Examples:
  octavo quantize ./my-model         the INT8 form of a Hugging Face folder or an .onnx file
  octavo inspect ./my-model          what is in it, and what will run in INT8
  octavo calibrate ./my-model --data train.jsonl -o stats.json
                                     ranges of activations, kept for quantize --stats
  octavo evaluate ./my-model --data dev.tsv
                                     accuracy on labelled data, with intervals
  octavo compare ./my-model small.onnx --data dev.tsv
                                     what changed between two models, and where
  octavo optimize ./my-model         the float model, in the form its runtime runs fastest
  octavo train ./my-model --data train.tsv -o ./tuned
                                     fine-tuning, before quantizing or instead of it
  octavo export-triton ./my-model/onnx/model_quantized.onnx -o repository
                                     a model repository for Triton Inference Server
  octavo benchmark a.onnx b.onnx     how fast they run against each other, and their memory
  octavo report run                  one HTML page from the reports in a folder
  octavo demo                        the embedded model, before and after

Every command takes --json: one JSON object on the standard output, and nothing else there.
Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
`;

/** The help of octavo itself in lines of so many letters, as the parser lays it out. */
function overview(width: number): string {
  const [options, commands] = [
    [VERSION_OPTION, HELP_OPTION],
    [...COMMANDS, HELP_COMMAND],
  ];
  const column = Math.max(...[...options, ...commands].map(([term]) => term.length)) + 2;
  const rows = (list: readonly Row[]) => list.map((row) => rowOf(row, column, width)).join("\n");
  return [
    "Usage: octavo [options] [command]\n",
    `${ABOUT}\n`,
    `Options:\n${rows(options)}\n`,
    `Commands:\n${rows(commands)}`,
    `${EXAMPLES}\n`,
  ].join("\n");
}

const INDENT = "  ";
/** Descriptions in a narrower column are not broken into lines. */
const NARROWEST = 40;

function rowOf([term, description]: Row, column: number, width: number): string {
  const left = width - column - INDENT.length;
  const lines = left < NARROWEST ? [description] : wrapped(description, left);
  return INDENT + term.padEnd(column) + lines.join(`\n${" ".repeat(column + INDENT.length)}`);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

export function printOverview(io: Io): void {
  io.stdout.write(overview(styleFor(io.stdout).width));
}

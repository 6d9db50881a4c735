// octavo compare: two models on the same inputs, and where they part.
import { Command } from "commander";
import type { CompareOptions } from "../node.js";
import { COMPARE_DEFAULTS as DEFAULTS } from "../options/defaults.js";
import { evaluationGiven, evaluationRows } from "./evaluation-options.js";
import { interruption, type CommonOptions, type Io } from "./io.js";
import {
  collect,
  MODEL,
  named,
  wholeNumber,
  withCommon,
  withOptions,
  type OptionRow,
} from "./options.js";

const ROWS: readonly OptionRow[] = [
  {
    flags: "--data <path>",
    about:
      "data, labelled or not: JSONL, CSV, TSV, Parquet, a folder (repeatable; default: dummy inputs)",
    parse: collect,
  },
  {
    flags: "--site-rows <number>",
    about: "rows that sites are compared on; 0: none",
    parse: wholeNumber,
    default: DEFAULTS.siteRows,
  },
  { flags: "--sensitivity", about: "also quantize each site of the reference by itself" },
  {
    flags: "--plan <file>",
    about: "the plan for --sensitivity (default: that of dynamic mode)",
    parse: named,
  },
  ...evaluationRows(DEFAULTS),
];

export function compareCommand(io: Io): Command {
  const command = new Command("compare")
    .description("Hold two models against each other: predictions, metrics, outputs, each site.")
    .argument("<reference>", MODEL)
    .argument("<candidate>", "another form of it, by whatever tool")
    .addHelpText("after", EXAMPLES)
    .action(
      async (reference: string, candidate: string, options: CommonOptions & CompareOptions) => {
        const [{ compare }, { compareText }, { present }] = await Promise.all([
          import("../node.js"),
          import("../report/evaluation-text.js"),
          import("./present.js"),
        ]);
        const settings = evaluationGiven(command, options);
        const signal = interruption(io);
        await present(io, options, compareText, (onProgress) =>
          compare(reference, candidate, { ...settings, signal, onProgress }),
        );
      },
    );
  return withCommon(withOptions(command, ROWS));
}

const EXAMPLES = `
Examples:
  octavo compare ./my-model ./my-model/onnx/model_quantized.onnx --data dev.tsv
                                                        before and after, with a test of chance
  octavo compare model.onnx small.onnx                  outputs and sites, on dummy inputs
  octavo compare ./my-model small.onnx --data dev.tsv --sensitivity --plan plan.json
                                                        which site costs how much by itself
  octavo compare ./my-model small.onnx --data dev.tsv --json | jq '.sites[:5]'
`;

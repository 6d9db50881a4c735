// octavo compare: two models on the same inputs, and where they part.
import { Command, Option } from "commander";
import {
  evaluationSettings,
  withEvaluation,
  type EvaluationOptions,
} from "./evaluation-options.js";
import { interruption, type CommonOptions, type Io } from "./io.js";
import { MODEL, named, wholeNumber, withCommon } from "./options.js";

interface Options extends CommonOptions, EvaluationOptions {
  readonly siteRows: number;
  readonly alone?: boolean;
  readonly plan?: string;
}

export function compareCommand(io: Io): Command {
  const command = new Command("compare")
    .description("Hold two models against each other: predictions, metrics, outputs, each site.")
    .argument("<reference>", MODEL)
    .argument("<candidate>", "another form of it, by whatever tool")
    .option("--site-rows <number>", "rows that sites are compared on; 0: none", wholeNumber, 64)
    .option("--alone", "also quantize each site of the reference by itself")
    .option("--plan <file>", "the plan for --alone (default: that of dynamic mode)", named)
    .addHelpText("after", EXAMPLES)
    .action(async (reference: string, candidate: string, options: Options) => {
      const [{ compare }, { compareText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/evaluation-text.js"),
        import("./present.js"),
      ]);
      const signal = interruption(io);
      await present(io, options, compareText, (onProgress) =>
        compare(reference, candidate, { ...evaluationSettings(options), signal, onProgress }),
      );
    });
  const data = new Option(
    "--data <path>",
    "data, labelled or not: JSONL, CSV, TSV, Parquet, a folder (repeatable; default: made-up inputs)",
  );
  return withCommon(withEvaluation(command, data));
}

const EXAMPLES = `
Examples:
  octavo compare ./my-model ./my-model/onnx/model_quantized.onnx --data dev.tsv
                                                        before and after, with a test of chance
  octavo compare model.onnx small.onnx                  outputs and sites, on made-up inputs
  octavo compare ./my-model small.onnx --data dev.tsv --alone --plan plan.json
                                                        which site costs how much by itself
  octavo compare ./my-model small.onnx --data dev.tsv --json | jq '.sites[:5]'
`;

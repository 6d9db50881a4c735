// octavo evaluate: one model on labelled data, by its task.
import { Command } from "commander";
import type { EvaluateOptions } from "../node.js";
import { EVALUATE_DEFAULTS } from "../options/defaults.js";
import { evaluationGiven, evaluationRows } from "./evaluation-options.js";
import { interruption, type CommonOptions, type Io } from "./io.js";
import { collect, MODEL, withCommon, withOptions, type OptionRow } from "./options.js";

const DATA: OptionRow = {
  flags: "--data <path>",
  about: "labelled data: JSONL, CSV, TSV, Parquet, a folder (repeatable)",
  parse: collect,
  required: true,
};

export function evaluateCommand(io: Io): Command {
  const command = new Command("evaluate")
    .description("Score a model on labelled data by its task, with intervals.")
    .argument("<model>", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: CommonOptions & EvaluateOptions) => {
      const [{ evaluate }, { evaluateText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/evaluation-text.js"),
        import("./present.js"),
      ]);
      const settings = evaluationGiven(command, options);
      const signal = interruption(io);
      await present(io, options, evaluateText, (onProgress) =>
        evaluate(model, { ...settings, signal, onProgress }),
      );
    });
  return withCommon(withOptions(command, [DATA, ...evaluationRows(EVALUATE_DEFAULTS)]));
}

const EXAMPLES = `
Examples:
  octavo evaluate ./my-model --data dev.tsv             columns text (or sentence, …) and label
  octavo evaluate ./my-model/onnx/model_quantized.onnx --data dev.tsv
                                                        a quantized model of it, by the same folder
  octavo evaluate ./qa-model --data dev.jsonl           {"question", "context", "answers"} per line
  octavo evaluate model.onnx --folder ./my-model --task text-classification --data dev.tsv
  octavo evaluate ./my-model --data dev.csv --text-column body --label-column stars
  octavo evaluate ./my-model --data dev.tsv --json | jq '.metrics[0].value'
`;

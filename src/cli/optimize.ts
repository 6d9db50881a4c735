// octavo optimize: the float model in the form that its runtime runs fastest.
import { Command } from "commander";
import type { TargetName } from "../node.js";
import type { CommonOptions, Io } from "./io.js";
import { MODEL, named, targetOption, wholeNumber, withCommon } from "./options.js";

interface Options extends CommonOptions {
  readonly output?: string;
  readonly target: TargetName;
  readonly check: boolean;
  readonly seed: number;
  readonly force?: boolean;
}

export function optimizeCommand(io: Io): Command {
  const command = new Command("optimize")
    .description("Write the float model, same function, in the form that its runtime runs fastest.")
    .argument("<model>", MODEL)
    .option("-o, --output <path>", "where to write it (default: beside the model)", named)
    .addOption(targetOption())
    .option("--no-check", "do not compare the result with the model")
    .option("--seed <number>", "seed of the check's synthetic inputs", wholeNumber, 0)
    .option("--force", "overwrite an existing output")
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: Options) => {
      const [{ optimize }, { optimizeText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, ...settings } = options;
      await present(io, options, optimizeText, async (onProgress) => {
        const { report } = await optimize(model, { ...settings, onProgress });
        return report;
      });
    });
  return withCommon(command);
}

const EXAMPLES = `
Examples:
  octavo optimize ./my-model
  octavo optimize model.onnx -o fast.onnx
`;

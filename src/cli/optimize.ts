// octavo optimize: the float model in the form that its runtime runs fastest.
import { Command } from "commander";
import type { OptimizeOptions } from "../node.js";
import { OPTIMIZE_DEFAULTS as DEFAULTS } from "../options/defaults.js";
import type { CommonOptions, Io } from "./io.js";
import {
  given,
  MODEL,
  named,
  TARGET,
  wholeNumber,
  withCommon,
  withOptions,
  type OptionRow,
} from "./options.js";

const ROWS: readonly OptionRow[] = [
  {
    flags: "-o, --output <path>",
    about: "where to write it (default: beside the model)",
    parse: named,
  },
  TARGET,
  { flags: "--no-check", about: "do not compare the result with the model" },
  {
    flags: "--seed <number>",
    about: "seed of the check's dummy inputs",
    parse: wholeNumber,
    default: DEFAULTS.seed,
  },
  { flags: "--force", about: "overwrite an existing output" },
];

export function optimizeCommand(io: Io): Command {
  const command = new Command("optimize")
    .description("Write the float model, same function, in the form that its runtime runs fastest.")
    .argument("<model>", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: CommonOptions & OptimizeOptions) => {
      const [{ optimize }, { optimizeText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const settings = given(command, options);
      await present(io, options, optimizeText, async (onProgress) => {
        const { report } = await optimize(model, { ...settings, onProgress });
        return report;
      });
    });
  return withCommon(withOptions(command, ROWS));
}

const EXAMPLES = `
Examples:
  octavo optimize ./my-model
  octavo optimize model.onnx -o fast.onnx
`;

// octavo inspect: what is in a model, and what will run in INT8.
import { Command } from "commander";
import type { InspectOptions } from "../node.js";
import type { CommonOptions, Io } from "./io.js";
import {
  given,
  MODE,
  MODEL,
  named,
  OPERANDS,
  SITES,
  TARGET,
  WEIGHTS,
  withCommon,
  withOptions,
  type OptionRow,
} from "./options.js";

const ROWS: readonly OptionRow[] = [
  { ...MODE, about: `${MODE.about} (default: what the target takes)` },
  TARGET,
  {
    flags: "--plan <file>",
    about: "show this plan instead of the default one",
    parse: named,
  },
  ...WEIGHTS,
  ...OPERANDS,
  ...SITES,
  { flags: "--no-embeddings", about: "as in quantize: embedding tables stay in float" },
  { flags: "--no-outliers", about: "as in quantize: outlier channels are not split off" },
  { flags: "--all", about: "a line for each site, also where those of all layers are alike" },
];

export function inspectCommand(io: Io): Command {
  const command = new Command("inspect")
    .description(
      "Show what is in a model, and what will run in INT8 on a target; of a quantized model, what does.",
    )
    .argument("<model>", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(
      async (
        model: string,
        options: CommonOptions & InspectOptions & { readonly all?: boolean },
      ) => {
        const [{ inspect }, { inspectText }, { present }] = await Promise.all([
          import("../node.js"),
          import("../report/text.js"),
          import("./present.js"),
        ]);
        const { all = false, ...settings } = given(command, options);
        await present(
          io,
          options,
          (report, style) => inspectText(report, style, { all }),
          () => inspect(model, settings),
        );
      },
    );
  return withCommon(withOptions(command, ROWS));
}

const EXAMPLES = `
Examples:
  octavo inspect ./my-model                             sites alike are one line
  octavo inspect ./my-model --target tensorrt           what a GPU would run in INT8
  octavo inspect ./my-model/onnx/model.onnx --all       a line for each site
  octavo inspect quantized.onnx                         where it runs as it stands, and why not in INT8
  octavo inspect ./my-model --json | jq '.sites[].name'
`;

// octavo inspect: what is in a model, and what will run in INT8.
import { Command } from "commander";
import type { TargetName } from "../node.js";
import type { CommonOptions, Io } from "./io.js";
import {
  blockSizeOption,
  MODEL,
  modeOption,
  targetOption,
  weightRangeOption,
  weightsOption,
  withCommon,
  withOperands,
  type OperandOptions,
} from "./options.js";

interface Options extends CommonOptions, OperandOptions {
  readonly mode?: "dynamic" | "static" | "qat";
  readonly target: TargetName;
  readonly weights?: "int8" | "int4" | "int8-only";
  readonly weightRange?: "min-max" | "mse";
  readonly blockSize?: 16 | 32 | 64 | 128 | 256;
  readonly embeddings: boolean;
  readonly outliers: boolean;
  readonly all?: boolean;
}

export function inspectCommand(io: Io): Command {
  const command = new Command("inspect")
    .description(
      "Show what is in a model, and what will run in INT8 on a target; of a quantized model, what does.",
    )
    .argument("<model>", MODEL)
    .addOption(modeOption())
    .addOption(targetOption())
    .addOption(weightsOption())
    .addOption(weightRangeOption())
    .addOption(blockSizeOption())
    .option("--no-embeddings", "as in quantize: embedding tables stay in float")
    .option("--no-outliers", "as in quantize: outlier channels are not set apart")
    .option("--all", "a line for each site, also where those of all layers are alike")
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: Options) => {
      const [{ inspect }, { inspectText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, all = false, ...settings } = options;
      await present(
        io,
        options,
        (report, style) => inspectText(report, style, { all }),
        () => inspect(model, settings),
      );
    });
  return withCommon(withOperands(command));
}

const EXAMPLES = `
Examples:
  octavo inspect ./my-model                             sites alike are one line
  octavo inspect ./my-model --target tensorrt           what a GPU would run in INT8
  octavo inspect ./my-model/onnx/model.onnx --all       a line for each site
  octavo inspect quantized.onnx                         where it runs as it stands, and why not in INT8
  octavo inspect ./my-model --json | jq '.sites[].name'
`;

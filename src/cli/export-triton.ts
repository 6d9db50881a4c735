// octavo export-triton: a model repository for Triton Inference Server.
import { Command } from "commander";
import type { TargetName } from "../node.js";
import type { CommonOptions, Io } from "./io.js";
import { MODEL, named, targetOption, wholeNumber, withCommon } from "./options.js";

interface Options extends CommonOptions {
  readonly output: string;
  readonly name?: string;
  readonly target: TargetName;
  readonly maxBatch: number;
  readonly force?: boolean;
}

export function exportTritonCommand(io: Io): Command {
  const command = new Command("export-triton")
    .description("Write a model repository for Triton Inference Server, and show how to start it.")
    .argument("<model>", MODEL)
    .requiredOption("-o, --output <path>", "the model repository", named)
    .option("--name <name>", "the model's name on the server (default: that of its folder)", named)
    .addOption(targetOption())
    .option("--max-batch <requests>", "requests put together at most; 0: none", wholeNumber, 32)
    .option("--force", "overwrite an existing model of this name")
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: Options) => {
      const [{ exportTriton }, { exportTritonText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/triton-text.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, ...settings } = options;
      await present(io, options, exportTritonText, async (onProgress) => {
        const { report } = await exportTriton(model, { ...settings, onProgress });
        return report;
      });
    });
  return withCommon(command);
}

const EXAMPLES = `
The model is written as it is: name the file of the edition that is to be served. Free first
dims are taken for the batch of requests; --max-batch 0 where they are not.

Examples:
  octavo export-triton ./my-model/onnx/model_quantized.onnx -o repository
  octavo export-triton gpu.onnx -o repository --name reviews --target tensorrt
  octavo export-triton ./my-model -o repository         the float model
`;

// octavo export-triton: a model repository for Triton Inference Server.
import { Command } from "commander";
import type { ExportTritonOptions } from "../node.js";
import { EXPORT_TRITON_DEFAULTS as DEFAULTS } from "../options/defaults.js";
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
  { flags: "-o, --output <path>", about: "the model repository", parse: named, required: true },
  {
    flags: "--name <name>",
    about: "the model's name on the server (default: that of its folder)",
    parse: named,
  },
  TARGET,
  {
    flags: "--max-batch <requests>",
    about: "requests put together at most; 0: none",
    parse: wholeNumber,
    default: DEFAULTS.maxBatch,
  },
  { flags: "--force", about: "overwrite an existing model of this name" },
];

export function exportTritonCommand(io: Io): Command {
  const command = new Command("export-triton")
    .description("Write a model repository for Triton Inference Server, and show how to start it.")
    .argument("<model>", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, options: CommonOptions & ExportTritonOptions) => {
      const [{ exportTriton }, { exportTritonText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/triton-text.js"),
        import("./present.js"),
      ]);
      const settings = given(command, options);
      await present(io, options, exportTritonText, async (onProgress) => {
        const { report } = await exportTriton(model, { ...settings, onProgress });
        return report;
      });
    });
  return withCommon(withOptions(command, ROWS));
}

const EXAMPLES = `
The model is written as it is: name the file of the quantized model that is to be served. Free first
dims are taken for the batch of requests; --max-batch 0 where they are not.

Examples:
  octavo export-triton ./my-model/onnx/model_quantized.onnx -o repository
  octavo export-triton gpu.onnx -o repository --name reviews --target tensorrt
  octavo export-triton ./my-model -o repository         the float model
`;

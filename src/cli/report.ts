// octavo report: one HTML page from what the other commands found.
import { Command } from "commander";
import type { CommonOptions, Io } from "./io.js";
import { named, withCommon } from "./options.js";

interface Options extends CommonOptions {
  readonly output?: string;
  readonly force?: boolean;
}

export function reportCommand(io: Io): Command {
  const command = new Command("report")
    .description(
      "Make one HTML page from reports: it needs no network, and reads on a phone, in the dark and in print.",
    )
    .argument(
      "<path>",
      "a report in JSON, or a folder with report.json, evaluate.json, compare.json, benchmark.json or some of them",
    )
    .option("-o, --output <path>", "where to write it (default: report.html beside them)", named)
    .option("--force", "overwrite an existing page")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, options: Options) => {
      const [{ report }, { bytes, printable }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/format.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, ...settings } = options;
      await present(
        io,
        options,
        (page) => `${printable(page.path)}  ${bytes(page.bytes)}\n`,
        () => Promise.resolve(report(path, settings)),
      );
    });
  return withCommon(command);
}

const EXAMPLES = `
Examples:
  octavo quantize ./my-model --mode static --data train.jsonl --report report.html
  octavo quantize ./my-model --json > run/report.json
  octavo benchmark ./my-model ./my-model/onnx/model_quantized.onnx --json > run/benchmark.json
  octavo report run                                     writes run/report.html from both
  octavo report run/report.json -o page.html
`;

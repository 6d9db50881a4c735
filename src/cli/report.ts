// octavo report: one HTML page from what the other commands found.
import { Command } from "commander";
import type { CommonOptions, Io } from "./io.js";
import { given, named, withCommon, withOptions, type OptionRow } from "./options.js";
import type { ReportOptions } from "../node.js";

const ROWS: readonly OptionRow[] = [
  {
    flags: "-o, --output <path>",
    about: "where to write it (default: report.html beside them)",
    parse: named,
  },
  { flags: "--force", about: "overwrite an existing page" },
];

export function reportCommand(io: Io): Command {
  const command = new Command("report")
    .description(
      "Make one HTML page from reports: it needs no network, and reads on a phone, in the dark and in print.",
    )
    .argument(
      "<path>",
      "a report in JSON, or a folder with report.json, evaluate.json, compare.json, benchmark.json or some of them",
    )
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, options: CommonOptions & ReportOptions) => {
      const [{ report }, { bytes, printable }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/format.js"),
        import("./present.js"),
      ]);
      const settings = given(command, options);
      await present(
        io,
        options,
        (page) => `${printable(page.path)}  ${bytes(page.bytes)}\n`,
        () => Promise.resolve(report(path, settings)),
      );
    });
  return withCommon(withOptions(command, ROWS));
}

const EXAMPLES = `
Examples:
  octavo quantize ./my-model --mode static --data train.jsonl --report report.html
  octavo quantize ./my-model --json > run/report.json
  octavo benchmark ./my-model ./my-model/onnx/model_quantized.onnx --json > run/benchmark.json
  octavo report run                                     writes run/report.html from both
  octavo report run/report.json -o page.html
`;

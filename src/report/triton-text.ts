// The report of export-triton as text for a terminal.
import { bytes, counted, printable, seconds } from "./format.js";
import type { ExportTritonReport } from "./report.js";
import type { Style } from "./style.js";
import { facts } from "./text.js";

export function exportTritonText(report: ExportTritonReport, style: Style): string {
  const { bold } = style.colors;
  const { maxBatch, engineCommand } = report;
  const next = (title: string, command: string) => `\n${bold(title)}\n  ${printable(command)}\n`;
  return [
    `${bold(printable(report.output))}\n`,
    facts(
      [
        ["model", `${report.name}, for target ${report.target}`],
        ["files", report.files.map(printable).join("\n")],
        ["size", bytes(report.bytes)],
        [
          "batching",
          maxBatch === 0
            ? "none: a request is a run"
            : `up to ${counted(maxBatch, "row")}, of requests of one length`,
        ],
        ["time", seconds(report.seconds)],
      ],
      style,
    ),
    next("Start it", report.startCommand),
    next("Ask it", report.requestCommand),
    engineCommand === undefined
      ? ""
      : next(
          'Or serve an engine, where the GPU is: backend "tensorrt" and no "optimization" in config.pbtxt',
          engineCommand,
        ),
  ].join("");
}

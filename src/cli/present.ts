// Runs a command's work with its progress line, and prints its report: as JSON or as text, warnings apart from it.
import { progressLine, type OnProgress } from "../report/progress.js";
import { reportJson } from "../report/json.js";
import { styleFor, type Style } from "../report/style.js";
import { warningText } from "../report/text.js";
import type { CommonOptions, Io } from "./io.js";

export async function present<Report extends object>(
  io: Io,
  { json = false }: CommonOptions,
  text: (report: Report, style: Style) => string,
  work: (onProgress: OnProgress) => Promise<Report>,
): Promise<void> {
  const line = progressLine(json ? { write: () => undefined } : io.stderr);
  let report: Report;
  try {
    report = await work(line.report);
  } finally {
    line.end();
  }
  if (json) print(io, report);
  else io.stdout.write(text(report, styleFor(io.stdout, io.env)));
  for (const warning of warningsOf(report))
    io.stderr.write(warningText(warning, styleFor(io.stderr, io.env)));
}

/** The one JSON object of a command. */
export function print(io: Io, value: object): void {
  io.stdout.write(`${reportJson(value)}\n`);
}

function warningsOf(report: object): readonly string[] {
  if (!("warnings" in report) || !Array.isArray(report.warnings)) return [];
  return report.warnings.map(String);
}

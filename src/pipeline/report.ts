// The verb report: one HTML page from what the other verbs found.
import { DataError, OptionError } from "../errors.js";
import { reportJson } from "../report/json.js";
import { reportPage } from "../report/page.js";
import { parseReport, type PageReport } from "../report/schema.js";
import type { Host } from "../host/host.js";
import { reportSettings, type ReportOptions } from "../options/report.js";

export interface Page {
  /** The file that was written. */
  readonly path: string;
  readonly bytes: number;
  /** The files that it was made from. */
  readonly from: readonly string[];
}

/** Throws DataError for what is no report, OutputExistsError, WriteFailedError. */
export function pageOf(host: Host, input: string, options: ReportOptions = {}): Page {
  const { output, force } = reportSettings(options);
  const files = host.readReports(input);
  const reports = files.map(({ path, text }): PageReport => {
    const parsed = parseReport(text);
    if (!parsed.ok) throw new DataError(path, undefined, parsed.got, parsed.expected);
    return parsed.report;
  });
  const path = output ?? (files[0]?.path ?? input).replace(/[^/\\]*$/, "report.html");
  const html = reportPage(reports);
  host.writeText(path, html, force);
  return { path, bytes: new TextEncoder().encode(html).length, from: files.map((f) => f.path) };
}

/** Throws OptionError. */
export function requireReportName(path: string | undefined): void {
  if (path !== undefined && !/\.(html?|json)$/.test(path))
    throw new OptionError("report", `"${path}"`, "a file that ends in .html or .json");
}

/** What goes into a report's file by its name: the page, or the data. */
export function reportFile(path: string, report: PageReport): string {
  return path.endsWith(".json") ? `${reportJson(report)}\n` : reportPage([report]);
}

// Options of report.
import * as v from "valibot";
import { checkOptions } from "./check.js";
import { REPORT_DEFAULTS as DEFAULTS } from "./defaults.js";
import { path, schemaOf } from "./fields.js";

export interface ReportOptions {
  /** Where the page goes. Left out: report.html beside what it is made from. */
  readonly output?: string | undefined;
  /**
   * Overwrite an existing page.
   * @default false
   */
  readonly force?: boolean | undefined;
}

const schema = schemaOf<ReportOptions>()({
  output: v.optional(path),
  force: v.optional(v.boolean(), DEFAULTS.force),
});

/** Options with their defaults. Throws OptionError. */
export function reportSettings(options: ReportOptions): v.InferOutput<typeof schema> {
  return checkOptions(schema, options);
}

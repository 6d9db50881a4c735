// Options held against their schema: a wrong one is an error that names it and says what is allowed.
import * as v from "valibot";
import { OptionError } from "../errors.js";

/** What these have to say stands in their message. */
const TELLING = new Set(["custom", "check", "regex"]);

function allowed({ type, expected, message }: v.BaseIssue<unknown>): string {
  return expected === null || TELLING.has(type) ? message : expected;
}

/** Options with their defaults. Throws OptionError. */
export function checkOptions<S extends v.GenericSchema>(
  schema: S,
  options: unknown,
): v.InferOutput<S> {
  const result = v.safeParse(schema, options);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const option = issue.path?.map((item) => String(item.key)).join(".") ?? "options";
  const unknown = issue.expected === "never";
  throw new OptionError(
    option,
    unknown ? "no such option" : issue.received === "undefined" ? "left out" : issue.received,
    unknown ? undefined : allowed(issue),
  );
}

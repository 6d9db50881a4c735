// Options of optimize.
import * as v from "valibot";
import type { TargetName } from "../targets/all.js";
import { checkOptions } from "./check.js";
import { OPTIMIZE_DEFAULTS as DEFAULTS } from "./defaults.js";
import { calls, path, schemaOf, target, whole } from "./fields.js";
import type { CallOptions, WritingOptions } from "./groups.js";

export interface OptimizeOptions extends WritingOptions, CallOptions {
  /**
   * Where the model will run: it decides which exact rewrites are made.
   * @default "cpu"
   */
  readonly target?: TargetName | undefined;
}

const schema = schemaOf<OptimizeOptions>()({
  ...calls,
  target: v.optional(target, DEFAULTS.target),
  output: v.optional(path),
  force: v.optional(v.boolean(), DEFAULTS.force),
  check: v.optional(v.boolean(), DEFAULTS.check),
  seed: v.optional(whole, DEFAULTS.seed),
});

/** Options with their defaults. Throws OptionError. */
export function optimizeSettings(options: OptimizeOptions): v.InferOutput<typeof schema> {
  return checkOptions(schema, options);
}

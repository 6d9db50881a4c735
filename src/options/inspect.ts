// Options of inspect.
import * as v from "valibot";
import { MODES, type Mode } from "../quant/plan.js";
import { usualMode } from "../targets/all.js";
import { checkOptions } from "./check.js";
import { INSPECT_DEFAULTS as DEFAULTS } from "./defaults.js";
import { calls, operands, path, patterns, schemaOf, target, weights } from "./fields.js";
import type { CallOptions, OperandOptions, SiteOptions } from "./groups.js";
import { QUANTIZE_TAKEN } from "./quantize.js";
import { requireTaken } from "./taken.js";

export interface InspectOptions extends SiteOptions, OperandOptions, CallOptions {
  /** The mode in which the model would be quantized. Left out: `"dynamic"` where the target takes it, else `"static"`. */
  readonly mode?: Mode | undefined;
  /** A file with the plan to show instead of the default one. */
  readonly plan?: string | undefined;
}

const schema = schemaOf<InspectOptions>()({
  ...operands,
  ...weights,
  ...calls,
  mode: v.optional(v.picklist(MODES)),
  target: v.optional(target, DEFAULTS.target),
  reduceRange: v.optional(v.boolean(), DEFAULTS.reduceRange),
  embeddings: v.optional(v.boolean(), DEFAULTS.embeddings),
  outliers: v.optional(v.boolean(), DEFAULTS.outliers),
  include: v.optional(patterns),
  exclude: v.optional(patterns, []),
  plan: v.optional(path),
});

/** Options with their defaults. Throws OptionError. */
export function inspectSettings(options: InspectOptions): v.InferOutput<typeof schema> {
  const settings = checkOptions(schema, options);
  const mode = settings.mode ?? usualMode(settings.target);
  requireTaken(options, { ...settings, mode }, QUANTIZE_TAKEN);
  return settings;
}

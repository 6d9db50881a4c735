// Options of evaluate.
import * as v from "valibot";
import { checkOptions } from "./check.js";
import { EVALUATE_DEFAULTS as DEFAULTS } from "./defaults.js";
import { calls, counts, evaluation, paths, samples, schemaOf, whole } from "./fields.js";
import type { EvaluationOptions } from "./groups.js";

export type EvaluateOptions = EvaluationOptions;

const schema = schemaOf<EvaluateOptions>()({
  ...evaluation,
  ...calls,
  data: paths,
  samples: v.optional(samples, DEFAULTS.samples),
  batchSize: v.optional(counts, DEFAULTS.batchSize),
  seed: v.optional(whole, DEFAULTS.seed),
});

/** Options with their defaults. Throws OptionError. */
export function evaluateSettings(options: EvaluateOptions): v.InferOutput<typeof schema> {
  return checkOptions(schema, options);
}

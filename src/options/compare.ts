// Options of compare.
import * as v from "valibot";
import { checkOptions } from "./check.js";
import { COMPARE_DEFAULTS as DEFAULTS } from "./defaults.js";
import { calls, counts, evaluation, path, paths, samples, schemaOf, whole } from "./fields.js";
import type { EvaluationOptions } from "./groups.js";

export interface CompareOptions extends Omit<EvaluationOptions, "data"> {
  /** Files or folders of data, labelled or not: JSONL, CSV, TSV, Parquet. Left out: dummy inputs. */
  readonly data?: string | readonly string[] | undefined;
  /**
   * Rows that sites are compared on; 0 leaves that out.
   * @default 64
   */
  readonly siteRows?: number | undefined;
  /**
   * The sensitivity of each site: the reference with that site alone quantized, against the reference.
   * @default false
   */
  readonly sensitivity?: boolean | undefined;
  /** A file with the plan for that. Left out: the default plan of mode dynamic for target cpu. */
  readonly plan?: string | undefined;
}

const schema = schemaOf<CompareOptions>()({
  ...evaluation,
  ...calls,
  data: v.optional(paths),
  samples: v.optional(samples, DEFAULTS.samples),
  batchSize: v.optional(counts, DEFAULTS.batchSize),
  seed: v.optional(whole, DEFAULTS.seed),
  siteRows: v.optional(whole, DEFAULTS.siteRows),
  sensitivity: v.optional(v.boolean(), DEFAULTS.sensitivity),
  plan: v.optional(path),
});

/** Options with their defaults. Throws OptionError. */
export function compareSettings(options: CompareOptions): v.InferOutput<typeof schema> {
  return checkOptions(schema, options);
}

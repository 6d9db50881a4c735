// Options of quantizeBytes: what can be chosen without files, data or a runtime.
import { floatTarget } from "../targets/all.js";
import { requireWeightForm } from "../targets/weight-forms.js";
import * as v from "valibot";
import { OptionError } from "../errors.js";
import type { ExternalData } from "../onnx/external.js";
import { MODES, type Mode, type Plan } from "../quant/plan.js";
import type { LoweringOptions } from "../targets/target.js";
import { checkOptions } from "./check.js";
import { QUANTIZE_BYTES_DEFAULTS as DEFAULTS } from "./defaults.js";
import { callback, operands, patterns, schemaOf, target, weights } from "./fields.js";
import type { OperandOptions, SiteOptions } from "./groups.js";
import { QUANTIZE_TAKEN } from "./quantize.js";
import { requireForms, requireTaken } from "./taken.js";
import { weightFormOf } from "../quant/plan.js";

export interface QuantizeBytesOptions extends SiteOptions, OperandOptions {
  /**
   * How ranges of activations are found: `"dynamic"`, at run time. `"static"` and `"qat"` write ranges that were found beforehand, which `plan` or
   * `rangeOf` must have: nothing is calibrated or trained here.
   * @default "dynamic"
   */
  readonly mode?: Mode | undefined;
  /** A plan instead of the default one, as `parsePlan` reads it. */
  readonly plan?: Plan | undefined;
  /** The range of an operand of a site, its activation where no operand is named; undefined where none is known: such a site stays in float. */
  readonly rangeOf?: LoweringOptions["rangeOf"];
  /**
   * What is not quantized is written in FP16, for target tensorrt.
   * @default false
   */
  readonly fp16?: boolean | undefined;
  /** Take sites, too, that are too small to gain. Left out: only where a model has no others. */
  readonly small?: boolean | undefined;
  /** Opens the files that the model's external data stands in. */
  readonly external?: ExternalData | undefined;
}

const schema = schemaOf<QuantizeBytesOptions>()({
  ...operands,
  ...weights,
  mode: v.optional(v.picklist(MODES), DEFAULTS.mode),
  target: v.optional(target, DEFAULTS.target),
  reduceRange: v.optional(v.boolean(), DEFAULTS.reduceRange),
  embeddings: v.optional(v.boolean(), DEFAULTS.embeddings),
  outliers: v.optional(v.boolean(), DEFAULTS.outliers),
  include: v.optional(patterns),
  exclude: v.optional(patterns, []),
  plan: v.optional(v.custom<Plan>(isPlan, "a plan, as parsePlan reads it")),
  rangeOf: callback<NonNullable<LoweringOptions["rangeOf"]>>(),
  fp16: v.optional(v.boolean()),
  small: v.optional(v.boolean()),
  external: v.optional(
    v.custom<ExternalData>(
      (given) => typeof given === "object" && given !== null && "open" in given,
      "what opens external data: { open(location, tensorName) }",
    ),
  ),
});

function isPlan(given: unknown): boolean {
  return (
    typeof given === "object" && given !== null && "sites" in given && given.sites instanceof Map
  );
}

/** Options with their defaults. */
export type QuantizeBytesSettings = v.InferOutput<typeof schema>;

/** Throws OptionError, and UnsupportedError for weights that do not go with the mode or the target. */
export function quantizeBytesSettings(options: QuantizeBytesOptions): QuantizeBytesSettings {
  const settings = checkOptions(schema, options);
  requireTaken(options, settings, QUANTIZE_TAKEN);
  const { mode, target, plan, rangeOf } = settings;
  requireWeightForm(floatTarget(target), mode, settings.weights ?? "int8");
  if (plan !== undefined) requireForms(options, weightFormOf(plan), QUANTIZE_TAKEN.defaults);
  if (mode !== "dynamic" && rangeOf === undefined && !(plan !== undefined && hasRanges(plan)))
    throw new OptionError(
      "plan",
      `${plan === undefined ? "left out" : "one without ranges"} in ${mode} mode`,
      "a plan whose activations have ranges: octavo quantize --mode static --data FILE --write-plan plan.json writes one, parsePlan reads it",
    );
  return settings;
}

/** Whether a site of the plan has a range that was found beforehand, so that it can be an integer product. */
export function hasRanges({ sites }: Plan): boolean {
  return [...sites.values()].some(
    (site) =>
      site.quantize &&
      [site.activation, site.second].some((spec) => spec !== undefined && spec.range !== "dynamic"),
  );
}

// Quantizing without files: the bytes of a float model in, those of the quantized model out. For pages and workers.
import { OptionError } from "../errors.js";
import { exportModel } from "../graph/export.js";
import { importModel } from "../graph/import.js";
import { decodeModel } from "../onnx/reader.js";
import { encodeModel } from "../onnx/writer.js";
import {
  hasRanges,
  quantizeBytesSettings,
  type QuantizeBytesOptions,
} from "../options/quantize-bytes.js";
import type { Plan } from "../quant/plan.js";
import type { SiteReport } from "../report/report.js";
import { choose } from "../targets/choices.js";
import { targetFor } from "../targets/all.js";
import { lowerPlan, planModel } from "../plan/plan-model.js";

export interface QuantizedBytes {
  readonly bytes: Uint8Array;
  readonly plan: Plan;
  readonly sites: readonly SiteReport[];
  /** How often each exact float rewrite applied. */
  readonly rewrites: Readonly<Record<string, number>>;
}

/**
 * Throws an OctavoError for everything that is the caller's to mend: OptionError also where no range is known in a mode that finds ranges
 * beforehand, so that there would be no integer product.
 */
export function quantizeBytes(
  model: Uint8Array,
  options: QuantizeBytesOptions = {},
): QuantizedBytes {
  const {
    mode,
    target: name,
    external,
    small = false,
    ...settings
  } = quantizeBytesSettings(options);
  const target = targetFor(name, mode);
  const choices = choose(target, mode, settings);
  const graph = importModel(decodeModel(model), external);
  const planned = planModel(graph, target, { mode, small, ...settings, ...choices });
  const { sites, plan, reports, rewrites } = planned;
  if (mode !== "dynamic" && !hasRanges(plan))
    throw new OptionError(
      "rangeOf",
      "one that knows no range of this model",
      "the range of at least one site, or {plan} with it",
    );
  lowerPlan(graph, sites, plan, target, choices);
  return { bytes: encodeModel(exportModel(graph)), plan, sites: reports, rewrites };
}

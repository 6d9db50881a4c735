// Quantizing without files: the bytes of a float model in, the bytes of its INT8 edition out. For pages and workers.
import { exportModel } from "../graph/export.js";
import { importModel } from "../graph/import.js";
import type { ExternalData } from "../onnx/external.js";
import { decodeModel } from "../onnx/reader.js";
import { encodeModel } from "../onnx/writer.js";
import type { Mode, Plan } from "../quant/plan.js";
import type { SiteReport } from "../report/report.js";
import { choose } from "../targets/choices.js";
import { floatTarget, targetFor, type TargetName } from "../targets/all.js";
import { requireWeightForm } from "../targets/weight-forms.js";
import { lowerPlan, planModel, type PlanOptions } from "../plan/plan-model.js";

export interface QuantizeBytesOptions extends Partial<Omit<PlanOptions, "mode">> {
  readonly mode?: Mode;
  readonly target?: TargetName;
  /** Opens the files that the model's external data stands in. */
  readonly external?: ExternalData;
}

export interface QuantizedBytes {
  readonly bytes: Uint8Array;
  readonly plan: Plan;
  readonly sites: readonly SiteReport[];
  /** How often each exact float rewrite applied. */
  readonly rewrites: Readonly<Record<string, number>>;
}

/** Throws an OctavoError for everything that is the caller's to mend. */
export function quantizeBytes(
  model: Uint8Array,
  options: QuantizeBytesOptions = {},
): QuantizedBytes {
  const { mode = "dynamic", target: name = "cpu", external, ...rest } = options;
  requireWeightForm(floatTarget(name), mode, rest.weights ?? "int8");
  const target = targetFor(name, mode);
  const choices = choose(target, mode, rest);
  const graph = importModel(decodeModel(model), external);
  const { sites, plan, reports, rewrites } = planModel(graph, target, {
    mode,
    reduceRange: false,
    embeddings: true,
    outliers: true,
    exclude: [],
    ...rest,
    ...choices,
  });
  lowerPlan(graph, sites, plan, target, choices);
  return { bytes: encodeModel(exportModel(graph)), plan, sites: reports, rewrites };
}

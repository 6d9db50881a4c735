// The graph as it is calibrated: prepared, and its outlier channels split off.
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { findSites } from "../quant/sites.js";
import type { AttentionChoice, Target } from "../targets/target.js";
import { splitOutliers } from "./outliers.js";
import { requireFloat, type Planned } from "./plan-model.js";
import { prepare } from "./prepare.js";

function splitOutliersIn(model: Model): number {
  const count = splitOutliers(model, findSites(model));
  if (count === 0) return 0;
  model.graph.sort();
  inferTypes(model);
  return count;
}

/** A graph as it is calibrated; deterministic, so that a second copy has the same names. */
export function prepareCalibrated(
  model: Model,
  target: Target,
  { outliers, attention }: { readonly outliers: boolean; readonly attention: AttentionChoice },
): Planned["rewrites"] {
  requireFloat(model);
  const { rewrites } = prepare(model, target, { attention });
  const outlier = outliers ? splitOutliersIn(model) : 0;
  return outlier === 0 ? rewrites : { ...rewrites, outlier };
}

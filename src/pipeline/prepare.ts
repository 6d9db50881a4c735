// Brings a model as the exporter wrote it into the form that every later step works on: functions inlined, constants as initializers, types known.
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { hoistConstants } from "../passes/constants.js";
import { removeDead } from "../passes/dead.js";
import { inlineFunctions } from "../passes/functions.js";
import { reorderGelu } from "../passes/gelu.js";
import { removeNanGuards } from "../passes/nan-guard.js";
import type { Pass } from "../passes/pass.js";
import { unfuseResiduals } from "../passes/residuals.js";
import { simplify } from "../passes/simplify.js";
import type { Rewrite, Target } from "../targets/target.js";

const REWRITES: Record<Rewrite, Pass> = {
  gelu: reorderGelu,
  "nan-guard": removeNanGuards,
  residual: unfuseResiduals,
};

export interface Preparation {
  /** How often each of the target's exact rewrites applied. */
  readonly rewrites: Partial<Record<Rewrite, number>>;
}

/** Prepares `model` in place: the same float function, in the form that the target's runtime runs fastest. */
export function prepare(model: Model, target: Pick<Target, "rewrites">): Preparation {
  inlineFunctions(model);
  hoistConstants(model);
  inferTypes(model);
  simplify(model);
  const rewrites: Partial<Record<Rewrite, number>> = {};
  for (const name of target.rewrites) rewrites[name] = REWRITES[name](model);
  removeDead(model);
  inferTypes(model);
  return { rewrites };
}

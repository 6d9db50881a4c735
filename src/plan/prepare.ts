// Brings a model as the exporter wrote it into the form that every later step works on: functions inlined, constants as initializers, types known.
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { scaleBeforeProduct } from "../passes/attention-scale.js";
import { hoistConstants } from "../passes/constants.js";
import { removeDead } from "../passes/dead.js";
import { inlineFunctions } from "../passes/functions.js";
import { reorderGelu } from "../passes/gelu.js";
import { removeNanGuards } from "../passes/nan-guard.js";
import type { Pass } from "../passes/pass.js";
import { unfuseResiduals } from "../passes/residuals.js";
import { simplify } from "../passes/simplify.js";
import type { AttentionChoice, Rewrite, Target } from "../targets/target.js";

const REWRITES: Record<Exclude<Rewrite, "nan-guard">, Pass> = {
  gelu: reorderGelu,
  residual: unfuseResiduals,
  "attention-scale": scaleBeforeProduct,
};

export interface Preparation {
  /** How often each of the target's exact rewrites applied. */
  readonly rewrites: Partial<Record<Rewrite, number>>;
}

export interface PrepareOptions {
  /** Where probabilities become integers, which have no NaN, their guard stays in front of them. */
  readonly attention?: AttentionChoice | undefined;
}

/** Prepares `model` in place: the same float function, in the form that the target's runtime runs fastest. */
export function prepare(
  model: Model,
  target: Pick<Target, "rewrites">,
  { attention = "none" }: PrepareOptions = {},
): Preparation {
  inlineFunctions(model);
  hoistConstants(model);
  inferTypes(model);
  simplify(model);
  const rewrites: Partial<Record<Rewrite, number>> = {};
  const behindProduct = attention === "none";
  for (const name of target.rewrites)
    rewrites[name] =
      name === "nan-guard" ? removeNanGuards(model, { behindProduct }) : REWRITES[name](model);
  removeDead(model);
  inferTypes(model);
  return { rewrites };
}

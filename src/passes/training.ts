// The form of a graph that training differentiates: the same float function, in operators that are fast there and back.
import type { Model } from "../graph/model.js";
import { takeBranches } from "./branches.js";
import { removeDead } from "./dead.js";
import { fuseGelu } from "./gelu.js";
import { fuseLayerNorm } from "./layer-norm.js";
import { removeNanGuards } from "./nan-guard.js";
import { raiseOpset } from "./opset.js";
import { unfuseResiduals } from "./residuals.js";
import { simplify } from "./simplify.js";

/** Gradients of GatherElements need 16, LayerNormalization 17; from 18 on all reductions take their axes as input. */
const OPSET = 18;

/** The same for a model whose weights are quantized while they are trained: nothing is folded or merged, and no site comes or goes. */
export function prepareQuantizers(model: Model): void {
  takeBranches(model);
  raiseOpset(model, OPSET);
  fuseGelu(model);
  fuseLayerNorm(model);
  removeDead(model);
}

/**
 * Prepares a model to be differentiated. Weights that are trained must be inputs by now: constants are folded and merged where they are equal.
 * Throws UnsupportedError for models whose operator set cannot be raised.
 */
export function prepareTraining(model: Model): void {
  simplify(model);
  if (takeBranches(model) > 0) simplify(model);
  raiseOpset(model, OPSET);
  unfuseResiduals(model);
  removeNanGuards(model);
  fuseGelu(model);
  fuseLayerNorm(model);
  simplify(model);
}

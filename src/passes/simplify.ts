// The general rewrites, which suit every target, run until none of them finds anything more.
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { hoistConstants } from "./constants.js";
import { removeDead } from "./dead.js";
import { dedupe } from "./dedupe.js";
import { foldTyped } from "./fold.js";
import { inlineFunctions } from "./functions.js";
import { removeTypedIdentities } from "./identities.js";

/** More rounds than any chain of rewrites needs that real graphs hold; a graph that was built to need more is left half simplified. */
const MAX_ROUNDS = 16;

/**
 * Inlines functions, makes constants initializers, folds, removes what does nothing or is not read, and merges equal constants. The model's
 * function stays the same to the bit, its inputs and outputs keep their names. Returns the number of changes.
 */
export function simplify(model: Model): number {
  let changes = inlineFunctions(model) + hoistConstants(model) + removeDead(model);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    inferTypes(model);
    const found = foldTyped(model) + removeTypedIdentities(model) + removeDead(model);
    changes += found;
    if (found === 0) break;
  }
  return changes + dedupe(model);
}

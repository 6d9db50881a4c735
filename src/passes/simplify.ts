// The general rewrites, which suit every target, run until none of them finds anything more.
import type { Model } from "../graph/model.js";
import { hoistConstants } from "./constants.js";
import { removeDead } from "./dead.js";
import { dedupe } from "./dedupe.js";
import { foldConstants } from "./fold.js";
import { inlineFunctions } from "./functions.js";
import { removeIdentities } from "./identities.js";

/** More rounds than any chain of rewrites needs that real graphs hold; a graph that was built to need more is left half simplified. */
const MAX_ROUNDS = 16;

/**
 * Inlines functions, makes constants initializers, folds, removes what does nothing or is not read, and merges equal constants. The model's
 * function stays the same to the bit, its inputs and outputs keep their names. Returns the number of changes.
 */
export function simplify(model: Model): number {
  let changes = inlineFunctions(model) + hoistConstants(model) + removeDead(model);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const found = foldConstants(model) + removeIdentities(model) + removeDead(model);
    changes += found;
    if (found === 0) break;
  }
  return changes + dedupe(model);
}

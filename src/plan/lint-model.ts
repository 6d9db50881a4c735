// Lint of a quantized model: the graph brought into the form that its runtime begins with, then the target's rules.
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { hoistConstants } from "../passes/constants.js";
import { foldConstants } from "../passes/fold.js";
import { inlineFunctions } from "../passes/functions.js";
import { removeTypedIdentities } from "../passes/identities.js";
import type { SiteReport } from "../report/report.js";
import type { Finding } from "../targets/lint.js";

/** What runtimes take away before they look for Q/DQ. A Reshape that changes nothing stays, and may stand between a product and its Q/DQ. */
const REMOVED: ReadonlySet<string> = new Set([
  "Identity",
  "Dropout",
  "Cast",
  "Slice",
  "Expand",
  "Add",
  "Sub",
  "Mul",
  "Div",
]);

/** Changes `model` by what its runtime does on loading, too. */
export function lintModel(model: Model, lint: (model: Model) => readonly Finding[]): SiteReport[] {
  inlineFunctions(model);
  hoistConstants(model);
  foldConstants(model);
  removeTypedIdentities(model, REMOVED);
  inferTypes(model);
  return lint(model).map(({ node: _node, ...finding }) => finding);
}

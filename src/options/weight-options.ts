// Options of weights held against a plan that is given.
import { UnsupportedError } from "../errors.js";
import { weightFormOf, type Plan, type WeightForm } from "../quant/plan.js";
import { QUANTIZE_DEFAULTS } from "./defaults.js";
import { requireForms } from "./taken.js";

/** The form that is written. Throws UnsupportedError for a plan of another form, OptionError for an option that does not go with the form. */
export function requireOneForm(
  options: { readonly weights?: WeightForm | undefined },
  plan: Plan | undefined,
): WeightForm {
  const { weights } = options;
  const form = plan === undefined ? (weights ?? "int8") : weightFormOf(plan);
  if (weights !== undefined && weights !== form)
    throw new UnsupportedError(
      `A plan for --weights ${form}`,
      `this run is --weights ${weights}`,
      "Leave --weights out, or write a new plan with --write-plan.",
    );
  requireForms(options, form, QUANTIZE_DEFAULTS);
  return form;
}

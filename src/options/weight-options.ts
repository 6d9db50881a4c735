// Options of weights held against each other and against a plan that is given.
import { OptionError, UnsupportedError } from "../errors.js";
import { weightFormOf, type Plan, type WeightForm } from "../quant/plan.js";

interface WeightOptions {
  readonly weights?: WeightForm | undefined;
  readonly blockSize?: number | undefined;
  readonly weightBits?: number | undefined;
  readonly stats?: string | undefined;
}

/** The form that is written. Throws UnsupportedError for a plan of another form, OptionError for an option that does not go with the form. */
export function requireOneForm(options: WeightOptions, plan: Plan | undefined): WeightForm {
  const { weights, blockSize, weightBits, stats } = options;
  const form = plan === undefined ? (weights ?? "int8") : weightFormOf(plan);
  if (weights !== undefined && weights !== form)
    throw new UnsupportedError(
      `A plan for --weights ${form}`,
      `this run is --weights ${weights}`,
      "Leave --weights out, or write a new plan with --write-plan.",
    );
  if (form !== "int8" && stats !== undefined)
    throw new OptionError(
      "stats",
      `given with --weights ${form}`,
      "none: activations stay in float, so there are no ranges to take from it",
    );
  if (form !== "int8" && weightBits !== undefined)
    throw new OptionError(
      "weightBits",
      `${weightBits} with --weights ${form}`,
      "--weights int8 beside it, or --weights int4 for 4 bits in blocks with float activations",
    );
  if (form === "int8" && blockSize !== undefined)
    throw new OptionError(
      "blockSize",
      `${blockSize} with --weights int8`,
      "--weights int4 or int8-only beside it: INT8 weights have a scale per output channel",
    );
  return form;
}

// What targets propose for products of two activations and for residuals: which operands, with which ranges.
import { isProbability, UNIT, type Operand } from "../quant/operands.js";
import type { ActivationSpec, Range, SitePlan } from "../quant/plan.js";
import type { AttentionSite, ResidualSite } from "../quant/sites.js";
import type { LoweringOptions } from "./target.js";

/** How a runtime wants the two kinds of operands. */
export interface OperandForms {
  readonly probability: Omit<ActivationSpec, "range">;
  readonly other: Omit<ActivationSpec, "range">;
}

export const U8: Omit<ActivationSpec, "range"> = { dtype: "uint8", granularity: "per-tensor" };
export const S8: Omit<ActivationSpec, "range"> = {
  dtype: "int8",
  granularity: "per-tensor",
  symmetric: true,
};

const UNSEEN = "calibration saw no value of one of its operands";

/** A product of two activations under the user's choice; `reason` is why it stays in float by default. */
export function proposeAttention(
  site: AttentionSite,
  options: LoweringOptions,
  { probability, other }: OperandForms,
  reason: string,
): SitePlan {
  const inFloat = (why: string): SitePlan => ({ kind: site.kind, quantize: false, reason: why });
  const { attention = "none" } = options;
  if (attention === "none") return inFloat(reason);
  if (site.constantInput) return inFloat("no input reaches it: computed once, on loading");
  const [left, right] = [isProbability(site.left), isProbability(site.right)];
  if (attention === "values" && !left && !right)
    return inFloat("only products with probabilities were asked for");
  const spec = (operand: Operand, unit: boolean): ActivationSpec | undefined => {
    const form = unit ? probability : other;
    const range = unit ? UNIT : options.rangeOf?.(site, operand, form);
    return range && { ...form, range };
  };
  const [activation, second] = [spec("activation", left), spec("second", right)];
  if (activation === undefined || second === undefined) return inFloat(UNSEEN);
  return { kind: site.kind, quantize: true, activation, second };
}

/** A residual under the user's choice. */
export function proposeResidual(
  site: ResidualSite,
  { residual = "none", rangeOf }: LoweringOptions,
  form: Omit<ActivationSpec, "range">,
): SitePlan {
  const inFloat = (reason: string): SitePlan => ({ kind: site.kind, quantize: false, reason });
  if (residual === "none") return inFloat("residuals were left out");
  const spec = (range: Range | undefined): ActivationSpec | undefined =>
    range && { ...form, range };
  const activation = spec(rangeOf?.(site, "activation", form));
  if (activation === undefined) return inFloat(UNSEEN);
  if (residual === "skip") return { kind: site.kind, quantize: true, activation };
  const second = spec(rangeOf?.(site, "second", form));
  return second === undefined
    ? inFloat(UNSEEN)
    : { kind: site.kind, quantize: true, activation, second };
}

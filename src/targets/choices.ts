// What the user may choose on a target, checked: a choice that the target does not have is an error that names those that it has.
import { UnsupportedError } from "../errors.js";
import type { Mode } from "../quant/plan.js";
import type { Choices, Target } from "./target.js";

export type GivenChoices = { readonly [Name in keyof Choices]?: Choices[Name] | undefined };

/** The choices with the target's defaults. Throws UnsupportedError, which says what there is. */
export function choose(
  target: Pick<Target, "name" | "choices">,
  mode: Mode,
  given: GivenChoices,
): Choices {
  const offered = mode === "dynamic" ? {} : (target.choices ?? {});
  const one = <Choice extends string>(
    option: "attention" | "residual",
    choices: readonly Choice[] | undefined,
    none: Choice,
  ): Choice => {
    const wanted = given[option] as Choice | undefined;
    if (wanted === undefined) return choices?.[0] ?? none;
    if (choices?.includes(wanted) === true) return wanted;
    throw new UnsupportedError(
      `--${option} ${wanted} with --mode ${mode} --target ${target.name}`,
      choices === undefined ? "there is nothing to choose there" : "the target has no such form",
      choices === undefined ? `Leave --${option} out.` : `Use one of ${choices.join(", ")}.`,
    );
  };
  if (given.fp16 === true && offered.fp16 !== true)
    throw new UnsupportedError(
      `--fp16 with --mode ${mode} --target ${target.name}`,
      "what is not quantized stays in FP32 there",
      "Leave --fp16 out, or use --mode static --target tensorrt.",
    );
  return {
    attention: one("attention", offered.attention, "none"),
    residual: one("residual", offered.residual, "none"),
    fp16: given.fp16 ?? false,
  };
}

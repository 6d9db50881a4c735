// Which modes, targets and forms of weights take an option: one that would be passed over in silence is an error that names those that take it.
import { OptionError } from "../errors.js";
import type { Mode, WeightForm } from "../quant/plan.js";
import { floatTarget, TARGET_NAMES, type TargetName } from "../targets/all.js";
import type { Target } from "../targets/target.js";

/** What is known of a verb's options beside their types. An option without a row is taken everywhere. */
export interface Taken {
  readonly modes: Readonly<Record<string, readonly Mode[]>>;
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** Options that a target takes only where it has what they choose. */
const TARGETS_WITH: Readonly<Record<string, (target: Target) => boolean>> = {
  attention: ({ choices }) => choices?.attention !== undefined,
  residual: ({ choices }) => choices?.residual !== undefined,
  fp16: ({ choices }) => choices?.fp16 === true,
  accuracy: ({ secondTerms }) => secondTerms,
  extraProducts: ({ secondTerms }) => secondTerms,
  embeddings: ({ name }) => name !== "tensorrt",
};

const INT8: readonly WeightForm[] = ["int8"];
/** Activations stay in float with the other forms: nothing of theirs can be chosen. */
const FORMS_OF: Readonly<Record<string, readonly WeightForm[]>> = {
  weightBits: INT8,
  reduceRange: INT8,
  stats: INT8,
  outliers: INT8,
  smooth: INT8,
  round: INT8,
  blockSize: ["int4", "int8-only"],
};

/** The targets that take an option; undefined for one that all take. */
export function targetsOf(option: string): readonly TargetName[] | undefined {
  const has = TARGETS_WITH[option];
  if (has === undefined) return undefined;
  const targets = TARGET_NAMES.filter((name) => has(floatTarget(name)));
  return targets.length === TARGET_NAMES.length ? undefined : targets;
}

interface Chosen {
  readonly mode?: Mode | undefined;
  readonly target: TargetName;
  readonly weights?: WeightForm | undefined;
  /** Its form of weights counts where none is named, and is not known yet. */
  readonly plan?: unknown;
}

/** Throws OptionError for the first option given that the mode, the target or the form of weights does not take. */
export function requireTaken(
  options: object,
  { mode, target, weights, plan }: Chosen,
  { modes, defaults }: Taken,
): void {
  const form = weights ?? (plan === undefined ? "int8" : undefined);
  for (const name of given(options, defaults)) {
    const takenIn = modes[name];
    if (mode !== undefined && takenIn?.includes(mode) === false)
      throw new OptionError(name, `given in ${mode} mode`, those("mode", takenIn));
    const targets = targetsOf(name);
    if (targets?.includes(target) === false)
      throw new OptionError(name, `given for target ${target}`, those("target", targets));
    if (form !== undefined) requireForm(name, form);
  }
}

/** Throws OptionError for an option given that does not go with weights of this form, as a plan may have. */
export function requireForms(
  options: object,
  form: WeightForm,
  defaults: Readonly<Record<string, unknown>>,
): void {
  for (const name of given(options, defaults)) requireForm(name, form);
}

function requireForm(name: string, form: WeightForm): void {
  const forms = FORMS_OF[name];
  if (forms?.includes(form) === false)
    throw new OptionError(name, `given with weights ${form}`, those("weights", forms));
}

/** Names of the options that ask for something: a flag that is as it is by default does not. */
function given(options: object, defaults: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(options)
    .filter(
      ([name, value]) =>
        value !== undefined && !(typeof value === "boolean" && value === defaults[name]),
    )
    .map(([name]) => name);
}

function those(option: string, values: readonly string[]): string {
  const each = values.map((value) => `{${option}: ${value}}`);
  return `${each.join(" or ")}, which ${each.length === 1 ? "takes" : "take"} it`;
}

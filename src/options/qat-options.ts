// Options of training held against the mode: what would be passed over in silence is an error.
import { OptionError } from "../errors.js";
import type { Mode } from "../quant/plan.js";

interface QatOptions {
  readonly data?: unknown;
  readonly stats?: string | undefined;
  readonly steps: boolean;
  readonly loss?: string | undefined;
  readonly rate?: number | undefined;
  readonly evaluateEvery?: number | undefined;
  readonly patience?: number | undefined;
}

/** Throws OptionError. */
export function requireQatOptions(mode: Mode, options: QatOptions): void {
  if (mode !== "qat") {
    for (const name of ["loss", "rate", "evaluateEvery", "patience"] as const)
      if (options[name] !== undefined)
        throw new OptionError(name, `${options[name]} in ${mode} mode`, "--mode qat, which trains");
    return;
  }
  if (options.data === undefined)
    throw new OptionError(
      "data",
      `${options.stats === undefined ? "left out" : "left out beside --stats"} in qat mode`,
      "a file of texts to train on, with labels or without (--data train.tsv)",
    );
  if (options.steps)
    throw new OptionError(
      "steps",
      "asked for in qat mode, which would train once for each step",
      "--mode static for what each step of calibration gives",
    );
}

// Range estimators by the names that users give them.
import type { Estimator } from "./estimators.js";

/** What may be asked for, for messages. */
export const ESTIMATORS =
  "min-max, moving-average, percentile (or percentile:99.9, say), entropy or mse";

/** The estimator of a name; undefined where there is none. A percentile is above 50 and at most 100. */
export function estimatorOf(name: string): Estimator | undefined {
  switch (name) {
    case "min-max":
    case "moving-average":
    case "percentile":
    case "entropy":
    case "mse":
      return { kind: name };
    default: {
      const [, share] = /^percentile:(\d+(?:\.\d+)?)$/.exec(name) ?? [];
      const percentile = Number(share);
      return percentile > 50 && percentile <= 100 ? { kind: "percentile", percentile } : undefined;
    }
  }
}

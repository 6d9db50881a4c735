// Updates all parameters from their gradients: clipped by their length all together, then AdamW or SGD, with decoupled weight decay.
import { arrayOf, type Kind, type StoredParameter } from "./store.js";
import type { OptimizerOptions } from "./training.js";

/** What each optimizer keeps of a parameter between updates. */
export const MOMENTS: Readonly<Record<OptimizerOptions["optimizer"], readonly Kind[]>> = {
  adamw: ["moment", "square"],
  sgd: ["moment"],
};

/** Length of all gradients together (L2). */
export function gradientNorm(parameters: readonly StoredParameter[]): number {
  let sum = 0;
  for (const parameter of parameters)
    sum += parameter.block.kernels.sumOfSquares(...rangeOf(parameter, "gradient"));
  return Math.sqrt(sum);
}

/** Adds the gradients of a further batch. */
export function addRest(parameters: readonly StoredParameter[]): void {
  for (const parameter of parameters) {
    const [into, end] = rangeOf(parameter, "gradient");
    parameter.block.kernels.add(into, arrayOf(parameter, "rest").byteOffset, end);
  }
}

export interface Update {
  /** Updates done before. */
  readonly step: number;
  /** Learning rate of this one. */
  readonly rate: number;
  /** What gradients are multiplied by. */
  readonly clip: number;
}

/** Updates the values in place. */
export function update(
  parameters: readonly StoredParameter[],
  options: OptimizerOptions,
  { step, rate, clip }: Update,
): void {
  const { optimizer, weightDecay } = options;
  for (const parameter of parameters) {
    const own = rate * parameter.rate;
    const keep = parameter.decay ? 1 - own * weightDecay : 1;
    APPLY[optimizer](parameter, options, { keep, clip, step, rate: own });
    const { least } = parameter;
    if (least !== undefined) raise(arrayOf(parameter, "value"), least);
  }
}

type Apply = (
  parameter: StoredParameter,
  options: OptimizerOptions,
  update: Update & { readonly keep: number },
) => void;

const APPLY: Readonly<Record<OptimizerOptions["optimizer"], Apply>> = {
  adamw(parameter, { betas: [b1, b2], epsilon }, { keep, clip, step, rate }) {
    // Moments begin at 0: what they lack of their mean is made good in the rate and epsilon.
    const mean = 1 - b1 ** (step + 1);
    const root = Math.sqrt(1 - b2 ** (step + 1));
    const [value, end] = rangeOf(parameter, "value");
    parameter.block.kernels.adamw(
      ...([value, pointer(parameter, "gradient"), pointer(parameter, "moment")] as const),
      ...([pointer(parameter, "square"), end, keep, clip] as const),
      ...([b1, 1 - b1, b2, 1 - b2, (rate * root) / mean, epsilon * root] as const),
    );
  },
  sgd(parameter, { momentum }, { keep, clip, rate }) {
    const [value, end] = rangeOf(parameter, "value");
    parameter.block.kernels.sgd(
      ...([value, pointer(parameter, "gradient"), pointer(parameter, "moment")] as const),
      ...([end, keep, clip, momentum, rate] as const),
    );
  },
};

const pointer = (parameter: StoredParameter, kind: Kind): number =>
  arrayOf(parameter, kind).byteOffset;

function rangeOf(parameter: StoredParameter, kind: Kind): [from: number, end: number] {
  const { byteOffset, byteLength } = arrayOf(parameter, kind);
  return [byteOffset, byteOffset + byteLength];
}

function raise(values: Float32Array, least: number): void {
  for (let i = 0; i < values.length; i++) if ((values[i] ?? 0) < least) values[i] = least;
}

// Errors of training that a user can cause, beside those of errors.ts.
import { OctavoError } from "./errors.js";

/** An operator without a gradient rule stands between what is to be trained and the loss. */
export class NoGradientError extends OctavoError {
  readonly code = "no-gradient";
  constructor(
    /** The operator as rules name it. */
    readonly op: string,
    /** The node's name, or that of its first output. */
    readonly node: string,
    readonly detail: string | undefined = undefined,
  ) {
    super(
      `No gradient for ${op} "${node}"${detail === undefined ? "" : `: ${detail}`}. ` +
        `Expected operators with a gradient between the trained weights and the loss ` +
        `(docs/GRADIENTS.md lists them). Freeze the weights before this node, or export the model without this operator.`,
    );
  }
}

/** A loss or a gradient that is NaN or infinite. */
export class LossNotFiniteError extends OctavoError {
  readonly code = "loss-not-finite";
  constructor(
    readonly what: "loss" | "gradient",
    readonly value: number,
    /** Counted from 1. */
    readonly step: number,
    /** The records of the batch. */
    readonly batch: string,
    /** Where the state before this step is kept. */
    readonly checkpoint: string | undefined = undefined,
  ) {
    super(
      `The ${what} became ${value} at step ${step} (${batch}). ` +
        `Expected a finite number. Lower the learning rate (--lr), or look at these records and at the model's weights.` +
        (checkpoint === undefined ? "" : ` The state before this step is kept in ${checkpoint}.`),
    );
  }
}

/** A checkpoint that is of another run, or is none. */
export class CheckpointError extends OctavoError {
  readonly code = "checkpoint";
  constructor(
    readonly path: string,
    readonly detail: string,
  ) {
    super(
      `The checkpoint ${path} cannot be taken up: ${detail}. ` +
        `Expected the state of a run of the same model, data and options: give that command again, name another output, or begin anew with --force.`,
    );
  }
}

/** A model of which nothing can be, or shall be, trained. */
export class NothingToTrainError extends OctavoError {
  readonly code = "nothing-to-train";
  constructor(readonly detail: string) {
    super(
      `Nothing to train: ${detail}. Expected a model whose weights are float32 initializers on the way to its outputs, ` +
        `some of them not frozen.`,
    );
  }
}

/** A pattern of names that fits no weight. */
export class WeightPatternError extends OctavoError {
  readonly code = "weight-pattern";
  constructor(
    readonly pattern: string,
    readonly weights: readonly string[],
  ) {
    const some = weights
      .slice(0, 3)
      .map((name) => `"${name}"`)
      .join(", ");
    super(
      `No weight fits the pattern "${pattern}". The model trains ${weights.length} weights, such as ${some}; ` +
        `patterns also fit names of the nodes that read them.`,
    );
  }
}

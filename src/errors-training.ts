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
        `(docs/ARCHITECTURE.md lists them). Freeze the weights before this node, or export the model without this operator.`,
    );
  }
}

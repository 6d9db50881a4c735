// A float model and its quantized model, one after the other: checked on the same inputs, and scored on labelled data. Each is loaded once.
import type { Host } from "../host/host.js";
import { withSession } from "../host/sessions.js";
import type { CheckReport } from "../report/report.js";
import type { Session } from "../runtime/runtime.js";
import {
  checkAgainst,
  expectedOf,
  withSaturated,
  type CheckInputs,
  type Expected,
} from "./check.js";
import type { Predicted } from "./predictions.js";
import { KeptAnswers } from "./answers.js";
import type { Change, PairEvaluation } from "./score.js";

/** What is asked of both. */
export interface Verification {
  readonly check?: CheckInputs | undefined;
  readonly evaluation?: PairEvaluation | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the float model says. */
export interface FloatAnswers {
  readonly expected: Expected | undefined;
  readonly predicted: Predicted<unknown> | undefined;
}

export interface Verified {
  readonly check: CheckReport | undefined;
  readonly change: Change | undefined;
}

/** Throws as `expectedOf` and `predict`. */
export async function floatAnswers(
  model: Session | KeptAnswers,
  { check, evaluation }: Verification,
): Promise<FloatAnswers> {
  const [session, outputs] =
    model instanceof KeptAnswers ? [model.session, model.asked] : [model, undefined];
  return {
    expected: check && (await expectedOf(session, check, outputs)),
    predicted: await evaluation?.predict(model),
  };
}

/** The quantized model against the float model. Throws as `checkAgainst` and `predict`, and RuntimeFailedError where it does not load. */
export async function verify(
  host: Pick<Host, "runtime">,
  quantizedModel: string,
  { expected, predicted }: FloatAnswers,
  { check, evaluation, signal }: Verification,
): Promise<Verified> {
  if (expected === undefined && predicted === undefined)
    return { check: undefined, change: undefined };
  signal?.throwIfAborted();
  const verified = await withSession(host, quantizedModel, async (session) => ({
    check: expected && check && (await checkAgainst(expected, session, check)),
    change:
      predicted && evaluation
        ? evaluation.change(predicted, await evaluation.predict(session))
        : undefined,
  }));
  if (verified.check === undefined || expected === undefined || check === undefined)
    return verified;
  return {
    ...verified,
    check: await withSaturated(host, quantizedModel, expected, check, verified.check),
  };
}

// Outputs of models on the same feeds, held against each other; padding does not count where an output shows it.
import { detectMask, rowMask } from "../calibrate/observers.js";
import type { TensorErrorReport } from "../report/report.js";
import type { Feeds, RuntimeTensor, Session } from "../runtime/runtime.js";
import type { Host } from "../host/host.js";
import { withSession } from "../host/sessions.js";
import { noiseSums, realsOf, type NoiseSums } from "./snr.js";
import type { FeedPair } from "./site-errors.js";

/** By the name of the output; those of whole numbers are not in it. */
export type OutputSums = ReadonlyMap<string, NoiseSums>;

export interface ReferenceOutputs {
  /** Runs another model on the same feeds. */
  against(path: string): Promise<OutputSums>;
}

/** Runs the reference once and keeps its outputs. Throws RuntimeFailedError. */
export async function outputSums(
  host: Host,
  path: string,
  feeds: readonly FeedPair[],
  signal: AbortSignal | undefined,
): Promise<ReferenceOutputs> {
  const runAll = (model: string, side: "reference" | "candidate") =>
    withSession(host, model, async (session) => {
      const results: Record<string, RuntimeTensor>[] = [];
      for (const feed of feeds) {
        signal?.throwIfAborted();
        results.push(await session.run(feed[side]));
      }
      return results;
    });
  const expected = await runAll(path, "reference");
  return {
    async against(model) {
      const got = await runAll(model, "reference");
      const errors = outputErrors();
      for (const [i, results] of expected.entries())
        errors.add(results, got[i] ?? {}, feeds[i]?.mask);
      return errors.sums;
    },
  };
}

export interface OutputErrors {
  readonly sums: OutputSums;
  add(
    reference: Readonly<Record<string, RuntimeTensor>>,
    candidate: Readonly<Record<string, RuntimeTensor>>,
    mask?: FeedPair["mask"],
  ): void;
  /** In the order in which outputs were first seen. */
  reports(): TensorErrorReport[];
}

export function outputErrors(): OutputErrors {
  const sums = new Map<string, NoiseSums>();
  const counts = new Map<string, { equal: number; of: number }>();
  return {
    sums,
    add(reference, candidate, mask) {
      for (const [name, left] of Object.entries(reference)) {
        const right = candidate[name];
        if (right === undefined) continue;
        const [a, b] = [realsOf(left), realsOf(right)];
        if (a !== undefined && b?.length === a.length) {
          const rows = rowMask(detectMask(left.dims, mask?.dims), left.dims, mask);
          const own = sums.get(name) ?? noiseSums();
          own.add(a, b, typeof rows === "string" ? undefined : rows);
          sums.set(name, own);
          continue;
        }
        const own = counts.get(name) ?? { equal: 0, of: 0 };
        own.of += left.data.length;
        for (let i = 0; i < left.data.length; i++) if (left.data[i] === right.data[i]) own.equal++;
        counts.set(name, own);
      }
    },
    reports: () => [
      ...[...sums].map(([name, own]) =>
        own.compared() === 0 ? { name } : { name, snrDb: own.snrDb(), cosine: own.cosine() },
      ),
      ...[...counts].map(([name, { equal, of }]) =>
        of === 0 ? { name } : { name, agreement: equal / of },
      ),
    ],
  };
}

/** Outputs of two sessions on feeds. Throws RuntimeFailedError. */
export async function compareOutputs(
  [reference, candidate]: readonly [Session, Session],
  feeds: readonly FeedPair[],
  errors: OutputErrors,
  signal: AbortSignal | undefined,
): Promise<void> {
  const run = (session: Session, feed: Feeds) => session.run(feed);
  for (const feed of feeds) {
    signal?.throwIfAborted();
    const left = await run(reference, feed.reference);
    errors.add(left, await run(candidate, feed.candidate), feed.mask);
  }
}

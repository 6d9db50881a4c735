// What the edition is chosen by while it is trained: the task's metric on labelled records, or how close it is to the float model where there are no labels.
import type { DataRecord } from "../data/records.js";
import { DataError } from "../errors.js";
import { randomFor } from "../math/random.js";
import type { Session } from "../runtime/runtime.js";
import { measuresOf, predictAll } from "../evaluate/predictions.js";
import type { Prepared } from "../evaluate/score.js";
import { noiseSums } from "../evaluate/snr.js";
import type { LossTerm } from "../train/losses.js";
import { divergence } from "./divergence.js";
import { digestOf } from "../train/batches.js";
import type { Scoring } from "../train/run.js";

export interface QatScoringOptions {
  readonly maxLength?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const BATCH_SIZE = 32;

/** What closeness may add to a metric: nothing beside a record more or less. */
const TIE = 1e-6;
/** Digits of a metric as it is shown, without what decides between equal ones. */
const DIGITS = 5;

/** By the metric that the task names first; of equal ones, by how close the outputs `named` are to the float model's. */
export function byMetric(
  prepared: Prepared,
  teacher: Session,
  named: readonly string[],
  options: QatScoringOptions,
): Scoring {
  const { task, records } = prepared;
  const references = records.map((record) => task.reference(record));
  const [{ name, better } = { name: "score", better: "higher" as const }] = task.measures([]);
  const sign = better === "higher" ? 1 : -1;
  return {
    metric: name,
    better,
    digest: digestOf(records),
    async score(session) {
      const { snrDb, predictions } = await closeness(prepared, [teacher, session], named, options);
      const [measure] = measuresOf(task, predictions, references);
      const noise = Math.min(1, 10 ** (-snrDb / 10));
      return sign * (measure?.value() ?? NaN) - (Number.isNaN(noise) ? TIE : TIE * noise);
    },
    shown: ({ step, value }) => ({
      step,
      value: Number.isNaN(value) ? null : Number((sign * value).toFixed(DIGITS)),
    }),
  };
}

/** By how far its outputs are from the float model's, as the loss has it. No labels are read. */
export function byDivergence(
  prepared: Prepared,
  teacher: Session,
  terms: readonly LossTerm[],
  options: QatScoringOptions,
): Scoring {
  const { task, tokenizer, records } = prepared;
  return {
    metric: "divergence",
    better: "lower",
    digest: digestOf(records),
    async score(session) {
      let [sum, count] = [0, 0];
      await predictAll([teacher, session], tokenizer, task, records, {
        batchSize: BATCH_SIZE,
        ...options,
        see([floats = [], quantized = []]) {
          for (const [r, row] of floats.entries()) {
            const other = quantized[r];
            if (other === undefined) throw new Error("internal: a row of one model alone");
            for (const term of terms) sum += divergence(term, row.outputs, other.outputs);
            count++;
          }
        },
      });
      return -sum / count;
    },
    shown: ({ step, value }) => ({ step, value: Number.isFinite(value) ? -value : null }),
  };
}

/** Share of the distance that training must take away, about a decibel: less is within the noise of a few hundred records. */
const LEAST_GAIN = 0.2;
/** What an edition that does not count is scored lower by than any other. */
const REFUSED = 1e6;

/** Whether an edition is so much closer than the one before training that it is worth its change of weights. */
export function isCloser(distance: number, before: number): boolean {
  return distance <= before * (1 - LEAST_GAIN);
}

/**
 * `scoring` by closeness, in which an edition does not count that is hardly closer than that of `session`, which is before training, or worse by
 * `guard`, however close.
 */
export async function beyond(
  { scoring, guard }: { readonly scoring: Scoring; readonly guard: Scoring | undefined },
  session: Session,
): Promise<Scoring> {
  const farthest = await scoring.score(session, 0);
  const least = await guard?.score(session, 0);
  return {
    ...scoring,
    async score(own, step) {
      if (step === 0) return farthest;
      const value = await scoring.score(own, step);
      // What is no closer than the start is not chosen in any case.
      if (!(value > farthest)) return value;
      const isRefused =
        !isCloser(-value, -farthest) ||
        (guard !== undefined && !((await guard.score(own, step)) >= (least ?? NaN)));
      return isRefused ? value - REFUSED : value;
    },
    shown: ({ step, value }) =>
      scoring.shown({ step, value: value < -REFUSED / 2 ? value + REFUSED : value }),
  };
}

/**
 * The signal-to-noise ratio of the outputs `named`, dB, padding left out: 10 · log10(Σ float² / Σ (float − quantized)²); and what the second session
 * predicts.
 */
export async function closeness(
  { task, tokenizer, records }: Prepared,
  [teacher, session]: readonly [Session, Session],
  named: readonly string[],
  options: QatScoringOptions,
): Promise<{ readonly snrDb: number; readonly predictions: readonly unknown[] }> {
  const sums = noiseSums();
  const [, own] = await predictAll([teacher, session], tokenizer, task, records, {
    batchSize: BATCH_SIZE,
    ...options,
    see([floats = [], quantized = []]) {
      for (const [r, row] of floats.entries())
        for (const name of named) {
          const [a, b] = [row.outputs[name]?.data, quantized[r]?.outputs[name]?.data];
          if (a !== undefined) sums.add(a, b ?? []);
        }
    },
  });
  return { snrDb: sums.snrDb(), predictions: own?.predictions ?? [] };
}

/** Records that training does not see, where nobody gives others to choose by: a tenth of them. */
const SHARE = 0.1;
const MOST = 1000;
const LEAST = 8;

export interface Parts {
  readonly train: readonly DataRecord[];
  readonly held: readonly DataRecord[];
}

/** The same for the same seed. Throws DataError for so few records that a tenth says nothing. */
export function holdOut(records: readonly DataRecord[], seed: number): Parts {
  const count = Math.min(MOST, Math.floor(records.length * SHARE));
  if (count < LEAST)
    throw new DataError(
      records[0] !== undefined && "place" in records[0]
        ? (records[0].place?.path ?? "data")
        : "data",
      undefined,
      `${records.length} records, of which a tenth would be held out to choose by`,
      `at least ${LEAST / SHARE}, or labelled data of its own (--eval)`,
    );
  const order = randomFor("held-out records", seed);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(order.whole(records.length));
  return {
    train: records.filter((_, i) => !chosen.has(i)),
    held: records.filter((_, i) => chosen.has(i)),
  };
}

/** Some of the records, spread over all. */
export function fewOf(records: readonly DataRecord[], count: number): readonly DataRecord[] {
  const step = Math.max(1, records.length / count);
  return Array.from(
    { length: Math.min(count, records.length) },
    (_, i) => records[Math.floor(i * step)],
  ).filter((record) => record !== undefined);
}

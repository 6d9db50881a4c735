// What the quantized model is chosen by while it is trained: the task's metric on labelled records, or how close it is to the float model where there are no labels.
import type { DataRecord } from "../data/records.js";
import { DataError } from "../errors.js";
import { randomFor } from "../math/random.js";
import type { Session } from "../runtime/runtime.js";
import type { KeptAnswers } from "../evaluate/answers.js";
import { measuresOf, predictAll, type Asked } from "../evaluate/predictions.js";
import { rowsFor, type EvaluationRows } from "../evaluate/rows.js";
import type { Prepared } from "../evaluate/score.js";
import type { Task } from "../tasks/task.js";
import type { LossTerm } from "../train/losses.js";
import {
  HELD_OUT,
  LEAST_GAIN,
  LEAST_HELD_OUT,
  MOST_HELD_OUT,
  SCORED_TOGETHER,
  TIE,
} from "./defaults.js";
import { divergence } from "./divergence.js";
import { digestOf } from "../train/batches.js";
import type { Scoring } from "../train/run.js";

export interface HeldOptions {
  /** Terms of the loss by which closeness to the float model is told; none where it is not asked for. */
  readonly terms: readonly LossTerm[];
  /** Outputs that the signal-to-noise ratio is of. */
  readonly outputs: readonly string[];
  readonly maxLength?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a model makes of the rows that are held. */
export interface Measured {
  /** Mean over the rows, by the terms of the loss. */
  readonly divergence: number;
  /** 10 · log10(Σ float² / Σ (float − quantized)²) of the outputs, dB, padding left out. */
  readonly snrDb: number;
  /** The same over some records alone, by their indices. */
  readonly snrOf: (records: readonly number[]) => number;
  readonly predictions: readonly unknown[];
}

/** The records that a quantized model is chosen by: their rows are made once, and the float model is asked about them once. */
export class HeldRows {
  readonly prepared: Prepared;
  readonly #teacher: KeptAnswers;
  readonly #options: HeldOptions;
  #rows: EvaluationRows | undefined;
  #latest:
    | { readonly session: Session; readonly step: number; readonly measured: Measured }
    | undefined;

  constructor(prepared: Prepared, teacher: KeptAnswers, options: HeldOptions) {
    this.prepared = prepared;
    this.#teacher = teacher;
    this.#options = options;
  }

  /** Runs the session over all rows; asked again about the same step, it gives what it gave. Throws as `predictAll`. */
  async measure(session: Session, step: number): Promise<Measured> {
    const latest = this.#latest;
    if (latest?.session === session && latest.step === step) return latest.measured;
    const measured = await this.#run(session);
    this.#latest = { session, step, measured };
    return measured;
  }

  async #run(session: Session): Promise<Measured> {
    const { task, tokenizer, records } = this.prepared;
    const { terms, outputs, maxLength, signal } = this.#options;
    const models: readonly Asked[] = [this.#teacher, session];
    const limits = { batchSize: SCORED_TOGETHER, maxLength, signal };
    this.#rows ??= rowsFor(models, tokenizer, task, records, limits);
    const powers = new Powers(records.length);
    let [sum, count] = [0, 0];
    const [, own] = await predictAll(models, tokenizer, task, records, {
      ...limits,
      rows: this.#rows,
      see([floats = [], quantized = []], record) {
        for (const [r, row] of floats.entries()) {
          const other = quantized[r];
          if (other === undefined) throw new Error("internal: a row of one model alone");
          for (const term of terms) sum += divergence(term, row.outputs, other.outputs);
          for (const name of outputs)
            powers.add(record, row.outputs[name]?.data, other.outputs[name]?.data);
          count++;
        }
      },
    });
    return {
      divergence: sum / count,
      snrDb: powers.snrDb(),
      snrOf: (some) => powers.snrDb(some),
      predictions: own?.predictions ?? [],
    };
  }
}

/** Σ float² and Σ (float − quantized)², of all and of each record. */
class Powers {
  readonly #signals: Float64Array;
  readonly #noises: Float64Array;
  #signal = 0;
  #noise = 0;

  constructor(records: number) {
    this.#signals = new Float64Array(records);
    this.#noises = new Float64Array(records);
  }

  add(record: number, float: Float32Array | undefined, quantized: Float32Array | undefined): void {
    if (float === undefined) return;
    let [signal, noise, allSignal, allNoise] = [0, 0, this.#signal, this.#noise];
    // Vocabularies are long, so a plain loop.
    for (let i = 0; i < float.length; i++) {
      const value = float[i] as number;
      const difference = value - (quantized?.[i] ?? NaN);
      signal += value * value;
      noise += difference * difference;
      allSignal += value * value;
      allNoise += difference * difference;
    }
    [this.#signal, this.#noise] = [allSignal, allNoise];
    this.#signals[record] = (this.#signals[record] as number) + signal;
    this.#noises[record] = (this.#noises[record] as number) + noise;
  }

  snrDb(records?: readonly number[]): number {
    const of = (each: Float64Array, all: number) =>
      records?.reduce((sum, record) => sum + (each[record] ?? 0), 0) ?? all;
    return 10 * Math.log10(of(this.#signals, this.#signal) / of(this.#noises, this.#noise));
  }
}

/** Digits of a metric as it is shown, without what decides between equal ones. */
const DIGITS = 5;

/** By the metric that the task names first; of equal ones, by how close the outputs are to the float model's. */
export function byMetric(held: HeldRows, task: Task): Scoring {
  const { records } = held.prepared;
  const references = records.map((record) => task.reference(record));
  const [{ name, better } = { name: "score", better: "higher" as const }] = task.measures([]);
  const sign = better === "higher" ? 1 : -1;
  return {
    metric: name,
    better,
    digest: digestOf(records),
    async score(session, step) {
      const { snrDb, predictions } = await held.measure(session, step);
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
export function byDivergence(held: HeldRows): Scoring {
  return {
    metric: "divergence",
    better: "lower",
    digest: digestOf(held.prepared.records),
    score: async (session, step) => -(await held.measure(session, step)).divergence,
    shown: ({ step, value }) => ({ step, value: Number.isFinite(value) ? -value : null }),
  };
}

/** What a quantized model that does not count is scored lower by than any other. */
const REFUSED = 1e6;

/** Whether a quantized model is so much closer than the one before training that it is worth its change of weights. */
export function isCloser(distance: number, before: number): boolean {
  return distance <= before * (1 - LEAST_GAIN);
}

/**
 * `scoring` by closeness, in which a quantized model does not count that is hardly closer than that of `session`, which is before training, or worse by
 * `acceptance`, however close.
 */
export async function beyond(
  { scoring, acceptance }: { readonly scoring: Scoring; readonly acceptance: Scoring | undefined },
  session: Session,
): Promise<Scoring> {
  const farthest = await scoring.score(session, 0);
  const least = await acceptance?.score(session, 0);
  return {
    ...scoring,
    async score(own, step) {
      if (step === 0) return farthest;
      const value = await scoring.score(own, step);
      // What is no closer than the start is not chosen in any case.
      if (!(value > farthest)) return value;
      const isRefused =
        !isCloser(-value, -farthest) ||
        (acceptance !== undefined && !((await acceptance.score(own, step)) >= (least ?? NaN)));
      return isRefused ? value - REFUSED : value;
    },
    shown: ({ step, value }) =>
      scoring.shown({ step, value: value < -REFUSED / 2 ? value + REFUSED : value }),
  };
}

export interface Parts {
  readonly train: readonly DataRecord[];
  readonly held: readonly DataRecord[];
}

/** Some records that training does not see, where nobody gives others to choose by. The same for the same seed. Throws DataError for so few records that a tenth says nothing. */
export function holdOut(records: readonly DataRecord[], seed: number): Parts {
  const count = Math.min(MOST_HELD_OUT, Math.floor(records.length * HELD_OUT));
  if (count < LEAST_HELD_OUT)
    throw new DataError(
      records[0] !== undefined && "place" in records[0]
        ? (records[0].place?.path ?? "data")
        : "data",
      undefined,
      `${records.length} records, of which a tenth would be held out to choose by`,
      `at least ${LEAST_HELD_OUT / HELD_OUT}, or labelled data of its own (--eval)`,
    );
  const order = randomFor("held-out records", seed);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(order.whole(records.length));
  return {
    train: records.filter((_, i) => !chosen.has(i)),
    held: records.filter((_, i) => chosen.has(i)),
  };
}

/** Indices of some of so many records, spread over all. */
export function fewOf(records: number, count: number): readonly number[] {
  const step = Math.max(1, records / count);
  return Array.from({ length: Math.min(count, records) }, (_, i) => Math.floor(i * step));
}

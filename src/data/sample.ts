// A fixed sample of a source of any size: drawn in one pass, with the memory of the sample.
import { OptionError } from "../errors.js";
import { randomFor } from "../math/random.js";
import type { DataRecord, RecordSource } from "./records.js";

export interface SampleOptions {
  /** How many records; "all" takes every one, in the order of the source. */
  readonly samples: number | "all";
  /** The same seed, source and number give the same sample everywhere; default 1. */
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Sample {
  readonly records: readonly DataRecord[];
  /** Records that the source had. */
  readonly seen: number;
}

interface Drawn {
  readonly key: number;
  readonly index: number;
  readonly record: DataRecord;
}

/**
 * A sample spread over the whole source, in an order that is shuffled and fixed. Each record has a key by its place in the source and the
 * seed, and those of the smallest keys are the sample, ordered by them; hence a smaller sample is the beginning of a larger one, and a
 * source with fewer records gives all, shuffled. Which shard a process works on does not change its sample.
 *
 * Throws OptionError, what the source throws, and the signal's reason when it is aborted.
 */
export async function sampleRecords(source: RecordSource, options: SampleOptions): Promise<Sample> {
  const { samples, seed = 1, signal } = options;
  if (samples !== "all" && !(Number.isSafeInteger(samples) && samples > 0))
    throw new OptionError("samples", String(samples), 'a whole number from 1 on, or "all"');
  if (!Number.isSafeInteger(seed)) throw new OptionError("seed", String(seed), "a whole number");
  const size = samples === "all" ? Infinity : samples;
  const draw = randomFor("sample of records", seed);
  // What is drawn and dropped again is dropped by the quarter, so that sorting stays cheap.
  const room = Math.ceil(size * 1.25) + 64;
  let drawn: Drawn[] = [];
  let limit = Infinity;
  let seen = 0;
  for await (const record of source) {
    signal?.throwIfAborted();
    const key = samples === "all" ? 0 : draw.uniform();
    if (key < limit) drawn.push({ key, index: seen, record });
    seen++;
    if (drawn.length < room) continue;
    drawn = smallest(drawn, size);
    limit = drawn.at(-1)?.key ?? Infinity;
  }
  return { records: smallest(drawn, size).map(({ record }) => record), seen };
}

/** Of equal keys the earlier record is the smaller one. */
function smallest(drawn: readonly Drawn[], size: number): Drawn[] {
  return drawn.toSorted((a, b) => a.key - b.key || a.index - b.index).slice(0, size);
}

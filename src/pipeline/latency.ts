// Times several runs against each other: in turn, round by round, so that whatever else the machine does hits all of them alike.

export interface LatencyOptions {
  /** Rounds before it counts. */
  readonly warmup: number;
  /** Ends after this many rounds, or after `seconds`, whichever comes first; at least three rounds are made. */
  readonly rounds: number;
  readonly seconds: number;
  /** Seconds of a clock that only goes forward. */
  readonly now: () => number;
}

/** Median seconds of each run. The order within a round turns from round to round. */
export async function medianLatencies(
  runs: readonly (() => Promise<unknown>)[],
  { warmup, rounds, seconds, now }: LatencyOptions,
): Promise<number[]> {
  const times = runs.map((): number[] => []);
  const begun = now();
  for (let round = -warmup; round < rounds; round++) {
    if (round >= 3 && now() - begun > seconds) break;
    for (let k = 0; k < runs.length; k++) {
      const i = (k + Math.abs(round)) % runs.length;
      const start = now();
      await runs[i]?.();
      if (round >= 0) times[i]?.push(now() - start);
    }
  }
  return times.map(median);
}

/** The middle value, or the mean of the two middle ones; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const low = sorted[Math.ceil(half) - 1] ?? NaN;
  const high = sorted[Math.floor(half)] ?? NaN;
  return (low + high) / 2;
}

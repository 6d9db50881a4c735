// Times several runs against each other: in turn, round by round, so that whatever else the machine does hits all of them alike.
import { median, quantile } from "../math/quantile.js";
import { randomFor } from "../math/random.js";

export interface LatencyOptions {
  /** Rounds before it counts. */
  readonly warmup: number;
  /** Ends after this many rounds, or after `seconds`, whichever comes first; at least three rounds are made. */
  readonly rounds: number;
  readonly seconds: number;
  /** Seconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Called after each round, warm-up included; what it throws ends the work. */
  readonly onRound?: ((done: number) => void) | undefined;
}

/** Seconds of each run in each round: as many for each, the rounds in the same order. The order within a round turns from round to round. */
export async function interleavedLatencies(
  runs: readonly (() => Promise<unknown>)[],
  { warmup, rounds, seconds, now, onRound }: LatencyOptions,
): Promise<number[][]> {
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
    onRound?.(round + warmup + 1);
  }
  return times;
}

/** Median seconds of each run. */
export async function medianLatencies(
  runs: readonly (() => Promise<unknown>)[],
  options: LatencyOptions,
): Promise<number[]> {
  return (await interleavedLatencies(runs, options)).map(median);
}

export interface Ratio {
  readonly value: number;
  /** The interval that holds 95 % of what other draws of the rounds would give. */
  readonly low: number;
  readonly high: number;
}

const DRAWS = 2000;
const TAIL = 0.025;

/**
 * How many times as fast as `first` the other is: the median over rounds of first / other, paired because both met the same disturbances.
 * Its interval is the percentile bootstrap (Efron & Tibshirani, 1993) over rounds, drawn by `seed`.
 */
export function pairedRatio(
  first: readonly number[],
  other: readonly number[],
  seed: number,
): Ratio {
  const ratios = first.flatMap((time, i) => {
    const against = other[i];
    return against === undefined ? [] : [time / against];
  });
  const source = randomFor("latency resamples", seed);
  const draws = Array.from({ length: DRAWS }, () =>
    median(ratios.map(() => ratios[source.whole(ratios.length)] ?? NaN)),
  );
  return { value: median(ratios), low: quantile(draws, TAIL), high: quantile(draws, 1 - TAIL) };
}

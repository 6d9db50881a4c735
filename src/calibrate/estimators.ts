// From statistics to the range that 8 bits (or any number of them) are spread over.
import { StatisticsError } from "../errors.js";
import { MOVING, PERCENTILE } from "./defaults.js";
import { leastDivergence } from "./entropy.js";
import { leastSquares } from "./mean-square.js";
import type { TensorStatistics } from "./tensor-statistics.js";

/** Values that are represented; it includes 0, and is symmetric about it where the format is. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Ranges per channel, [channels] each. */
export interface ChannelRanges {
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/** Asymmetric: 2^bits codes over [min, max]. Symmetric: -(2^(bits-1) - 1) … 2^(bits-1) - 1 over [-max, max]. */
export interface CodeFormat {
  readonly bits: number;
  readonly symmetric: boolean;
}

export type Estimator =
  /** All that was seen. */
  | { readonly kind: "min-max" }
  /**
   * The average of the units' extremes, in the order of the units: of all so far for the first 1 / constant units, then forgetting `constant`
   * (default 0.01) at each unit (Jacob et al., arXiv:1712.05877; without its heavy weight on the first unit).
   */
  | { readonly kind: "moving-average"; readonly constant?: number }
  /** So many percent of the values (default 99.99), leaving out the same share at either end: what Wu et al., arXiv:2004.09602, compare. */
  | { readonly kind: "percentile"; readonly percentile?: number }
  /** Least Kullback–Leibler divergence (Migacz, "8-bit inference with TensorRT", GTC 2017), each end searched on its own where asymmetric. */
  | { readonly kind: "entropy" }
  /** Least expected squared error of quantizing and clipping (Shin et al., arXiv:1511.06488), of all ranges on the histogram's edges. */
  | { readonly kind: "mse" };

/**
 * The range of a tensor, within what was seen, widened to 0 and made symmetric. Throws StatisticsError where no value was seen, RangeError for
 * a percentile outside (0, 100], a constant outside (0, 1], or bits that are not whole and in 2 … 16.
 */
export function estimateRange(
  statistics: TensorStatistics,
  estimator: Estimator,
  format: CodeFormat,
): Range {
  const { bits, symmetric } = format;
  if (!Number.isInteger(bits) || bits < 2 || bits > 16)
    throw new RangeError(`bits are a whole number from 2 to 16, not ${bits}`);
  requireSeen(statistics);
  return shaped(withinSeen(rangeBy(statistics, estimator, format), statistics), symmetric);
}

/** Min-max per channel; other estimators need a histogram, which is kept per tensor. */
export function channelRanges(
  statistics: TensorStatistics,
  { symmetric }: Pick<CodeFormat, "symmetric">,
): ChannelRanges {
  requireSeen(statistics);
  const { min, max } = statistics.extremes();
  const ranges = Array.from(min, (low, c) => shaped({ min: low, max: max[c] ?? 0 }, symmetric));
  return {
    min: Float64Array.from(ranges, (range) => range.min),
    max: Float64Array.from(ranges, (range) => range.max),
  };
}

/**
 * How much wider the range of the whole sample is than that of one of its halves, on average: 1 where more data brought nothing
 * new, or where only one half has values. `scales` [channels]: the range of x / scales instead of x.
 */
export function rangeGrowth(statistics: TensorStatistics, scales?: ArrayLike<number>): number {
  const ranges = statistics.halves.map(({ min, max }) => {
    let [low, high] = [0, 0];
    for (let c = 0; c < min.length; c++) {
      const scale = scales?.[c] ?? 1;
      // A half without values has +Infinity as its min, -Infinity as its max.
      low = Math.min(low, (min[c] as number) / scale);
      high = Math.max(high, (max[c] as number) / scale);
    }
    return { low, high };
  });
  const [even, odd] = ranges.map(({ low, high }) => high - low) as [number, number];
  const whole =
    Math.max(...ranges.map(({ high }) => high)) - Math.min(...ranges.map(({ low }) => low));
  return even > 0 && odd > 0 ? (2 * whole) / (even + odd) : 1;
}

function rangeBy(statistics: TensorStatistics, estimator: Estimator, format: CodeFormat): Range {
  switch (estimator.kind) {
    case "min-max":
      return statistics;
    case "moving-average":
      return movingAverage(statistics, estimator.constant ?? MOVING);
    case "percentile":
      return percentileRange(statistics, estimator.percentile ?? PERCENTILE, format);
    case "entropy":
      return leastDivergence(statistics.histogram, format);
    case "mse":
      return leastSquares(statistics, format);
  }
}

function requireSeen({ count, nonFinite }: TensorStatistics): void {
  if (count > 0) return;
  throw new StatisticsError(
    nonFinite === undefined
      ? "a tensor has no values"
      : `a tensor has NaN or infinite values in each unit that has any (the first is ${nonFinite.first})`,
    "finite values of each tensor whose range is asked for",
    "Calibrate with more data, or leave the site in float.",
  );
}

function movingAverage({ recent }: TensorStatistics, constant: number): Range {
  if (!(constant > 0 && constant <= 1))
    throw new RangeError(`the constant of a moving average is in (0, 1], not ${constant}`);
  let [low, high] = [0, 0];
  for (const [i, { min, max }] of recent.ranges().entries()) {
    const weight = Math.max(constant, 1 / (i + 1));
    low += (min - low) * weight;
    high += (max - high) * weight;
  }
  return { min: low, max: high };
}

/** The outer edge of the bin in which the share is reached: at least so much is covered, and at most a bin too much. */
function percentileRange(
  { histogram, count }: TensorStatistics,
  percentile: number,
  { symmetric }: CodeFormat,
): Range {
  if (!(percentile > 0 && percentile <= 100))
    throw new RangeError(`a percentile is in (0, 100], not ${percentile}`);
  const { counts, first, width } = histogram;
  const outside = count * (1 - percentile / 100);
  if (!symmetric) {
    let [low, high] = [0, counts.length - 1];
    for (let cut = counts[low] as number; cut <= outside / 2; cut += counts[low] as number) low++;
    for (let cut = counts[high] as number; cut <= outside / 2; cut += counts[high] as number)
      high--;
    return { min: (first + low) * width, max: (first + high + 1) * width };
  }
  // Bin -1 - i mirrors bin i: the grid has an edge at 0.
  const reach = Math.max(-first, first + counts.length);
  let cut = 0;
  for (let edge = reach; edge > 0; edge--) {
    cut += (counts[edge - 1 - first] ?? 0) + (counts[-edge - first] ?? 0);
    if (cut > outside) return { min: -edge * width, max: edge * width };
  }
  return { min: 0, max: 0 };
}

/** Edges of bins may lie beyond the values in them. */
function withinSeen({ min, max }: Range, seen: Range): Range {
  return { min: Math.max(min, seen.min), max: Math.min(max, seen.max) };
}

function shaped({ min, max }: Range, symmetric: boolean): Range {
  const [low, high] = [Math.min(min, 0), Math.max(max, 0)];
  if (!symmetric) return { min: low, max: high };
  const reach = Math.max(-low, high);
  return { min: -reach + 0, max: reach };
}

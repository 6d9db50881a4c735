// The range of least squared error: a step of width d adds d² / 12 to each value inside, clipping adds the square of what it takes off.
import type { CodeFormat, Range } from "./estimators.js";
import type { TensorStatistics } from "./tensor-statistics.js";

/** Number of steps from the lowest code to the highest. */
function stepsOf({ bits, symmetric }: CodeFormat): number {
  return 2 ** bits - (symmetric ? 2 : 1);
}

/** Expected squared error per value of quantizing to `range`: what `leastSquares` makes least. Values are spread evenly within each bin. */
export function expectedError(
  statistics: TensorStatistics,
  { min, max }: Range,
  format: CodeFormat,
): number {
  const { counts, first, width } = statistics.histogram;
  const [lowest, highest] = [statistics.min, statistics.max];
  const rounding = ((max - min) / stepsOf(format)) ** 2 / 12;
  let error = 0;
  for (let i = 0; i < counts.length; i++) {
    const from = Math.max((first + i) * width, lowest);
    const to = Math.min((first + i + 1) * width, highest);
    const beyond = meanSquareBeyond(from, to, max) + meanSquareBeyond(-to, -from, -min);
    error += (counts[i] as number) * (beyond + rounding * shareInside(from, to, min, max));
  }
  return error / statistics.count;
}

/** Mean of max(0, x - edge)² for x spread evenly over [from, to]. */
function meanSquareBeyond(from: number, to: number, edge: number): number {
  if (to <= edge) return 0;
  const [a, b] = [from - edge, to - edge];
  // No difference of cubes: where from is next to to, nothing would be left of it.
  return a >= 0 ? (a * a + a * b + b * b) / 3 : b ** 3 / (3 * (to - from));
}

function shareInside(from: number, to: number, min: number, max: number): number {
  if (to === from) return from >= min && from <= max ? 1 : 0;
  return Math.max(0, Math.min(to, max) - Math.max(from, min)) / (to - from);
}

/** An end of the range, as a distance from 0, with the values beyond it and the squares of how far they are beyond. */
interface End {
  readonly at: number;
  readonly count: number;
  readonly error: number;
}

/** Searches all pairs of edges of bins (single edges where symmetric), of which the outermost are min and max; the range includes 0. */
export function leastSquares(statistics: TensorStatistics, format: CodeFormat): Range {
  const { count, min, max, histogram } = statistics;
  const { counts, first, bins, width } = histogram;
  const steps = stepsOf(format);
  const highs = endsOf(counts, first, width, max);
  const lows = endsOf(counts.toReversed(), -(first + bins), width, -min);
  let best: Range = { min: 0, max: 0 };
  let least = Infinity;
  const consider = (low: End, high: End): void => {
    const rounding = ((low.at + high.at) / steps) ** 2 / 12;
    const error = low.error + high.error + (count - low.count - high.count) * rounding;
    if (!(error < least)) return;
    least = error;
    best = { min: -low.at, max: high.at };
  };
  if (format.symmetric)
    for (const at of new Set([...lows, ...highs].map((end) => end.at))) {
      const [low, high] = [endAt(lows, at, width), endAt(highs, at, width)];
      if (low !== undefined && high !== undefined) consider(low, high);
    }
  else
    for (const low of lows)
      for (const high of highs) {
        // Clipping costs more with each end further in.
        if (low.error + high.error >= least) break;
        consider(low, high);
      }
  return best;
}

/**
 * The ends that a range may have above 0: the largest value, and each edge of a bin between it and the first below all values, or 0. Sums go from the
 * outermost bin inwards, so that nothing is ever subtracted.
 */
function endsOf(counts: Float64Array, first: number, width: number, max: number): End[] {
  if (max <= 0) return [{ at: 0, count: 0, error: 0 }];
  const ends: End[] = [{ at: max, count: 0, error: 0 }];
  // Of the values beyond the end: their number, Σ distance, Σ distance².
  let [count, sum, error] = [0, 0, 0];
  for (let bin = first + counts.length - 1; bin >= Math.max(first - 1, 0); bin--) {
    const at = bin * width;
    const filled = Math.min(width, max - at);
    const moved = (ends.at(-1)?.at ?? max) - at;
    const n = counts[bin - first] ?? 0;
    error += 2 * moved * sum + moved * moved * count + (n * filled * filled) / 3;
    sum += moved * count + (n * filled) / 2;
    count += n;
    // Where the largest value is on an edge, its bin holds nothing else, and nothing is beyond.
    ends.push(filled > 0 ? { at, count, error } : { at, count: 0, error: 0 });
  }
  return ends;
}

/** The end at that distance: nothing is beyond the largest value; undefined within a bin, whose values are not told apart. */
function endAt(ends: readonly End[], at: number, width: number): End | undefined {
  const [outermost, top] = ends;
  if (outermost === undefined || at >= outermost.at) return { at, count: 0, error: 0 };
  const found = top && ends[1 + Math.round((top.at - at) / width)];
  return found?.at === at ? found : undefined;
}

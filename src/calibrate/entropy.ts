// The range of least Kullback–Leibler divergence between the values and what the codes can tell of them (the method of TensorRT's calibrators).
import { ENTROPY_ROUNDS } from "./defaults.js";
import type { CodeFormat, Range } from "./estimators.js";
import type { Histogram } from "./histogram.js";

/**
 * Clips at edges of bins so that the divergence is least. P is the histogram within the range, what is clipped counted in the outermost
 * bins; Q is the same without what is clipped, evened out over the bins that share a code and are not empty in P. Where there are fewer
 * bins than codes (more than 10 bits), nothing tells ranges apart and all is kept. Asymmetric: one end at a time, in turns, so a local minimum.
 */
export function leastDivergence(histogram: Histogram, { bits, symmetric }: CodeFormat): Range {
  const { first, bins, width } = histogram;
  const levels = 2 ** bits - (symmetric ? 1 : 0);
  const divergence = divergenceOf(histogram, levels);
  const end = first + bins;
  if (symmetric) {
    const reach = Math.max(-first, end);
    const edge = best(reach, Math.ceil(levels / 2), -1, (k) => divergence(-k, k)) ?? reach;
    return { min: -edge * width, max: edge * width };
  }
  let [low, high] = [Math.min(first, 0), Math.max(end, 0)];
  for (let round = 0; round < ENTROPY_ROUNDS; round++) {
    const before = [low, high];
    const [lowest, highest] = [Math.min(first, 0), Math.max(end, 0)];
    high = best(highest, Math.max(low + levels, 0), -1, (b) => divergence(low, b)) ?? high;
    low = best(lowest, Math.min(high - levels, 0), 1, (a) => divergence(a, high)) ?? low;
    if (low === before[0] && high === before[1]) break;
  }
  return { min: low * width, max: high * width };
}

/** The whole number of the least finite cost, from `widest` on in steps of ±1 to `narrowest`; the wider of equals. */
function best(
  widest: number,
  narrowest: number,
  step: 1 | -1,
  cost: (at: number) => number,
): number | undefined {
  let found: number | undefined;
  let least = Infinity;
  for (let at = widest; (narrowest - at) * step >= 0; at += step) {
    const value = cost(at);
    if (value < least) [least, found] = [value, at];
  }
  return found;
}

/** The divergence of clipping to bins low … high - 1; Infinity where Q has nothing and P has something. Time by `levels`, not by bins. */
function divergenceOf(
  { counts, first }: Histogram,
  levels: number,
): (low: number, high: number) => number {
  const values = prefix(counts);
  const filled = prefix(counts.map(Math.sign));
  const entropy = prefix(counts.map(nLogN));
  const total = values[counts.length] as number;
  /** Index of a bin's lower edge in the sums; bins outside of the histogram are empty. */
  const at = (bin: number) => Math.min(counts.length, Math.max(0, bin - first));
  const count = (bin: number) => counts[bin - first] ?? 0;
  return (low, high) => {
    const below = values[at(low)] as number;
    const inside = (values[at(high)] as number) - below;
    if (inside === 0) return Infinity;
    const above = total - below - inside;
    const width = high - low;
    const [lowest, highest] = [count(low), count(high - 1)];
    let ofP = (entropy[at(high)] as number) - (entropy[at(low)] as number);
    ofP += nLogN(lowest + below) - nLogN(lowest) + nLogN(highest + above) - nLogN(highest);
    let ofQ = 0;
    let before = below;
    let filledBefore = filled[at(low)] as number;
    for (let level = 1; level <= levels; level++) {
      const to = at(low + Math.floor((level * width) / levels));
      const after = values[to] as number;
      const filledAfter = filled[to] as number;
      const own = after - before;
      let p = own;
      let places = filledAfter - filledBefore;
      before = after;
      filledBefore = filledAfter;
      if (level === 1 && below > 0) {
        p += below;
        if (lowest === 0) places++;
      }
      if (level === levels && above > 0) {
        p += above;
        if (highest === 0) places++;
      }
      if (p === 0) continue;
      if (own === 0) return Infinity;
      ofQ += p * Math.log(own / places);
    }
    return (ofP - ofQ) / total + Math.log(inside / total);
  };
}

function nLogN(n: number): number {
  return n > 0 ? n * Math.log(n) : 0;
}

/** Sums of the values before each index, [length + 1]. */
function prefix(values: Float64Array): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (let i = 0; i < values.length; i++) sums[i + 1] = (sums[i] as number) + (values[i] as number);
  return sums;
}

// What calibration keeps of one activation: a summary of fixed size that merges exactly. Parts merged in any order equal the whole to the byte.
import { ExactSums } from "./exact-sums.js";
import { Histogram } from "./histogram.js";
import { RecentUnits } from "./recent-units.js";

/** Extremes per channel, [channels] each; +Infinity and -Infinity where nothing was seen. */
export interface Extremes {
  readonly min: Float32Array;
  readonly max: Float32Array;
}

/** What one observation adds: the statistics of one tensor of one unit, all values finite. */
export interface Observation extends Extremes {
  readonly unit: number;
  /** Elements, those of padded rows left out. */
  readonly count: number;
  /** Σ x and Σ x² per channel. */
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  readonly data: Float32Array;
  /** Pairs [from, to) of elements that count. */
  readonly runs: readonly number[];
}

/** Units with a NaN or an infinity; nothing of these observations is in the statistics. */
export interface NonFinite {
  /** The lowest such unit. */
  readonly first: number;
  readonly units: number;
}

/** Dims that all observations had, null where they differ; null as a whole where the ranks do. Undefined: none was observed. */
export type SeenShape = readonly (number | null)[] | null | undefined;

export interface Parts {
  readonly shape: SeenShape;
  readonly count: number;
  readonly nonFinite: NonFinite | undefined;
  readonly halves: readonly [Extremes, Extremes];
  readonly sums: ExactSums;
  readonly squares: ExactSums;
  readonly histogram: Histogram;
  readonly recent: RecentUnits;
}

/**
 * Statistics of a tensor [..., channels]. The units of the sample are split in two halves, even and odd numbers, whose extremes are
 * kept apart: how much the range grows from one half to the whole tells how much it will grow with values nobody has seen.
 * A tensor whose last axis varies has one channel, which stands for all of it.
 */
export class TensorStatistics {
  #parts: Parts;

  constructor(parts: Parts = emptyParts(undefined)) {
    this.#parts = parts;
  }

  get shape(): SeenShape {
    return this.#parts.shape;
  }

  /** Elements that were counted. */
  get count(): number {
    return this.#parts.count;
  }

  get nonFinite(): NonFinite | undefined {
    return this.#parts.nonFinite;
  }

  /** Size of the last axis; undefined where it varies or nothing was observed: then channel 0 is the whole tensor. */
  get channels(): number | undefined {
    return lastOf(this.shape);
  }

  /** Extremes per channel of the units of even numbers, and of those of odd numbers. */
  get halves(): readonly [Extremes, Extremes] {
    return this.#parts.halves;
  }

  get histogram(): Histogram {
    return this.#parts.histogram;
  }

  get recent(): RecentUnits {
    return this.#parts.recent;
  }

  /** Σ x per channel. */
  get sums(): ExactSums {
    return this.#parts.sums;
  }

  /** Σ x² per channel. */
  get squares(): ExactSums {
    return this.#parts.squares;
  }

  /** Of all elements; +Infinity where there are none. */
  get min(): number {
    return Math.min(...this.halves.map(({ min }) => lowest(min)));
  }

  /** Of all elements; -Infinity where there are none. */
  get max(): number {
    return Math.max(...this.halves.map(({ max }) => highest(max)));
  }

  /** Extremes per channel over all units. */
  extremes(): Extremes {
    const [even, odd] = this.halves;
    const both = { min: even.min.slice(), max: even.max.slice() };
    widen(both, odd);
    return both;
  }

  /** Mean of x per channel; NaN where there are no elements. */
  means(): Float64Array {
    const rows = this.count / this.sums.channels;
    return this.sums.numbers().map((sum) => sum / rows);
  }

  /** Mean of x² per channel; NaN where there are no elements. */
  meanSquares(): Float64Array {
    const rows = this.count / this.squares.channels;
    return this.squares.numbers().map((sum) => sum / rows);
  }

  /** Notes the shape of an observation before it is added or rejected. */
  see(shape: SeenShape): void {
    this.#fit(joined(this.shape, shape));
  }

  add(seen: Observation): void {
    const { count, unit } = seen;
    const parts = this.#parts;
    const [min, max] = [lowest(seen.min), highest(seen.max)];
    const half = parts.halves[unit % 2 === 0 ? 0 : 1];
    widen(half, half.min.length === seen.min.length ? seen : single(min, max));
    parts.sums.add(seen.sums);
    parts.squares.add(seen.squares);
    parts.histogram.cover(this.min, this.max);
    parts.histogram.count(seen.data, seen.runs);
    parts.recent.add({ unit, min, max });
    this.#parts = { ...parts, count: parts.count + count };
  }

  /** Notes units whose values are not all finite, `first` the lowest of them. */
  reject(first: number, units = 1): void {
    const nonFinite = bothNonFinite(this.nonFinite, { first, units });
    this.#parts = { ...this.#parts, nonFinite };
  }

  /** Adds the statistics of other units; `other` stays as it is. */
  merge(other: TensorStatistics): void {
    const shape = joined(this.shape, other.shape);
    this.#fit(shape);
    const parts = this.#parts;
    const added = fitted(other.#parts, shape);
    parts.halves.forEach((half, i) => widen(half, added.halves[i as 0 | 1]));
    parts.sums.merge(added.sums);
    parts.squares.merge(added.squares);
    if (added.count > 0) parts.histogram.cover(this.min, this.max);
    parts.histogram.add(added.histogram);
    parts.recent.merge(added.recent);
    this.#parts = {
      ...parts,
      count: parts.count + added.count,
      nonFinite: bothNonFinite(parts.nonFinite, added.nonFinite),
    };
  }

  #fit(shape: SeenShape): void {
    this.#parts = fitted(this.#parts, shape);
  }
}

/** A scalar has one channel. */
function lastOf(shape: SeenShape): number | undefined {
  if (shape === undefined || shape === null) return undefined;
  return shape.length === 0 ? 1 : (shape.at(-1) ?? undefined);
}

/** What two shapes have in common: associative, commutative, and the same for equal ones. */
function joined(a: SeenShape, b: SeenShape): SeenShape {
  if (a === undefined) return b;
  if (b === undefined) return a;
  if (a === null || b === null || a.length !== b.length) return null;
  return a.map((dim, i) => (dim === b[i] ? dim : null));
}

function emptyParts(shape: SeenShape): Parts {
  const channels = lastOf(shape) ?? 1;
  const none = () => ({
    min: new Float32Array(channels).fill(Infinity),
    max: new Float32Array(channels).fill(-Infinity),
  });
  return {
    shape,
    count: 0,
    nonFinite: undefined,
    halves: [none(), none()],
    sums: new ExactSums(channels),
    squares: new ExactSums(channels),
    histogram: new Histogram(),
    recent: new RecentUnits(),
  };
}

/** The parts under a shape they were joined with: channels that are no longer told apart become one. */
function fitted(parts: Parts, shape: SeenShape): Parts {
  if (parts.shape === undefined)
    return shape === undefined ? parts : { ...emptyParts(shape), nonFinite: parts.nonFinite };
  if (lastOf(parts.shape) === lastOf(shape)) return { ...parts, shape };
  const fold = ({ min, max }: Extremes) => single(lowest(min), highest(max));
  const [even, odd] = parts.halves;
  return {
    ...parts,
    shape,
    halves: [fold(even), fold(odd)],
    sums: parts.sums.folded(),
    squares: parts.squares.folded(),
  };
}

function single(min: number, max: number): Extremes {
  return { min: Float32Array.of(min), max: Float32Array.of(max) };
}

function lowest(values: Float32Array): number {
  let min = Infinity;
  for (let i = 0; i < values.length; i++)
    if ((values[i] as number) < min) min = values[i] as number;
  return min;
}

function highest(values: Float32Array): number {
  let max = -Infinity;
  for (let i = 0; i < values.length; i++)
    if ((values[i] as number) > max) max = values[i] as number;
  return max;
}

/** Zeros become +0: which of the two zeros was seen first must not show. */
function widen(extremes: Extremes, by: Extremes): void {
  const { min, max } = extremes;
  for (let c = 0; c < min.length; c++) {
    min[c] = Math.min(min[c] as number, by.min[c] as number) + 0;
    max[c] = Math.max(max[c] as number, by.max[c] as number) + 0;
  }
}

function bothNonFinite(a: NonFinite | undefined, b: NonFinite | undefined): NonFinite | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { first: Math.min(a.first, b.first), units: a.units + b.units };
}

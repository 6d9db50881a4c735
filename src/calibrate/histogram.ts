// Counts of values in equal bins whose edges lie on absolute powers of two: so that widening only joins whole bins, and histograms of parts
// add up to exactly the histogram of the whole.

/** Most bins of a histogram; at least half as many are in use, unless the values are so close that float32 tells no more apart. */
export const MAX_BINS = 2048;
/** Bins are no narrower than the last of so many bits of the largest value: float32 has 24. */
const RESOLUTION_BITS = 22;
const SMALLEST_EXPONENT = -149;

/** Bin i holds the values in [i · 2^exponent, (i + 1) · 2^exponent). */
export interface Grid {
  readonly exponent: number;
  /** Number of the lowest bin. */
  readonly first: number;
  readonly bins: number;
}

const asFloat = new Float32Array(1);
const asBits = new Int32Array(asFloat.buffer);

/** floor(log2 |value|) of a float32; -127 for 0 and what is subnormal. */
function exponentOf(value: number): number {
  asFloat[0] = value;
  return (((asBits[0] as number) >>> 23) & 0xff) - 127;
}

/** The finest grid that covers [min, max] (float32 numbers) with at most 2048 bins. It depends on these two numbers alone. */
export function gridOf(min: number, max: number): Grid {
  const finest = Math.max(
    SMALLEST_EXPONENT,
    exponentOf(Math.max(Math.abs(min), Math.abs(max))) - RESOLUTION_BITS,
  );
  // Two steps below what the width asks for, hence too fine, or the finest.
  const width = Math.min(max - min, 2 ** 127);
  for (let exponent = Math.max(finest, exponentOf(width) - 13); ; exponent++) {
    const first = Math.floor(min * 2 ** -exponent);
    const bins = Math.floor(max * 2 ** -exponent) - first + 1;
    if (bins <= MAX_BINS) return { exponent, first, bins };
  }
}

export class Histogram implements Grid {
  #exponent = 0;
  #first = 0;
  #counts: Float64Array = new Float64Array(0);

  get exponent(): number {
    return this.#exponent;
  }

  get first(): number {
    return this.#first;
  }

  get bins(): number {
    return this.#counts.length;
  }

  /** Values per bin, whole numbers; empty before any value was seen. */
  get counts(): Float64Array {
    return this.#counts;
  }

  /** Width of a bin. */
  get width(): number {
    return 2 ** this.#exponent;
  }

  static of({ exponent, first }: Grid, counts: Float64Array): Histogram {
    const histogram = new Histogram();
    histogram.#exponent = exponent;
    histogram.#first = first;
    histogram.#counts = counts;
    return histogram;
  }

  /** Widens to the grid of [min, max], which must cover all values counted so far. */
  cover(min: number, max: number): void {
    const grid = gridOf(min, max);
    const same = grid.exponent === this.#exponent && grid.first === this.#first;
    if (same && grid.bins === this.bins) return;
    const before = Histogram.of(this, this.#counts);
    this.#exponent = grid.exponent;
    this.#first = grid.first;
    this.#counts = new Float64Array(grid.bins);
    this.add(before);
  }

  /** Adds counts on a grid that is as fine or finer, and lies within this one. */
  add({ exponent, first, counts }: Histogram): void {
    const scale = 2 ** (exponent - this.#exponent);
    for (let i = 0; i < counts.length; i++) {
      if (counts[i] === 0) continue;
      const at = Math.floor((first + i) * scale) - this.#first;
      this.#counts[at] = (this.#counts[at] as number) + (counts[i] as number);
    }
  }

  /** Counts data[from, to) for each pair of `runs`; the values must lie within the range that is covered. */
  count(data: Float32Array, runs: readonly number[]): void {
    const inverse = 2 ** -this.#exponent;
    const first = this.#first;
    // 32-bit integers throughout, which take half the time.
    const found = new Int32Array(this.bins);
    for (let r = 0; r < runs.length; r += 2) {
      const to = runs[r + 1] as number;
      for (let i = runs[r] as number; i < to; i++) {
        // Not truncated after the subtraction: that would round, and a value just below an edge would change sides.
        const at = (Math.floor((data[i] as number) * inverse) - first) | 0;
        found[at] = ((found[at] as number) + 1) | 0;
      }
    }
    for (let b = 0; b < found.length; b++)
      this.#counts[b] = (this.#counts[b] as number) + (found[b] as number);
  }
}

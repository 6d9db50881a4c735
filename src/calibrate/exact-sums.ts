// Sums of many float64 numbers without any rounding, one sum per channel: so that no order and no split of the summands changes a bit.

/**
 * Summands are multiples of 2^-298: float32 numbers are multiples of 2^-149, so their products, and float64 sums of either, all are.
 * (A fixed-point superaccumulator: Kulisch, "Computer Arithmetic and Validity", 2013.)
 */
export const GRID_EXPONENT = -298;
const TO_GRID = 2 ** -GRID_EXPONENT;
const FROM_GRID = 2 ** GRID_EXPONENT;
/** Digits have 32 bits; held in float64, each takes 2^20 more before its carry must go on. */
const DIGIT = 2 ** 32;
const MOST_ADDS = 2 ** 20;
const WEIGHTS = Float64Array.from({ length: 31 }, (_, j) => 2 ** (32 * j));

const asDouble = new Float64Array(1);
const asWords = new Uint32Array(asDouble.buffer);
/** The word that holds sign and exponent. */
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

export class ExactSums {
  /** Digits by weight 2^(32 j - 298), each a number per channel; weights that never occurred take no memory. */
  readonly #digits: (Float64Array | undefined)[] = [];
  #adds = 0;

  constructor(readonly channels: number) {}

  /** Adds values[c] to the sum of channel c; all to the one sum where there is one channel. Values must be finite, below 2^300. */
  add(values: Float64Array): void {
    const single = this.channels === 1;
    for (let c = 0; c < values.length; c++) {
      this.#addOne(single ? 0 : c, values[c] as number);
      if (single && c > 0) this.#count(1);
    }
    this.#count(1);
  }

  #addOne(channel: number, value: number): void {
    let rest = value * TO_GRID;
    if (rest === 0) return;
    asDouble[0] = rest;
    let j = ((((asWords[HIGH] as number) >>> 20) & 0x7ff) - 1023) >> 5;
    for (; rest !== 0; j--) {
      const weight = WEIGHTS[j] as number;
      const digit = Math.trunc(rest / weight);
      const digits = this.#digit(j);
      digits[channel] = (digits[channel] as number) + digit;
      rest -= digit * weight;
    }
  }

  merge(other: ExactSums): void {
    other.#digits.forEach((from, j) => {
      if (from === undefined) return;
      const to = this.#digit(j);
      for (let c = 0; c < to.length; c++) to[c] = (to[c] as number) + (from[c] as number);
    });
    this.#count(other.#adds);
  }

  /** The sum over all channels, as sums of one channel. */
  folded(): ExactSums {
    return ExactSums.of([this.integers().reduce((sum, n) => sum + n, 0n)]);
  }

  /** The sums in units of 2^-298, one per channel. */
  integers(): bigint[] {
    const sums = Array.from({ length: this.channels }, () => 0n);
    this.#digits.forEach((digits, j) => {
      const shift = BigInt(32 * j);
      digits?.forEach((digit, c) => {
        if (digit !== 0) sums[c] = (sums[c] as bigint) + (BigInt(digit) << shift);
      });
    });
    return sums;
  }

  /** The sums as the nearest float64, one per channel. */
  numbers(): Float64Array {
    return Float64Array.from(this.integers(), (n) => Number(n) * FROM_GRID);
  }

  /** Sums from their integers in units of 2^-298. */
  static of(integers: readonly bigint[]): ExactSums {
    const sums = new ExactSums(integers.length);
    integers.forEach((n, c) => {
      const sign = n < 0n ? -1 : 1;
      let rest = n < 0n ? -n : n;
      for (let j = 0; rest > 0n; j++, rest >>= 32n) {
        const digit = Number(BigInt.asUintN(32, rest));
        if (digit !== 0) sums.#digit(j)[c] = sign * digit;
      }
    });
    sums.#count(1);
    return sums;
  }

  #digit(j: number): Float64Array {
    return (this.#digits[j] ??= new Float64Array(this.channels));
  }

  #count(adds: number): void {
    this.#adds += adds;
    if (this.#adds < MOST_ADDS) return;
    for (let j = 0; j < this.#digits.length; j++) {
      const digits = this.#digits[j];
      digits?.forEach((digit, c) => {
        const carry = Math.trunc(digit / DIGIT);
        if (carry === 0) return;
        digits[c] = digit - carry * DIGIT;
        const next = this.#digit(j + 1);
        next[c] = (next[c] as number) + carry;
      });
    }
    this.#adds = 1;
  }
}

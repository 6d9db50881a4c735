// The range of each of the latest units, from which moving averages are taken: they follow the order of the units, so no running value merges.

/**
 * Units that are kept. Older ones would count in an average that forgets 1 % at each unit (as is usual) by less than 2e-9: below
 * what float32 holds of a range.
 */
export const KEPT_UNITS = 2048;

export interface UnitRange {
  readonly unit: number;
  readonly min: number;
  readonly max: number;
}

/** The KEPT_UNITS units of the highest numbers among all that were added: a set, hence the same in any order of adding and merging. */
export class RecentUnits {
  readonly #units = new Map<number, UnitRange>();

  /** A unit that is there already has its range widened. */
  add({ unit, min, max }: UnitRange): void {
    const before = this.#units.get(unit);
    const range =
      before === undefined
        ? { unit, min, max }
        : { unit, min: Math.min(before.min, min), max: Math.max(before.max, max) };
    this.#units.set(unit, range);
    if (this.#units.size >= 2 * KEPT_UNITS) this.#trim();
  }

  merge(other: RecentUnits): void {
    for (const range of other.ranges()) this.add(range);
  }

  /** In the order of the units. */
  ranges(): UnitRange[] {
    return [...this.#units.values()].toSorted((a, b) => a.unit - b.unit).slice(-KEPT_UNITS);
  }

  #trim(): void {
    const kept = this.ranges();
    this.#units.clear();
    for (const range of kept) this.#units.set(range.unit, range);
  }
}

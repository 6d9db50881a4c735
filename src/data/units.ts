// Units of work: fixed batches of rows, made before they are divided among shards, so that all shards together are the run of one.
import { OptionError } from "../errors.js";

export interface UnitLimits {
  /** Tokens of a batch at most, padding included; a row that is longer by itself is a batch of its own. */
  readonly tokens: number;
  /** Rows of a batch at most. */
  readonly rows: number;
}

/** One process of several that share a run: the `index`-th of `count`, counted from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Indices of rows in batches, shortest rows first; rows of one length keep their order. */
export function unitsOf(lengths: readonly number[], { tokens, rows }: UnitLimits): number[][] {
  const order = lengths.map((_, i) => i);
  order.sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  const units: number[][] = [];
  let unit: number[] = [];
  for (const i of order) {
    // The last row of a unit is its longest, and all are padded to it.
    const padded = (unit.length + 1) * (lengths[i] ?? 0);
    if (unit.length > 0 && (unit.length >= rows || padded > tokens)) {
      units.push(unit);
      unit = [];
    }
    unit.push(i);
  }
  if (unit.length > 0) units.push(unit);
  return units;
}

/**
 * Every `count`-th unit from the `index`-th on: each unit is in exactly one shard, and each shard has short and long ones. Throws OptionError
 * for a shard that there is not.
 */
export function shardOf<T>(units: readonly T[], index: number, count: number): T[] {
  checkShard({ index, count });
  return units.filter((_, i) => i % count === index);
}

/** Throws OptionError for a shard that there is not. */
export function checkShard({ index, count }: Shard): void {
  if (!(Number.isSafeInteger(count) && count > 0 && Number.isSafeInteger(index)))
    throw new OptionError("shard", `${index}/${count}`, "i/n with whole numbers");
  if (index < 0 || index >= count)
    throw new OptionError("shard", `${index}/${count}`, `i/${count} with i from 0 to ${count - 1}`);
}

// Nested lists of numbers, as JSON and Parquet have them, to tensors.
import type { Feeds, RuntimeTensor } from "../runtime/runtime.js";

/** More axes than any input has; deeper lists are something else. */
const MAX_RANK = 16;

/** A list that is no tensor; the message says why. */
export class NotATensor extends Error {}

/** The inputs of a feed by name. Throws NotATensor. */
export function feedsFromLists(inputs: Readonly<Record<string, unknown>>): Feeds {
  const feeds = Object.entries(inputs).map(([name, value]): [string, RuntimeTensor] => {
    try {
      return [name, tensorFromLists(value)];
    } catch (error) {
      if (error instanceof NotATensor) throw new NotATensor(`"${name}" ${error.message}`);
      throw error;
    }
  });
  if (feeds.length === 0) throw new NotATensor('"inputs" names no input');
  return Object.fromEntries(feeds);
}

/**
 * A tensor from nested lists: float64 for numbers, which holds every whole number up to 2^53, bool for truth values alone, int64 for
 * bigints alone. Throws NotATensor where the lists are ragged or hold something else.
 */
function tensorFromLists(value: unknown): RuntimeTensor {
  const dims = dimsOf(value);
  const flat: unknown[] = [];
  collect(value, dims, [], flat);
  if (flat.length > 0 && flat.every((item) => typeof item === "boolean"))
    return { dtype: "bool", dims, data: Uint8Array.from(flat, Number) };
  if (flat.length > 0 && flat.every((item) => typeof item === "bigint"))
    return { dtype: "int64", dims, data: BigInt64Array.from(flat) };
  return { dtype: "float64", dims, data: numbersIn(flat) };
}

/** Sizes along the first items; whether all the others fit is seen when they are collected. */
function dimsOf(value: unknown): number[] {
  const dims: number[] = [];
  for (let item = value; isList(item); item = item[0]) {
    dims.push(item.length);
    if (dims.length > MAX_RANK) throw new NotATensor(`has more than ${MAX_RANK} axes`);
  }
  return dims;
}

function collect(
  value: unknown,
  dims: readonly number[],
  at: readonly number[],
  into: unknown[],
): void {
  const size = dims[at.length];
  if (isList(value) !== (size !== undefined) || (isList(value) && value.length !== size)) {
    const got = isList(value) ? `a list of ${value.length}` : "no list";
    const wanted = size === undefined ? "a number" : `a list of ${size}`;
    throw new NotATensor(`is ragged: ${got} at [${at.join(", ")}] where ${wanted} should be`);
  }
  if (!isList(value)) {
    into.push(value);
    return;
  }
  // Along the last axis items are taken as they are: images have a million of them.
  const last = at.length === dims.length - 1;
  for (let i = 0; i < value.length; i++) {
    const item: unknown = value[i];
    if (last && !isList(item)) into.push(item);
    else collect(item, dims, [...at, i], into);
  }
}

function numbersIn(flat: readonly unknown[]): Float64Array {
  const out = new Float64Array(flat.length);
  for (const [i, item] of flat.entries()) {
    if (typeof item !== "number" && typeof item !== "boolean" && typeof item !== "bigint")
      throw new NotATensor(`holds ${described(item)}, which is no number`);
    out[i] = Number(item);
  }
  return out;
}

function described(item: unknown): string {
  if (typeof item === "string") return JSON.stringify(item.slice(0, 20));
  return item === null || item === undefined ? "null" : `an ${typeof item}`;
}

/** Lists of JSON, and the typed arrays that readers of files give. */
function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

// Sets of units as ascending ranges: what a statistics file covers, what overlaps, what is missing.

/** Units from, from + 1, …, to - 1. */
export type UnitSpan = readonly [from: number, to: number];
/** Ascending, apart from each other, none empty. */
export type UnitSpans = readonly UnitSpan[];

/** Any spans as ascending ones, joined where they touch or overlap. */
export function spansOf(spans: Iterable<UnitSpan>): UnitSpan[] {
  const result: [number, number][] = [];
  for (const [from, to] of [...spans].toSorted((a, b) => a[0] - b[0])) {
    if (to <= from) continue;
    const last = result.at(-1);
    if (last === undefined || last[1] < from) result.push([from, to]);
    else last[1] = Math.max(last[1], to);
  }
  return result;
}

/** The units that are in both. */
export function overlapOf(a: UnitSpans, b: UnitSpans): UnitSpan[] {
  const both: UnitSpan[] = [];
  for (let i = 0, j = 0; ;) {
    const [left, right] = [a[i], b[j]];
    if (left === undefined || right === undefined) return both;
    const span: UnitSpan = [Math.max(left[0], right[0]), Math.min(left[1], right[1])];
    if (span[0] < span[1]) both.push(span);
    if (left[1] < right[1]) i++;
    else j++;
  }
}

/** The units of 0 … total - 1 that are not in `spans`. */
export function missingOf(spans: UnitSpans, total: number): UnitSpan[] {
  const missing: UnitSpan[] = [];
  let next = 0;
  for (const [from, to] of [...spans, [total, total] as const]) {
    if (next < from) missing.push([next, from]);
    next = Math.max(next, to);
  }
  return missing;
}

/** How many units there are. */
export function unitsIn(spans: UnitSpans): number {
  return spans.reduce((sum, [from, to]) => sum + to - from, 0);
}

export function hasUnit(spans: UnitSpans, unit: number): boolean {
  return overlapOf(spans, [[unit, unit + 1]]).length > 0;
}

/** Adds one unit; quick where it follows the last one, as it does in a run. */
export function withUnit(spans: UnitSpans, unit: number): UnitSpans {
  const last = spans.at(-1);
  return last?.[1] === unit
    ? spans.with(-1, [last[0], unit + 1])
    : spansOf([...spans, [unit, unit + 1]]);
}

/** `0–15, 20 and 3 more ranges`: inclusive, as a person counts. */
export function spansText(spans: UnitSpans): string {
  const shown = spans
    .slice(0, 8)
    .map(([from, to]) => (to === from + 1 ? from : `${from}–${to - 1}`));
  const more = spans.length - shown.length;
  return `${shown.join(", ")}${more === 0 ? "" : ` and ${more} more ranges`}`;
}

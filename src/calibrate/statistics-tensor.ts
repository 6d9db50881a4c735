// One tensor's statistics as an entry of the file, and back. What can be computed from the rest (min, max, the grid) is there to be read by
// people, and is held against the rest when it comes in: so damage shows.
import * as v from "valibot";
import { ExactSums, GRID_EXPONENT } from "./exact-sums.js";
import { gridOf, Histogram, MAX_BINS } from "./histogram.js";
import {
  packCounts,
  packFloats,
  packIntegers,
  unpackCounts,
  unpackFloats,
  unpackIntegers,
} from "./packed.js";
import { KEPT_UNITS, RecentUnits } from "./recent-units.js";
import { TensorStatistics, type Extremes } from "./tensor-statistics.js";
import { overlapOf, spansOf, type UnitSpans } from "./units.js";

const integer = v.pipe(v.number(), v.safeInteger());
const whole = v.pipe(integer, v.minValue(0));
const finite = v.pipe(v.number(), v.finite());
const base64 = v.pipe(v.string(), v.base64());
const extremesSchema = v.strictObject({ min: base64, max: base64 });
/** No sum needs more: 2^300, in steps of 2^-298. */
const integersSchema = v.strictObject({
  exponent: v.pipe(integer, v.minValue(GRID_EXPONENT), v.maxValue(302)),
  bytes: v.pipe(whole, v.minValue(1), v.maxValue(80)),
  data: base64,
});

export const tensorSchema = v.strictObject({
  name: v.string(),
  /** Null for a dim that varies, and for a rank that does. */
  shape: v.optional(v.nullable(v.array(v.nullable(whole)))),
  count: whole,
  nonFinite: v.optional(v.strictObject({ first: whole, units: v.pipe(whole, v.minValue(1)) })),
  /** There unless the count is 0. */
  seen: v.optional(
    v.strictObject({
      min: finite,
      max: finite,
      even: extremesSchema,
      odd: extremesSchema,
      sums: integersSchema,
      squares: integersSchema,
      histogram: v.strictObject({
        exponent: integer,
        first: integer,
        bytes: v.pipe(whole, v.minValue(1), v.maxValue(7)),
        data: base64,
      }),
      recent: v.strictObject({
        units: v.array(v.strictTuple([whole, whole])),
        min: base64,
        max: base64,
      }),
    }),
  ),
});
type TensorEntry = v.InferOutput<typeof tensorSchema>;
type Seen = NonNullable<TensorEntry["seen"]>;

export function writeTensor(name: string, tensor: TensorStatistics): TensorEntry {
  const { shape, count, nonFinite } = tensor;
  return {
    name,
    ...(shape === undefined ? {} : { shape: shape === null ? null : [...shape] }),
    count,
    ...(nonFinite === undefined ? {} : { nonFinite }),
    ...(count === 0 ? {} : { seen: writeSeen(tensor) }),
  };
}

function writeSeen(tensor: TensorStatistics): Seen {
  const { histogram, min, max } = tensor;
  const [even, odd] = tensor.halves.map((half) => ({
    min: packFloats(half.min),
    max: packFloats(half.max),
  })) as [Seen["even"], Seen["odd"]];
  const recent = tensor.recent.ranges();
  return {
    min,
    max,
    even,
    odd,
    sums: packIntegers(tensor.sums.integers()),
    squares: packIntegers(tensor.squares.integers()),
    histogram: {
      exponent: histogram.exponent,
      first: histogram.first,
      ...packCounts(histogram.counts),
    },
    recent: {
      units: spansOf(recent.map(({ unit }) => [unit, unit + 1])).map(([from, to]) => [from, to]),
      min: packFloats(Float32Array.from(recent, (range) => range.min)),
      max: packFloats(Float32Array.from(recent, (range) => range.max)),
    },
  };
}

/** The statistics, or what is wrong with them. Nothing is allocated by a size that the file claims but does not hold. */
export function readTensor(entry: TensorEntry, covered: UnitSpans): TensorStatistics | string {
  const { shape, count, nonFinite, seen } = entry;
  if (nonFinite !== undefined && !within([[nonFinite.first, nonFinite.first + 1]], covered))
    return `unit ${nonFinite.first} is not covered`;
  if ((seen === undefined) !== (count === 0)) return `a count of ${count} with other content`;
  if (seen === undefined) {
    const empty = new TensorStatistics();
    empty.see(shape);
    if (nonFinite !== undefined) empty.reject(nonFinite.first, nonFinite.units);
    return empty;
  }
  const channels = shape?.length === 0 ? 1 : (shape?.at(-1) ?? 1);
  const halves = readHalves(seen, channels);
  if (halves === undefined) return `the extremes are not those of ${channels} channels`;
  const [sums, squares] = [unpackIntegers(seen.sums), unpackIntegers(seen.squares)];
  if (sums?.length !== channels || squares?.length !== channels || count % channels !== 0)
    return `the sums are not those of ${channels} channels`;
  if (shape === undefined) return "the shape is missing";
  const histogram = readHistogram(seen, count);
  if (histogram === undefined) return "the histogram does not fit min, max and count";
  const recent = readRecent(seen, covered);
  if (recent === undefined) return "the ranges of units do not fit the units";
  const tensor = new TensorStatistics({
    shape,
    count,
    nonFinite,
    halves,
    sums: ExactSums.of(sums),
    squares: ExactSums.of(squares),
    histogram,
    recent,
  });
  return tensor.min === seen.min && tensor.max === seen.max
    ? tensor
    : "min or max is not that of the channels";
}

function readHalves({ even, odd }: Seen, channels: number): [Extremes, Extremes] | undefined {
  const [a, b] = [even, odd].map(({ min, max }): Extremes | undefined => {
    const [low, high] = [unpackFloats(min), unpackFloats(max)];
    if (low?.length !== channels || high?.length !== channels) return undefined;
    const empty = low.every((x) => x === Infinity) && high.every((x) => x === -Infinity);
    const ordered = low.every((x, c) => x > -Infinity && x <= (high[c] as number));
    const finite = high.every((x) => x < Infinity);
    return empty || (ordered && finite) ? { min: low, max: high } : undefined;
  });
  return a === undefined || b === undefined ? undefined : [a, b];
}

function readHistogram({ histogram, min, max }: Seen, count: number): Histogram | undefined {
  const counts = unpackCounts(histogram);
  if (counts === undefined || counts.length > MAX_BINS || min > max) return undefined;
  if (Math.fround(min) !== min || Math.fround(max) !== max) return undefined;
  const grid = gridOf(min, max);
  const fits =
    grid.exponent === histogram.exponent &&
    grid.first === histogram.first &&
    grid.bins === counts.length &&
    counts.reduce((sum, n) => sum + n, 0) === count;
  return fits ? Histogram.of(grid, counts) : undefined;
}

function readRecent({ recent }: Seen, covered: UnitSpans): RecentUnits | undefined {
  const spans: UnitSpans = recent.units;
  const length = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  const [low, high] = [unpackFloats(recent.min), unpackFloats(recent.max)];
  if (length > KEPT_UNITS || low?.length !== length || high?.length !== length) return undefined;
  if (!within(spans, covered)) return undefined;
  const units = new RecentUnits();
  let i = 0;
  for (const [from, to] of spans)
    for (let unit = from; unit < to; unit++, i++) {
      const range = { unit, min: low[i] as number, max: high[i] as number };
      if (!(range.min > -Infinity && range.min <= range.max && range.max < Infinity))
        return undefined;
      units.add(range);
    }
  return units;
}

/** Whether ascending spans lie within others. */
function within(spans: UnitSpans, covered: UnitSpans): boolean {
  return JSON.stringify(overlapOf(covered, spans)) === JSON.stringify(spans);
}

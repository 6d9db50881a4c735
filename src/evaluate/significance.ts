// How sure a metric is, and whether two models differ by more than chance: intervals and paired tests over the rows of an evaluation.
import type { MetricChangeReport, MetricReport, TestReport } from "../report/report.js";
import { quantile } from "../math/quantile.js";
import { randomFor } from "../math/random.js";
import type { Measure } from "../tasks/measure.js";

/** Of all intervals. */
export const CONFIDENCE = 0.95;
/** The 97.5 % point of the normal distribution. */
const Z = 1.959963984540054;
const RESAMPLES = 1000;
/** Resamples become fewer, yet no fewer than 200, where a thousand would touch more rows than this. */
const ROWS_TOUCHED = 2e8;
const FEWEST = 200;
/** Rows that differ, up to which McNemar's test is exact. */
const EXACT_UP_TO = 25;

/** Wilson's score interval (1927) of `hits` of `count`. */
export function wilson(hits: number, count: number): [low: number, high: number] {
  const p = hits / count;
  const z2 = Z * Z;
  const centre = p + z2 / (2 * count);
  const half = Z * Math.sqrt((p * (1 - p) + z2 / (4 * count)) / count);
  const scale = 1 + z2 / count;
  const low = hits === 0 ? 0 : (centre - half) / scale;
  return [low, hits === count ? 1 : (centre + half) / scale];
}

/** How often each of `count` rows is in each resample. The same seed gives the same resamples, whatever the model. */
export function* resamples(count: number, seed: number): Generator<Uint32Array> {
  const draw = randomFor("metric resamples", seed);
  const times = Math.max(FEWEST, Math.min(RESAMPLES, Math.floor(ROWS_TOUCHED / count)));
  const weights = new Uint32Array(count);
  for (let k = 0; k < times; k++) {
    weights.fill(0);
    for (let i = 0; i < count; i++) {
      const at = draw.whole(count);
      weights[at] = (weights[at] ?? 0) + 1;
    }
    yield weights;
  }
}

/** Percentiles of the values that are numbers; null where fewer than nine of ten are. */
function percentiles(values: readonly number[]): Pick<MetricReport, "low" | "high"> {
  const numbers = values.filter((value) => !Number.isNaN(value));
  if (numbers.length < 0.9 * values.length || numbers.length === 0)
    return { low: null, high: null };
  const tail = (1 - CONFIDENCE) / 2;
  return { low: quantile(numbers, tail), high: quantile(numbers, (1 + CONFIDENCE) / 2) };
}

/** Metrics of one model with their intervals; `count` rows. */
export function metricReports(
  measures: readonly Measure[],
  count: number,
  seed: number,
): MetricReport[] {
  const others = measures.filter(({ hits }) => hits === undefined);
  const drawn = others.map((): number[] => []);
  if (others.length > 0 && count > 1)
    for (const weights of resamples(count, seed))
      for (const [i, measure] of others.entries()) drawn[i]?.push(measure.value(weights));
  return measures.map((measure) => reportOf(measure, drawn[others.indexOf(measure)] ?? []));
}

function reportOf(measure: Measure, drawn: readonly number[]): MetricReport {
  const { name, hits, better } = measure;
  const value = measure.value();
  if (hits === undefined)
    return { name, value, ...percentiles(drawn), interval: "bootstrap", better };
  const [low, high] = wilson(
    hits.reduce((sum, hit) => sum + hit, 0),
    hits.length,
  );
  return { name, value, low, high, interval: "wilson", better };
}

/** The same metrics of two models on the same `count` rows. */
export function metricChanges(
  reference: readonly Measure[],
  candidate: readonly Measure[],
  count: number,
  seed: number,
): MetricChangeReport[] {
  const pairs = reference.map((left, i) => {
    const right = candidate[i];
    if (right === undefined) throw new Error("internal: models with different metrics");
    return { left, right, values: [[], [], []] as [number[], number[], number[]] };
  });
  if (count > 1)
    for (const weights of resamples(count, seed))
      for (const { left, right, values } of pairs) {
        const [a, b] = [left.value(weights), right.value(weights)];
        values[0].push(a);
        values[1].push(b);
        values[2].push(b - a);
      }
  return pairs.map(({ left, right, values: [a, b, differences] }) => ({
    name: left.name,
    reference: reportOf(left, a),
    candidate: reportOf(right, b),
    difference: right.value() - left.value(),
    ...percentiles(differences),
    test:
      left.hits === undefined || right.hits === undefined
        ? bootstrapTest(differences)
        : mcnemar(left.hits, right.hits),
  }));
}

/** Twice the smaller share of resamples on one side of no difference, the sample itself counted among them. */
function bootstrapTest(differences: readonly number[]): TestReport {
  const known = differences.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return { name: "paired-bootstrap", p: null };
  const below = known.filter((value) => value <= 0).length;
  const above = known.filter((value) => value >= 0).length;
  const p = Math.min(1, (2 * (Math.min(below, above) + 1)) / (known.length + 1));
  return { name: "paired-bootstrap", p };
}

/** McNemar's test (1947) of two models that are right or wrong on the same rows. */
export function mcnemar(reference: Uint8Array, candidate: Uint8Array): TestReport {
  let [onlyReference, onlyCandidate] = [0, 0];
  for (const [i, hit] of reference.entries()) {
    if (hit > (candidate[i] ?? 0)) onlyReference++;
    if (hit < (candidate[i] ?? 0)) onlyCandidate++;
  }
  const counts = { onlyReference, onlyCandidate };
  const differing = onlyReference + onlyCandidate;
  if (differing <= EXACT_UP_TO)
    return {
      name: "mcnemar-exact",
      p: bothTails(Math.min(onlyReference, onlyCandidate), differing),
      ...counts,
    };
  // Edwards' correction; equal counts are no difference at all.
  const distance = Math.max(0, Math.abs(onlyReference - onlyCandidate) - 1);
  return {
    name: "mcnemar-continuity",
    p: erfc(Math.sqrt((distance * distance) / differing / 2)),
    ...counts,
  };
}

/** Probability that of `count` fair coins at most `few` show one side, or at most `few` the other. */
function bothTails(few: number, count: number): number {
  let term = 2 ** -count;
  let sum = 0;
  for (let k = 0; k <= few; k++) {
    sum += term;
    term *= (count - k) / (k + 1);
  }
  return Math.min(1, 2 * sum);
}

/** The complementary error function of x ≥ 0: its series near 0, its continued fraction beyond. */
export function erfc(x: number): number {
  if (x < 2) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 120; k > 0; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

// What calibration saw of each activation beside the range that its codes span, with the error of rounding to them.
import { decibels } from "../math/decibels.js";
import { expectedError } from "./mean-square.js";
import type { TensorStatistics } from "./tensor-statistics.js";
import { erf } from "../ops/kernels/erf.js";
import { affineOf } from "../quant/affine.js";
import { operandOf, type Operand } from "../quant/operands.js";
import type { ActivationSpec, Plan, Range } from "../quant/plan.js";
import type { Site } from "../quant/sites.js";
import type { ActivationReport } from "../report/report.js";

/** Statistics of an activation, and the scales that it was divided by since, per channel. */
export interface Seen {
  readonly tensor: TensorStatistics;
  readonly scales?: Float32Array | undefined;
}

const BINS = 40;
/** What a second term leaves of the square of the error: its 255 steps span one and a half of the first's. */
const SECOND_TERM = (1.5 / 255) ** 2;
const OPERANDS: readonly Operand[] = ["activation", "second"];

/**
 * A report for each activation that has a range found beforehand, in the order of the sites that read them; sites that share one share its
 * report. Activations that nobody has seen (statistics lack them) are left out.
 */
export function rangeReports(
  sites: readonly Site[],
  plan: Plan,
  seenOf: (activation: string) => Seen | undefined,
): ActivationReport[] {
  const reports = new Map<string, ActivationReport>();
  for (const site of sites) {
    const sitePlan = plan.sites.get(site.name);
    if (sitePlan?.quantize !== true) continue;
    for (const operand of OPERANDS) {
      const name = operandOf(site, operand)?.name;
      const spec = sitePlan[operand];
      if (name === undefined || spec === undefined || spec.range === "dynamic") continue;
      const key = JSON.stringify([name, operand, spec]);
      const known = reports.get(key);
      const seen = seenOf(name);
      if (known !== undefined) reports.set(key, { ...known, sites: [...known.sites, site.name] });
      else if (seen !== undefined && seen.tensor.count > 0)
        reports.set(key, {
          name,
          sites: [site.name],
          operand,
          ...reportOf(spec, seen),
        });
    }
  }
  return [...reports.values()];
}

function reportOf(
  spec: ActivationSpec,
  seen: Seen,
): Omit<ActivationReport, "name" | "sites" | "operand"> {
  const span = spanOf(spec);
  const { tensor, scales } = seen;
  const summary = scales === undefined ? asSeen(tensor, span) : rescaled(tensor, scales, span);
  const noise = summary.noise * (spec.terms === 2 ? SECOND_TERM : 1);
  const { lowest, highest, outside, histogram } = summary;
  return {
    dtype: spec.dtype,
    ...(spec.terms === undefined ? {} : { terms: spec.terms }),
    count: tensor.count,
    lowest,
    highest,
    min: span.min,
    max: span.max,
    outside,
    snrDb: decibels(summary.signal, noise),
    histogram,
  };
}

interface Span extends Range {
  readonly symmetric: boolean;
}

/** What the codes reach: the range, widened to where 0 has a code of its own. */
function spanOf(spec: ActivationSpec): Span {
  const { scale, zeroPoint } = affineOf(spec);
  const symmetric = spec.dtype === "int8" && spec.symmetric === true;
  const [low, high] = spec.dtype === "uint8" ? [0, 255] : [symmetric ? -127 : -128, 127];
  return { min: scale * (low - zeroPoint), max: scale * (high - zeroPoint), symmetric };
}

interface Summary {
  readonly lowest: number;
  readonly highest: number;
  readonly outside: number;
  /** Means of squares: of the values, of the error. */
  readonly signal: number;
  readonly noise: number;
  readonly histogram: readonly number[];
}

function asSeen(tensor: TensorStatistics, span: Span): Summary {
  const { min: lowest, max: highest } = tensor;
  const { counts, first, width } = tensor.histogram;
  const histogram = Array.from({ length: BINS }, () => 0);
  let outside = 0;
  for (const [i, count] of counts.entries()) {
    if (count === 0) continue;
    const from = Math.max((first + i) * width, lowest);
    const to = Math.min((first + i + 1) * width, highest);
    add(histogram, binOf((from + to) / 2, lowest, highest), count);
    outside += count * (1 - shareWithin(from, to, span));
  }
  return {
    lowest,
    highest,
    outside: Math.min(1, outside / tensor.count),
    signal: mean(tensor.meanSquares()),
    noise: expectedError(tensor, span, { bits: 8, symmetric: span.symmetric }),
    histogram,
  };
}

/**
 * Of an activation whose channels were divided by scales since it was seen, extremes and squares are known, and each channel's values are
 * taken as spread normally about its mean. Ranges of such activations leave nothing out.
 */
function rescaled(tensor: TensorStatistics, scales: Float32Array, span: Span): Summary {
  const { min, max } = tensor.extremes();
  const [means, squares] = [tensor.means(), tensor.meanSquares()];
  const channels = [...scales].map((scale, c) => {
    const [at, square] = [means[c] ?? 0, squares[c] ?? 0];
    return {
      low: (min[c] ?? 0) / scale,
      high: (max[c] ?? 0) / scale,
      mean: at / scale,
      square: square / scale ** 2,
      deviation: Math.sqrt(Math.max(0, square - at * at)) / scale,
    };
  });
  let [lowest, highest] = [0, 0];
  for (const { low, high } of channels)
    [lowest, highest] = [Math.min(lowest, low), Math.max(highest, high)];
  const rows = tensor.count / channels.length;
  const shares = Array.from({ length: BINS }, () => 0);
  const edge = (bin: number) => lowest + ((highest - lowest) * bin) / BINS;
  for (const { low, high, mean: center, deviation } of channels) {
    const below = (x: number) => normalBelow(Math.min(high, Math.max(low, x)), center, deviation);
    const [start, whole] = [below(low), below(high) - below(low)];
    if (!(whole > 0)) {
      add(shares, binOf(center, lowest, highest), rows);
      continue;
    }
    let before = start;
    const last = binOf(high, lowest, highest);
    for (let bin = binOf(low, lowest, highest); bin <= last; bin++) {
      const upTo = below(edge(bin + 1));
      add(shares, bin, (rows * (upTo - before)) / whole);
      before = upTo;
    }
  }
  const steps = span.symmetric ? 254 : 255;
  return {
    lowest,
    highest,
    outside: 0,
    signal: mean(Float64Array.from(channels, ({ square }) => square)),
    noise: ((span.max - span.min) / steps) ** 2 / 12,
    histogram: shares.map((share) => Math.round(share)),
  };
}

function normalBelow(x: number, center: number, deviation: number): number {
  if (!(deviation > 0)) return x < center ? 0 : 1;
  return (1 + erf((x - center) / (deviation * Math.SQRT2))) / 2;
}

function binOf(value: number, lowest: number, highest: number): number {
  const at = Math.floor(((value - lowest) / (highest - lowest)) * BINS);
  return Number.isNaN(at) ? 0 : Math.min(BINS - 1, Math.max(0, at));
}

function add(counts: number[], bin: number, count: number): void {
  counts[bin] = (counts[bin] ?? 0) + count;
}

function shareWithin(from: number, to: number, { min, max }: Range): number {
  if (to === from) return from >= min && from <= max ? 1 : 0;
  return Math.max(0, Math.min(to, max) - Math.max(from, min)) / (to - from);
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

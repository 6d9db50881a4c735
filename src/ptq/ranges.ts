// From statistics to a model and ranges ready for a static plan: smoothed where it pays, each range with room for values that nobody has seen.
import { estimateRange, rangeGrowth, type Estimator } from "../calibrate/estimators.js";
import type { Source } from "../calibrate/clipping.js";
import type { Statistics } from "../calibrate/statistics-file.js";
import type { TensorStatistics } from "../calibrate/tensor-statistics.js";
import type { Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { ChannelFacts } from "./smoothing/scales.js";
import { smooth } from "./smoothing/smooth.js";
import { operandOf } from "../quant/operands.js";
import type { Range } from "../quant/plan.js";
import { findSites, type Site } from "../quant/sites.js";
import type { LoweringOptions } from "../targets/target.js";
import type { Seen } from "../calibrate/range-reports.js";
import { LONE_HEADROOM, MOST_HEADROOM } from "./defaults.js";

export interface Means {
  readonly rows: number;
  /** [K]. */
  readonly means: Float64Array;
}

export interface Ranged {
  /** Sites of the model as it is now. */
  readonly sites: readonly Site[];
  readonly rangeOf: NonNullable<LoweringOptions["rangeOf"]>;
  /** Rows and mean per channel of an activation, as it is now. */
  readonly meansOf: (activation: Value) => Means | undefined;
  /** Activations that were smoothed. */
  readonly smoothed: number;
  /** What an activation was before it was smoothed. */
  readonly sourceOf: (activation: string) => Source;
  /** What was seen of an activation; undefined where nothing was, or nothing finite. */
  readonly seenOf: (activation: string) => Seen | undefined;
}

export interface RangeOptions {
  readonly smooth: boolean;
  readonly estimator: Estimator;
}

/** Of activations' codes. */
const BITS = 8;

/**
 * Smooths `model` in place (where asked), and gives the range of every operand, for codes of the form that its target has. Min-max works on extremes per channel, which smoothing
 * rescales. The other estimators need a histogram, which is kept per tensor: they work on activations as they are, and nothing is smoothed. They
 * choose what to leave out, so that their ranges get no room.
 */
export function rangesFrom(
  model: Model,
  sites: readonly Site[],
  { tensors, units }: Statistics,
  { smooth: smoothed, estimator }: RangeOptions,
): Ranged {
  const minMax = estimator.kind === "min-max";
  // Smoothing makes ranges tight; with a single batch nobody knows by how much they will be passed.
  const alone = units < 2;
  const seen = (name: string): TensorStatistics | undefined => {
    const tensor = tensors.get(name);
    return tensor === undefined || tensor.count === 0 || tensor.nonFinite !== undefined
      ? undefined
      : tensor;
  };
  const { scales } =
    smoothed && minMax && !alone
      ? smooth(model, sites, (name) => factsOf(seen(name)))
      : { scales: new Map<string, { source: string; scales: Float32Array }>() };
  const ranges = new Map<string, Range>();
  const rangeOf = (name: string, symmetric: boolean): Range | undefined => {
    const smoothing = scales.get(name);
    const tensor = seen(smoothing?.source ?? name);
    if (tensor === undefined) return undefined;
    if (minMax) return rangeWithRoom(tensor, alone, smoothing?.scales);
    const range = estimateRange(tensor, estimator, { bits: BITS, symmetric });
    return range.max > range.min ? range : undefined;
  };
  return {
    sites: scales.size === 0 ? sites : findSites(model),
    smoothed: scales.size,
    sourceOf(name) {
      const { source, scales: own } = scales.get(name) ?? { source: name, scales: undefined };
      return { name: source, scales: own };
    },
    seenOf(name) {
      const smoothing = scales.get(name);
      const tensor = seen(smoothing?.source ?? name);
      return tensor && { tensor, scales: smoothing?.scales };
    },
    meansOf({ name }) {
      const smoothing = scales.get(name);
      const tensor = seen(smoothing?.source ?? name);
      if (tensor?.channels === undefined) return undefined;
      const means = tensor.means();
      return {
        rows: tensor.count / tensor.channels,
        means: means.map((mean, k) => mean / (smoothing?.scales[k] ?? 1)),
      };
    },
    rangeOf(site, operand = "activation", { symmetric = false } = {}) {
      const name = operandOf(site, operand)?.name;
      if (name === undefined) return undefined;
      const key = `${symmetric} ${name}`;
      const range = ranges.get(key) ?? rangeOf(name, symmetric);
      if (range !== undefined) ranges.set(key, range);
      return range;
    },
  };
}

function factsOf(tensor: TensorStatistics | undefined): ChannelFacts | undefined {
  if (tensor?.channels === undefined) return undefined;
  const { min, max } = tensor.extremes();
  const rows = tensor.count / tensor.channels;
  return {
    lowest: Float64Array.from(min, (v) => Math.min(0, v)),
    highest: Float64Array.from(max, (v) => Math.max(0, v)),
    meanSquares: tensor.squares.numbers().map((sum) => sum / rows),
  };
}

/** All that was seen, widened by as much as the whole sample went beyond its halves; of a lone batch nothing is known of that. */
function rangeWithRoom(
  tensor: TensorStatistics,
  alone: boolean,
  scales?: Float32Array,
): Range | undefined {
  const { min, max } = tensor.extremes();
  let [low, high] = [0, 0];
  for (let c = 0; c < min.length; c++) {
    const scale = scales?.[c] ?? 1;
    low = Math.min(low, (min[c] as number) / scale);
    high = Math.max(high, (max[c] as number) / scale);
  }
  if (!(high > low)) return undefined;
  const room = alone ? LONE_HEADROOM : Math.min(MOST_HEADROOM, rangeGrowth(tensor, scales));
  return { min: low * room, max: high * room };
}

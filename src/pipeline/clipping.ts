// Whether data stays within the ranges of a plan: the share of values beyond them, per site, as the float model computes them.
import { detectMask, tapModel, type Tap } from "../calibrate/taps.js";
import { visitTaps, type CalibrationUnit, type SeenTap } from "../calibrate/visit.js";
import { exportModel } from "../graph/export.js";
import type { Model } from "../graph/model.js";
import type { Plan, Range } from "../quant/plan.js";
import type { Site } from "../quant/sites.js";
import type { ClippedReport } from "../report/report.js";
import type { Host, OpenedModel } from "./host.js";

/** Beyond this share a site is a warning. */
const MUCH = 0.001;

/** Where a graph is listened to for values that are laid out [batch, length, …] in some way. */
export function tapsOf({ graph }: Model, names: readonly string[]): Tap[] {
  const mask = graph.inputs.find(({ rank, dtype }) => rank === 2 && dtype !== "float32");
  return names.map((name) => ({
    name,
    masked: detectMask(graph.value(name)?.shape, mask?.shape),
  }));
}

/**
 * For each site with a range found beforehand, the share of its activation's values outside that range, in the order of the sites. `model`: as
 * the plan's sites were found in it, smoothed and not lowered yet; it is left as it was. Padding does not count. Sites that cannot be listened
 * to (inside bodies) are left out. Throws RuntimeFailedError, StatisticsError, and the reason of an abort.
 */
export async function clippedShares(
  host: Host,
  file: OpenedModel,
  model: Model,
  planned: { readonly sites: readonly Site[]; readonly plan: Plan },
  batches: Iterable<CalibrationUnit>,
  signal?: AbortSignal,
): Promise<ClippedReport[]> {
  const ranged = planned.sites.flatMap((site) => rangedIn(site, planned.plan));
  const activations = new Map(ranged.map(({ activation, range }) => [activation, range]));
  const own = model.graph.outputs.length;
  const untapped = new Set(tapModel(model, activations.keys()).map(({ name }) => name));
  const taps = tapsOf(
    model,
    [...activations.keys()].filter((name) => !untapped.has(name)),
  );
  if (taps.length === 0) return [];
  const tallies = new Map(taps.map(({ name }) => [name, { outside: 0, count: 0 }]));
  const temporary = host.writeTemporary(exportModel(model), file.external);
  model.graph.truncateOutputs(own);
  try {
    const run = { runtime: host.runtime, model: temporary.path, taps, batches, signal };
    await visitTaps(run, (_, seen) => {
      for (const tap of seen) {
        const [range, tally] = [activations.get(tap.name), tallies.get(tap.name)];
        if (range !== undefined && tally !== undefined) count(tap, range, tally);
      }
    });
  } finally {
    temporary.release();
  }
  return ranged.flatMap(({ site, activation }) => {
    const tally = tallies.get(activation);
    if (tally === undefined || tally.count === 0) return [];
    return [{ site, share: tally.outside / tally.count }];
  });
}

/** What the user must not overlook. */
export function clippingWarnings(clipped: readonly ClippedReport[]): string[] {
  const much = clipped.filter(({ share }) => share > MUCH);
  const [worst] = much.toSorted((a, b) => b.share - a.share);
  if (worst === undefined) return [];
  const many = much.length === 1 ? "1 site leaves" : `${much.length} sites leave`;
  return [
    `${many} the calibrated range on rows of the data that calibration has not seen: ${percent(worst.share)} of the values at ` +
      `"${worst.site}", where at most ${percent(MUCH)} is expected. Calibrate with more rows, or with texts like those that will come.`,
  ];
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(2)} %`;
}

interface Ranged {
  readonly site: string;
  readonly activation: string;
  readonly range: Range;
}

function rangedIn(site: Site, { sites }: Plan): Ranged[] {
  const plan = sites.get(site.name);
  if (site.kind !== "linear" || plan?.quantize !== true) return [];
  const range = plan.activation?.range;
  if (range === undefined || range === "dynamic") return [];
  return [{ site: site.name, activation: site.activation.name, range }];
}

function count(
  { data, rows }: SeenTap,
  { min, max }: Range,
  tally: { outside: number; count: number },
): void {
  const size = rows === undefined ? data.length : data.length / rows.length;
  for (let at = 0, row = 0; at < data.length; at += size, row++) {
    if (rows?.[row] === 0) continue;
    let outside = 0;
    for (let i = at; i < at + size; i++) {
      const x = data[i] as number;
      // A NaN is in no range.
      if (!(x >= min && x <= max)) outside++;
    }
    tally.outside += outside;
    tally.count += size;
  }
}

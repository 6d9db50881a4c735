// Whether data stays within the ranges of a plan: the share of values beyond them, per operand of a site, as the float model computes them.
import { detectMask, addObservers, type Observer } from "./observers.js";
import { visitObserved, type CalibrationUnit, type ObservedTensor } from "./visit.js";
import { MUCH_CLIPPED } from "./defaults.js";
import type { Model } from "../graph/model.js";
import { maskInput } from "../inputs/mask.js";
import { isProbability, operandOf, OPERANDS, UNIT, type Operand } from "../quant/operands.js";
import type { ActivationSpec, Plan, Range } from "../quant/plan.js";
import type { Site } from "../quant/sites.js";
import type { ClippedReport } from "../report/report.js";
import type { Run } from "../host/run.js";
import { withTemporarySession } from "../host/sessions.js";
import type { Session } from "../runtime/runtime.js";

/** A model that is listened to. */
export interface Observed {
  readonly session: Session;
  readonly observers: readonly Observer[];
}

/** Listens to the values of these names that can be listened to, while `work` lasts. `model` gets them as outputs. Throws RuntimeFailedError. */
export function withObserved<T>(
  { host, file }: Run,
  model: Model,
  names: readonly string[],
  work: (observed: Observed) => Promise<T>,
): Promise<T> {
  const unobserved = new Set(addObservers(model, names).map(({ name }) => name));
  const heard = names.filter((name) => !unobserved.has(name));
  const observers = observersOf(model, heard);
  return withTemporarySession(host, model, file.external, (session) =>
    work({ session, observers }),
  );
}

/** Where a graph is listened to for values that are laid out [batch, length, …] in some way. */
function observersOf({ graph }: Model, names: readonly string[]): Observer[] {
  const mask = maskInput(graph);
  return names.map((name) => ({
    name,
    masked: detectMask(graph.value(name)?.shape, mask?.shape),
  }));
}

/** What a value is before it was smoothed: the value of that name, divided by the scales of its channels. */
export interface Source {
  readonly name: string;
  readonly scales?: Float32Array | undefined;
}

export interface ClippingOptions {
  /** In the graph that is listened to. */
  readonly sourceOf: (activation: string) => Source;
  readonly batches: Iterable<CalibrationUnit>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * For each operand of a site with a range found beforehand, the share of its values outside what its codes hold, in the order of the sites.
 * `observed`: the float model that was calibrated. Padding does not count. Operands that cannot be listened to (inside bodies), and probabilities,
 * which are in their range by nature, are left out. Throws RuntimeFailedError, StatisticsError, and the reason of an abort.
 */
export async function clippedShares(
  { session, observers: all }: Observed,
  { sites, plan }: { readonly sites: readonly Site[]; readonly plan: Plan },
  { sourceOf, batches, signal }: ClippingOptions,
): Promise<ClippedReport[]> {
  const ranged = sites.flatMap((site) => rangedIn(site, plan));
  // Sites that read the same value with the same range are counted once.
  const tallies = new Map(
    ranged.map((each) => [keyOf(each), new Tally(sourceOf(each.name), each.range)]),
  );
  const names = new Set([...tallies.values()].map(({ name }) => name));
  const observers = all.filter(({ name }) => names.has(name));
  if (observers.length === 0) return [];
  await visitObserved({ session, observers, batches, signal }, (_, seen) => {
    const byName = new Map(seen.map((observer) => [observer.name, observer]));
    for (const tally of tallies.values()) tally.add(byName.get(tally.name));
  });
  return ranged.flatMap((each) => {
    const { outside = 0, count = 0 } = tallies.get(keyOf(each)) ?? {};
    const { site, operand } = each;
    return count === 0 ? [] : [{ site, operand, share: outside / count }];
  });
}

/** What the user must not overlook. */
export function clippingWarnings(clipped: readonly ClippedReport[]): string[] {
  const much = clipped.filter(({ share }) => share > MUCH_CLIPPED);
  const [worst] = much.toSorted((a, b) => b.share - a.share);
  if (worst === undefined) return [];
  const count = new Set(much.map(({ site }) => site)).size;
  const many = count === 1 ? "1 site leaves" : `${count} sites leave`;
  return [
    `${many} the calibrated range on rows of the data that calibration has not seen: ${percent(worst.share)} of the values at ` +
      `"${worst.site}", where at most ${percent(MUCH_CLIPPED)} is expected. Calibrate with more rows, or with texts like those that will come.`,
  ];
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(2)} %`;
}

interface Ranged {
  readonly site: string;
  readonly operand: Operand;
  /** Of the value. */
  readonly name: string;
  readonly range: Range;
}

function rangedIn(site: Site, { sites }: Plan): Ranged[] {
  const plan = sites.get(site.name);
  if (plan?.quantize !== true) return [];
  return OPERANDS.flatMap((operand) => {
    const [value, spec] = [operandOf(site, operand), plan[operand]];
    const range = spec && heldBy(spec);
    if (value === undefined || range === undefined) return [];
    const within = range.min <= UNIT.min && range.max >= UNIT.max;
    return within && isProbability(value)
      ? []
      : [{ site: site.name, operand, name: value.name, range }];
  });
}

/** What codes of that form represent: symmetric ones as much on either side as on the larger. */
function heldBy({ dtype, symmetric, range }: ActivationSpec): Range | undefined {
  if (range === "dynamic") return undefined;
  if (symmetric !== true) return range;
  if (dtype === "uint8") return { min: 0, max: range.max };
  const reach = Math.max(-range.min, range.max);
  return { min: -reach, max: reach };
}

function keyOf({ name, range: { min, max } }: Ranged): string {
  return `${min} ${max} ${name}`;
}

class Tally {
  readonly name: string;
  readonly #scales: Float32Array;
  readonly #range: Range;
  outside = 0;
  count = 0;

  constructor({ name, scales = Float32Array.of(1) }: Source, range: Range) {
    this.name = name;
    this.#scales = scales;
    this.#range = range;
  }

  add(seen: ObservedTensor | undefined): void {
    if (seen === undefined) return;
    const { data, rows } = seen;
    const { min, max } = this.#range;
    const scales = this.#scales;
    const size = rows === undefined ? data.length : data.length / rows.length;
    for (let at = 0, row = 0; at < data.length; at += size, row++) {
      if (rows?.[row] === 0) continue;
      for (let i = at; i < at + size; i++) {
        const x = (data[i] as number) / (scales[i % scales.length] as number);
        // A NaN is in no range.
        if (!(x >= min && x <= max)) this.outside++;
      }
      this.count += size;
    }
  }
}

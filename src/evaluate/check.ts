// Runs the float model and its new quantized model on the same inputs, and says how close their outputs are.
import { RuntimeFailedError } from "../errors.js";
import type { Model } from "../graph/model.js";
import type { CheckReport } from "../report/report.js";
import { syntheticFeeds } from "../inputs/dummy-inputs.js";
import type { Host } from "../host/host.js";
import { withSession } from "../host/sessions.js";
import type { Feeds, RuntimeTensor, Session } from "../runtime/runtime.js";
import { agreementOf, realsOf, signalToNoise } from "./snr.js";

/** batch × length: one short text, and a few longer ones. */
const SHAPES = [
  { batch: 1, length: 16 },
  { batch: 3, length: 40 },
];

/** Quantized models that do their work stand well above: collapsed ones reach 0 to 9 dB. */
const LOW_SNR_DB = 15;
const LOW_AGREEMENT = 0.9;
/** What saturated sums may cost before they are worth a word. */
const SATURATION_DB = 1;

/** Inputs of two shapes (one, where the model fixes it), made up for the float model. */
export function checkFeeds(model: Model, seed: number): Feeds[] {
  const feeds = SHAPES.map((shape) => syntheticFeeds(model, { ...shape, seed: seed + 1 }));
  return shapeOf(feeds[0]) === shapeOf(feeds[1]) ? feeds.slice(0, 1) : feeds;
}

export interface CheckInputs {
  readonly feeds: readonly Feeds[];
  /** Where they come from. */
  readonly inputs: CheckReport["inputs"];
  /** Run the quantized model with the CPU's own sums of 8-bit products as well. */
  readonly saturated?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What the float model gives for the inputs that it runs with. */
export interface Expected {
  readonly feeds: readonly Feeds[];
  readonly results: readonly Readonly<Record<string, RuntimeTensor>>[];
}

/**
 * Loads both models in turn, so that memory holds one at a time. Throws as `expectedOf` and `checkAgainst`, and RuntimeFailedError, with the
 * model's path, where one of the models does not load.
 */
export async function checkQuantized(
  host: Pick<Host, "runtime">,
  reference: string,
  candidate: string,
  inputs: CheckInputs,
): Promise<CheckReport> {
  inputs.signal?.throwIfAborted();
  const expected = await withSession(host, reference, (session) => expectedOf(session, inputs));
  inputs.signal?.throwIfAborted();
  const report = await withSession(host, candidate, (session) =>
    checkAgainst(expected, session, inputs),
  );
  return withSaturated(host, candidate, expected, inputs, report);
}

/** The report with how close `candidate` is by this CPU's own sums, where that is asked for. Loads it once more then. Throws as `checkAgainst`. */
export async function withSaturated(
  host: Pick<Host, "runtime">,
  candidate: string,
  expected: Expected,
  inputs: CheckInputs,
  report: CheckReport,
): Promise<CheckReport> {
  if (inputs.saturated !== true) return report;
  const { snrDb } = await withSession(
    host,
    candidate,
    (session) => checkAgainst(expected, session, inputs),
    { integerSums: "native" },
  );
  return snrDb === undefined ? report : { ...report, saturatedSnrDb: snrDb };
}

/**
 * What the float model gives for the inputs. Such that it does not run with (an export may be tied to the shape it was traced with) do not count, as
 * long as others are left. Throws RuntimeFailedError where it runs with none. `outputs`: default all.
 */
export async function expectedOf(
  session: Session,
  { feeds, signal }: CheckInputs,
  outputs?: readonly string[],
): Promise<Expected> {
  const all = await outputsOf(session, feeds, signal, outputs);
  const run = all.flatMap((results, i) => {
    const feed = feeds[i];
    return results instanceof RuntimeFailedError || feed === undefined ? [] : [{ feed, results }];
  });
  const [first] = all;
  if (run.length === 0 && first instanceof RuntimeFailedError) throw first;
  return { feeds: run.map(({ feed }) => feed), results: run.map(({ results }) => results) };
}

/** Holds a quantized model against what the float model gave. Throws RuntimeFailedError where it does not run with one of these inputs. */
export async function checkAgainst(
  { feeds, results: expected }: Expected,
  session: Session,
  { inputs, signal }: CheckInputs,
): Promise<CheckReport> {
  const got = await outputsOf(session, feeds, signal);
  const outputs = Object.keys(expected[0] ?? {}).map((name) => {
    const pairs = expected.map((results, i): [RuntimeTensor, RuntimeTensor] => {
      const other = got[i];
      if (other instanceof RuntimeFailedError) throw other;
      const [left, right] = [results[name], other?.[name]];
      if (left === undefined || right === undefined)
        throw new Error(`internal: output "${name}" is missing`);
      return [left, right];
    });
    return compare(name, pairs, inputs === "data");
  });
  const ratios = outputs.flatMap(({ snrDb }) => (snrDb === undefined ? [] : [snrDb]));
  return {
    inputs,
    shapes: inputs === "data" ? [`${feeds.length} rows`] : feeds.map(shapeOf),
    outputs,
    ...(ratios.length === 0 ? {} : { snrDb: Math.min(...ratios) }),
  };
}

/** What the user must not overlook. */
export function checkWarnings({ outputs, inputs, ...ratios }: CheckReport): string[] {
  const on = inputs === "data" ? "rows of the data" : "dummy inputs";
  const far = outputs.flatMap(({ name, snrDb, agreement }) => {
    if (snrDb === undefined && agreement === undefined)
      return [
        `Output "${name}" was not compared: on ${on} it is empty, or holds nothing but NaN, infinities or filler. ` +
          (inputs === "data"
            ? "Give other data (--data)."
            : "Give data that it says something about (--data)."),
      ];
    return farWarnings(name, on, snrDb, agreement);
  });
  return [...far, ...saturationWarnings(ratios)];
}

function farWarnings(name: string, on: string, snrDb = Infinity, agreement = 1): string[] {
  if (snrDb < LOW_SNR_DB)
    return [
      `Output "${name}" is far from the float model's: ${snrDb.toFixed(1)} dB signal-to-noise on ${on}, ` +
        `where at least ${LOW_SNR_DB} is expected. Measure the accuracy on data of yours before using this quantized model.`,
    ];
  if (agreement < LOW_AGREEMENT)
    return [
      `Output "${name}" equals the float model's in ${(agreement * 100).toFixed(0)} % of its elements only, on ${on}. ` +
        `Measure the accuracy on data of yours before using this quantized model.`,
    ];
  return [];
}

function saturationWarnings({
  snrDb,
  saturatedSnrDb,
}: Pick<CheckReport, "snrDb" | "saturatedSnrDb">): string[] {
  if (snrDb === undefined || saturatedSnrDb === undefined) return [];
  if (!(snrDb - saturatedSnrDb > SATURATION_DB)) return [];
  return [
    "On this CPU (x86-64 without VNNI) sums of 8-bit products saturate: " +
      `${saturatedSnrDb.toFixed(1)} dB here where other CPUs have ${snrDb.toFixed(1)} dB. ` +
      "--reduce-range makes weights whose sums do not.",
  ];
}

async function outputsOf(
  session: Session,
  feeds: readonly Feeds[],
  signal: AbortSignal | undefined,
  outputs?: readonly string[],
): Promise<(Record<string, RuntimeTensor> | RuntimeFailedError)[]> {
  const results: (Record<string, RuntimeTensor> | RuntimeFailedError)[] = [];
  for (const feed of feeds) {
    signal?.throwIfAborted();
    results.push(await session.run(feed, outputs && { outputs }).catch(failureOf));
  }
  return results;
}

function failureOf(error: unknown): RuntimeFailedError {
  if (error instanceof RuntimeFailedError) return error;
  throw error;
}

/** Rows of data count together, since one alone may have next to no signal; of dummy inputs the worst counts. Neither figure where there was nothing to compare. */
function compare(
  name: string,
  pairs: readonly (readonly [RuntimeTensor, RuntimeTensor])[],
  together: boolean,
): CheckReport["outputs"][number] {
  const reals = pairs.flatMap(([left, right]) => {
    const [reference, candidate] = [realsOf(left), realsOf(right)];
    return reference === undefined || candidate === undefined ? [] : [{ reference, candidate }];
  });
  const isReal = reals.length > 0;
  const each = isReal
    ? together
      ? [signalToNoise(...reals)]
      : reals.map((pair) => signalToNoise(pair))
    : pairs.map(([left, right]) => agreementOf(left, right));
  const told = each.filter((value) => !Number.isNaN(value));
  if (told.length === 0) return { name };
  return { name, [isReal ? "snrDb" : "agreement"]: Math.min(...told) };
}

/** `3 × 40`: the dims of the first input, which is the widest that there is to tell. */
function shapeOf(feeds: Feeds | undefined): string {
  return Object.values(feeds ?? {})[0]?.dims.join(" × ") ?? "none";
}

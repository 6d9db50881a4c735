// Runs the float model and its new edition on the same inputs, and says how close their outputs are.
import { RuntimeFailedError } from "../errors.js";
import type { Model } from "../graph/model.js";
import type { CheckReport } from "../report/report.js";
import { syntheticFeeds } from "../inputs/dummy-inputs.js";
import type { Feeds, Runtime, RuntimeTensor, SessionOptions } from "../runtime/runtime.js";
import { agreementOf, realsOf, signalToNoise } from "./snr.js";

/** batch × length: one short text, and a few longer ones. */
const SHAPES = [
  { batch: 1, length: 16 },
  { batch: 3, length: 40 },
];

/** Editions that do their work stand well above: collapsed ones reach 0 to 9 dB. */
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
  /** Run the edition with the CPU's own sums of 8-bit products as well. */
  readonly saturated?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads both models in turn, so that memory holds one at a time. Inputs that the float model itself does not run with (an export may be tied to
 * the shape it was traced with) do not count, as long as others are left. Throws RuntimeFailedError, with the model's path, where one of
 * the models does not load, the float one runs with none of the inputs, or its edition with one of those that are left.
 */
export async function checkEdition(
  runtime: Runtime,
  reference: string,
  candidate: string,
  { feeds, inputs, saturated = false, signal }: CheckInputs,
): Promise<CheckReport> {
  const expected = await outputsOf(runtime, reference, feeds, {}, signal);
  const run = expected.flatMap((results, i) => {
    const feed = feeds[i];
    return results instanceof RuntimeFailedError || feed === undefined ? [] : [{ feed, results }];
  });
  const [first] = expected;
  if (run.length === 0 && first instanceof RuntimeFailedError) throw first;
  const used = run.map(({ feed }) => feed);
  const comparedWith = async (options: SessionOptions): Promise<CheckReport["outputs"]> => {
    const got = await outputsOf(runtime, candidate, used, options, signal);
    return Object.keys(run[0]?.results ?? {}).map((name) => {
      const pairs = run.map(({ results }, i): [RuntimeTensor, RuntimeTensor] => {
        const other = got[i];
        if (other instanceof RuntimeFailedError) throw other;
        const [left, right] = [results[name], other?.[name]];
        if (left === undefined || right === undefined)
          throw new Error(`internal: output "${name}" is missing`);
        return [left, right];
      });
      return compare(name, pairs, inputs === "data");
    });
  };
  const outputs = await comparedWith({});
  const snrDb = lowest(outputs);
  const saturatedSnrDb = saturated
    ? lowest(await comparedWith({ integerSums: "native" }))
    : undefined;
  return {
    inputs,
    shapes: inputs === "data" ? [`${used.length} rows`] : used.map(shapeOf),
    outputs,
    ...(snrDb === undefined ? {} : { snrDb }),
    ...(saturatedSnrDb === undefined ? {} : { saturatedSnrDb }),
  };
}

function lowest(outputs: CheckReport["outputs"]): number | undefined {
  const ratios = outputs.flatMap(({ snrDb }) => (snrDb === undefined ? [] : [snrDb]));
  return ratios.length === 0 ? undefined : Math.min(...ratios);
}

/** What the user must not overlook. */
export function checkWarnings({ outputs, inputs, ...ratios }: CheckReport): string[] {
  const on = inputs === "data" ? "rows of the data" : "made-up inputs";
  const far = outputs.flatMap(({ name, snrDb = Infinity, agreement = 1 }) => {
    if (snrDb < LOW_SNR_DB)
      return [
        `Output "${name}" is far from the float model's: ${snrDb.toFixed(1)} dB signal-to-noise on ${on}, ` +
          `where at least ${LOW_SNR_DB} is expected. Measure the accuracy on data of yours before using this edition.`,
      ];
    if (agreement < LOW_AGREEMENT)
      return [
        `Output "${name}" equals the float model's in ${(agreement * 100).toFixed(0)} % of its elements only, on ${on}. ` +
          `Measure the accuracy on data of yours before using this edition.`,
      ];
    return [];
  });
  return [...far, ...saturationWarnings(ratios)];
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
  runtime: Runtime,
  path: string,
  feeds: readonly Feeds[],
  options: SessionOptions,
  signal: AbortSignal | undefined,
): Promise<(Record<string, RuntimeTensor> | RuntimeFailedError)[]> {
  signal?.throwIfAborted();
  const session = await runtime.load(path, { spinning: "running", ...options });
  try {
    const results: (Record<string, RuntimeTensor> | RuntimeFailedError)[] = [];
    for (const feed of feeds) {
      signal?.throwIfAborted();
      results.push(await session.run(feed).catch(failureOf));
    }
    return results;
  } finally {
    await session.release();
  }
}

function failureOf(error: unknown): RuntimeFailedError {
  if (error instanceof RuntimeFailedError) return error;
  throw error;
}

/** Rows of data count together, since one alone may have next to no signal; of made-up inputs the worst counts. */
function compare(
  name: string,
  pairs: readonly (readonly [RuntimeTensor, RuntimeTensor])[],
  together: boolean,
): CheckReport["outputs"][number] {
  const reals = pairs.flatMap(([left, right]) => {
    const [reference, candidate] = [realsOf(left), realsOf(right)];
    return reference === undefined || candidate === undefined ? [] : [{ reference, candidate }];
  });
  if (reals.length > 0) {
    const snrDb = together
      ? signalToNoise(...reals)
      : Math.min(...reals.map((pair) => signalToNoise(pair)));
    return { name, snrDb };
  }
  return {
    name,
    agreement: Math.min(...pairs.map(([left, right]) => agreementOf(left, right))),
  };
}

/** `3 × 40`: the dims of the first input, which is the widest that there is to tell. */
function shapeOf(feeds: Feeds | undefined): string {
  return Object.values(feeds ?? {})[0]?.dims.join(" × ") ?? "none";
}

// The run: the float model over a sample, unit by unit, each tapped value into its statistics. Only one unit's tensors are held at a time.
import { StatisticsError } from "../errors.js";
import { float16ToFloat32 } from "../onnx/float.js";
import type { Feeds, ModelSource, Runtime, RuntimeTensor, Session } from "../runtime/runtime.js";
import { observe } from "./observe.js";
import type { Statistics } from "./statistics-file.js";
import { rowMask, type BatchMask, type Tap } from "./taps.js";
import { TensorStatistics } from "./tensor-statistics.js";
import { hasUnit, withUnit } from "./units.js";

/** A batch of the sample. */
export interface CalibrationUnit {
  /** Its number in the whole sample, whatever shard it is in. */
  readonly unit: number;
  readonly feeds: Feeds;
  /** batch × length, 0 for padding; without one every row counts. */
  readonly mask?: Uint8Array | undefined;
}

export interface CalibrationRun {
  readonly runtime: Runtime;
  /** The model with its taps as outputs (`tapModel`), or where it is. */
  readonly model: ModelSource;
  readonly threads?: number | undefined;
  readonly taps: readonly Tap[];
  readonly batches: AsyncIterable<CalibrationUnit> | Iterable<CalibrationUnit>;
  /**
   * Where the run begins: `emptyStatistics`, or those of a run that was cut off. They are taken over: the run adds to their tensors.
   * Units that they cover already are passed over.
   */
  readonly statistics: Statistics;
  /** Called after each unit, when the statistics hold the unit wholly: `statisticsToJson` then gives a checkpoint. */
  readonly onUnit?: ((unit: number, statistics: Statistics) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Statistics of all taps over all units. Runs over parts of the units, merged, or cut off and taken up again, give the same bytes as one run
 * (as far as the runtime's results do not change from run to run). Throws RuntimeFailedError, StatisticsError for a tap that is not real or
 * does not fit its mask, and the reason of an abort.
 */
export async function calibrate(run: CalibrationRun): Promise<Statistics> {
  const { signal, onUnit, taps, threads } = run;
  let { statistics } = run;
  signal?.throwIfAborted();
  const targets = taps.map((tap) => ({ tap, tensor: tensorOf(statistics, tap) }));
  const session = await run.runtime.load(run.model, {
    spinning: "running",
    ...(threads === undefined ? {} : { threads }),
  });
  try {
    const outputs = outputsOf(session, taps);
    for await (const { unit, feeds, mask } of run.batches) {
      signal?.throwIfAborted();
      if (hasUnit(statistics.covered, unit)) continue;
      requireUnit(unit, statistics.units);
      const batchMask = mask && { data: mask, dims: maskDims(mask, feeds) };
      const results = await session.run(feeds, { outputs });
      // All of them are read before the first is counted: a unit counts wholly or not at all.
      const seen = targets.map(({ tap, tensor }) => ({
        tensor,
        ...readTap(tap, results[tap.name] ?? feeds[tap.name], batchMask),
      }));
      for (const { tensor, data, dims, rows } of seen) observe(tensor, data, dims, rows, unit);
      statistics = { ...statistics, covered: withUnit(statistics.covered, unit) };
      await onUnit?.(unit, statistics);
    }
  } finally {
    await session.release();
  }
  return statistics;
}

function tensorOf({ tensors }: Statistics, { name }: Tap): TensorStatistics {
  const tensor = tensors.get(name);
  if (tensor !== undefined) return tensor;
  throw new StatisticsError(
    `they have no tensor "${name}"`,
    "those of a run with the same taps",
    "Begin the run anew, or use the same target and plan as before.",
  );
}

/** Taps that are no inputs. */
function outputsOf(session: Session, taps: readonly Tap[]): string[] {
  const inputs = new Set(session.inputs.map(({ name }) => name));
  return taps.map(({ name }) => name).filter((name) => !inputs.has(name));
}

function requireUnit(unit: number, units: number): void {
  if (!Number.isSafeInteger(unit) || unit < 0 || unit >= units)
    throw new Error(`internal: unit ${unit} is none of ${units}`);
}

/** Batch and length are those of the feed that the mask covers: ids, or a mask of the model's own. */
function maskDims(mask: Uint8Array, feeds: Feeds): BatchMask["dims"] {
  for (const { dims } of Object.values(feeds)) {
    const [batch = 0, length = 0] = dims;
    if (dims.length === 2 && batch * length === mask.length) return [batch, length];
  }
  throw new Error(`internal: a mask of ${mask.length} fits no feed [batch, length]`);
}

interface SeenTap {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  readonly rows: Uint8Array | undefined;
}

function readTap(
  { name, masked }: Tap,
  tensor: RuntimeTensor | undefined,
  mask: BatchMask | undefined,
): SeenTap {
  const data = tensor && realsOf(tensor);
  if (tensor === undefined || data === undefined)
    throw new StatisticsError(
      `"${name}" has ${tensor === undefined ? "no value" : `elements of type ${tensor.dtype}`}`,
      "a tensor of real numbers",
      "Calibrate the inputs of the sites that are to be quantized only.",
    );
  const rows = rowMask(masked, tensor.dims, mask);
  if (typeof rows === "string")
    throw new StatisticsError(
      `"${name}" is ${rows}`,
      "the layout that its shape promises, so that padding can be left out",
      "Calibrate with batches of one text, or export the model anew with dynamic axes.",
    );
  return { data, dims: tensor.dims, rows };
}

function realsOf({ dtype, data }: RuntimeTensor): Float32Array | undefined {
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  return dtype === "float16" && data instanceof Uint16Array ? float16ToFloat32(data) : undefined;
}

// Runs a tapped model unit by unit, and shows each tapped value with its rows of padding told apart. Only one unit's tensors are held at a time.
import { StatisticsError } from "../errors.js";
import { withSession } from "../host/sessions.js";
import { float16ToFloat32 } from "../onnx/float.js";
import type { Feeds, ModelSource, Runtime, RuntimeTensor, Session } from "../runtime/runtime.js";
import { batchMaskOf, rowMask, type BatchMask, type Tap } from "./taps.js";

/** A batch of the sample. */
export interface CalibrationUnit {
  /** Its number in the whole sample, whatever shard it is in. */
  readonly unit: number;
  readonly feeds: Feeds;
  /** batch × length, 0 for padding; without one every row counts. */
  readonly mask?: Uint8Array | undefined;
}

export interface TappedBatches {
  readonly taps: readonly Tap[];
  readonly batches: AsyncIterable<CalibrationUnit> | Iterable<CalibrationUnit>;
  readonly signal?: AbortSignal | undefined;
}

/** The model with its taps as outputs (`tapModel`): loaded already, or to be loaded for the run. */
export type TappedModel =
  | { readonly session: Session }
  | { readonly runtime: Runtime; readonly model: ModelSource; readonly threads?: number };

export type TappedRun = TappedBatches & TappedModel;

export interface SeenTap {
  readonly name: string;
  readonly data: Float32Array;
  readonly dims: readonly number[];
  /** One byte per row, 0 for those that do not count. */
  readonly rows: Uint8Array | undefined;
}

/**
 * Shows the values of all taps in each unit, all of them read before the first is shown: a unit is seen wholly or not at all. Units for which
 * `skip` is true are not run. Throws RuntimeFailedError, StatisticsError for a tap that is not real or does not fit its mask, and the reason
 * of an abort.
 */
export async function visitTaps(
  run: TappedRun,
  visit: (unit: number, seen: readonly SeenTap[]) => void | Promise<void>,
  skip: (unit: number) => boolean = () => false,
): Promise<void> {
  const { taps, batches, signal } = run;
  signal?.throwIfAborted();
  await withTapped(run, async (session) => {
    const outputs = outputsOf(session, taps);
    for await (const { unit, feeds, mask } of batches) {
      signal?.throwIfAborted();
      if (skip(unit)) continue;
      const batchMask = batchMaskOf(mask, feeds);
      const results = await session.run(feeds, { outputs });
      await visit(
        unit,
        taps.map((tap) => readTap(tap, results[tap.name] ?? feeds[tap.name], batchMask)),
      );
    }
  });
}

function withTapped(run: TappedModel, work: (session: Session) => Promise<void>): Promise<void> {
  if ("session" in run) return work(run.session);
  const { model, threads } = run;
  return withSession(run, model, work, threads === undefined ? {} : { threads });
}

/** Taps that are no inputs. */
function outputsOf(session: Session, taps: readonly Tap[]): string[] {
  const inputs = new Set(session.inputs.map(({ name }) => name));
  return taps.map(({ name }) => name).filter((name) => !inputs.has(name));
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
  return { name, data, dims: tensor.dims, rows };
}

function realsOf({ dtype, data }: RuntimeTensor): Float32Array | undefined {
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return Float32Array.from(data);
  return dtype === "float16" && data instanceof Uint16Array ? float16ToFloat32(data) : undefined;
}

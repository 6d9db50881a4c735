// Runs a observed model unit by unit, and shows each observed value with its rows of padding told apart. Only one unit's tensors are held at a time.
import { StatisticsError } from "../errors.js";
import { withSession } from "../host/sessions.js";
import { float16ToFloat32 } from "../onnx/float.js";
import type { Feeds, ModelSource, Runtime, RuntimeTensor, Session } from "../runtime/runtime.js";
import { batchMaskOf, rowMask, type BatchMask, type Observer } from "./observers.js";

/** A batch of the sample. */
export interface CalibrationUnit {
  /** Its number in the whole sample, whatever shard it is in. */
  readonly unit: number;
  readonly feeds: Feeds;
  /** batch × length, 0 for padding; without one every row counts. */
  readonly mask?: Uint8Array | undefined;
}

export interface ObservedBatches {
  readonly observers: readonly Observer[];
  readonly batches: AsyncIterable<CalibrationUnit> | Iterable<CalibrationUnit>;
  readonly signal?: AbortSignal | undefined;
}

/** The model with its observers as outputs (`addObservers`): loaded already, or to be loaded for the run. */
export type ObservedModel =
  | { readonly session: Session }
  | { readonly runtime: Runtime; readonly model: ModelSource; readonly threads?: number };

export type ObservedRun = ObservedBatches & ObservedModel;

export interface ObservedTensor {
  readonly name: string;
  readonly data: Float32Array;
  readonly dims: readonly number[];
  /** One byte per row, 0 for those that do not count. */
  readonly rows: Uint8Array | undefined;
}

/**
 * Shows the values of all observers in each unit, all of them read before the first is shown: a unit is seen wholly or not at all. Units for which
 * `skip` is true are not run. Throws RuntimeFailedError, StatisticsError for an observer that is not real or does not fit its mask, and the reason
 * of an abort.
 */
export async function visitObserved(
  run: ObservedRun,
  visit: (unit: number, seen: readonly ObservedTensor[]) => void | Promise<void>,
  skip: (unit: number) => boolean = () => false,
): Promise<void> {
  const { observers, batches, signal } = run;
  signal?.throwIfAborted();
  await withObserved(run, async (session) => {
    const outputs = outputsOf(session, observers);
    for await (const { unit, feeds, mask } of batches) {
      signal?.throwIfAborted();
      if (skip(unit)) continue;
      const batchMask = batchMaskOf(mask, feeds);
      const results = await session.run(feeds, { outputs });
      await visit(
        unit,
        observers.map((observer) =>
          readObserved(observer, results[observer.name] ?? feeds[observer.name], batchMask),
        ),
      );
    }
  });
}

function withObserved(
  run: ObservedModel,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  if ("session" in run) return work(run.session);
  const { model, threads } = run;
  return withSession(run, model, work, threads === undefined ? {} : { threads });
}

/** Observers that are no inputs. */
function outputsOf(session: Session, observers: readonly Observer[]): string[] {
  const inputs = new Set(session.inputs.map(({ name }) => name));
  return observers.map(({ name }) => name).filter((name) => !inputs.has(name));
}

function readObserved(
  { name, masked }: Observer,
  tensor: RuntimeTensor | undefined,
  mask: BatchMask | undefined,
): ObservedTensor {
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

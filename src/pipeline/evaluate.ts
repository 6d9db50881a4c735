// Runs a model over records: batches by length in, a prediction per record and the task's metrics out.
import { batchesByLength } from "../data/batches.js";
import { feedsOf, firstToken, fixedSizes } from "../data/feeds.js";
import type { DataRecord } from "../data/records.js";
import type { Encoded, Tokenizer } from "../data/tokenize.js";
import { float16ToFloat32 } from "../onnx/float.js";
import type { RuntimeTensor, Session } from "../runtime/runtime.js";
import type { Metrics, OutputRow, RowValues, Task } from "../tasks/task.js";

export interface EvaluateOptions {
  /** Rows per run; default 32. */
  readonly batchSize?: number;
  /** Tokens per row at most; default: what the model's folder admits. */
  readonly maxLength?: number | undefined;
  /** Number of the first token's position, for models that take positions. */
  readonly positionOffset?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch with the rows done so far. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

export interface Predicted<Prediction> {
  /** In the order of the records. */
  readonly predictions: readonly Prediction[];
  /** Rows of which tokens had to be cut off. */
  readonly truncated: number;
}

export interface Evaluated<Prediction> extends Predicted<Prediction> {
  readonly metrics: Metrics;
  readonly total: number;
}

/**
 * Predicts each record. Throws what the task throws for records that are not its kind, InputNotFilledError, RuntimeFailedError, and the
 * signal's reason when it is aborted.
 */
export async function predict<Prediction>(
  session: Session,
  tokenizer: Tokenizer,
  task: Task<Prediction>,
  records: readonly DataRecord[],
  options: EvaluateOptions = {},
): Promise<Predicted<Prediction>> {
  const fixed = fixedSizes(session.inputs);
  const longest = Math.min(
    options.maxLength ?? Infinity,
    tokenizer.limit ?? Infinity,
    fixed.length ?? Infinity,
  );
  const inputs = records.map((record) => task.inputs(record));
  const rows = inputs.flat().map((input) => tokenizer.encode(input, longest));
  const batches = batchesByLength(
    rows.map((row) => row.ids.length),
    fixed.batch ?? options.batchSize ?? 32,
  );
  // A record whose rows have all come is predicted at once: outputs per token are too large to keep.
  const places = inputs.flatMap((list, record) => list.map((_, i) => ({ record, i })));
  const waiting = inputs.map((list): (OutputRow | undefined)[] => list.map(() => undefined));
  const predictions: Prediction[] = [];
  let done = 0;
  for (const batch of batches) {
    options.signal?.throwIfAborted();
    const outputs = await runBatch(session, tokenizer, pick(rows, batch), options);
    for (const [i, output] of outputs.entries()) {
      const place = places[batch[i] ?? -1];
      const list = waiting[place?.record ?? -1];
      if (place === undefined || list === undefined)
        throw new Error("internal: a row without its record");
      list[place.i] = output;
      if (!isComplete(list)) continue;
      predictions[place.record] = task.predict(list);
      list.length = 0;
    }
    done += batch.length;
    options.onProgress?.({ done, total: rows.length });
  }
  return { predictions, truncated: rows.filter((row) => row.cut > 0).length };
}

/** Predicts each record and holds it against its label. Throws as `predict`, and LabelError. */
export async function evaluateModel<Prediction, Reference>(
  session: Session,
  tokenizer: Tokenizer,
  task: Task<Prediction, Reference>,
  records: readonly DataRecord[],
  options: EvaluateOptions = {},
): Promise<Evaluated<Prediction>> {
  // Labels first: a wrong one should not show after an hour.
  const references = records.map((record) => task.reference(record));
  const predicted = await predict(session, tokenizer, task, records, options);
  const scored = predicted.predictions.map((prediction, i) => ({
    prediction,
    reference: references[i] as Reference,
  }));
  return { ...predicted, metrics: task.metrics(scored), total: records.length };
}

function pick<T>(items: readonly T[], indices: readonly number[]): T[] {
  return indices.map((i) => items[i]).filter((item) => item !== undefined);
}

function isComplete(list: readonly (OutputRow | undefined)[]): list is readonly OutputRow[] {
  return list.every((row) => row !== undefined);
}

async function runBatch(
  session: Session,
  tokenizer: Tokenizer,
  rows: readonly Encoded[],
  options: EvaluateOptions,
): Promise<OutputRow[]> {
  const { padding } = tokenizer;
  const { positionOffset } = options;
  const feeds = feedsOf(session.inputs, rows, {
    padding,
    ...(positionOffset === undefined ? {} : { positionOffset }),
  });
  const length = Object.values(feeds)[0]?.dims[1] ?? 0;
  const results = await session.run(feeds);
  const outputs = Object.entries(results).flatMap(([name, tensor]): [string, Floats][] => {
    const floats = floatsOf(tensor);
    return floats === undefined ? [] : [[name, floats]];
  });
  return rows.map((row, b) => ({
    words: row.words,
    outputs: Object.fromEntries(
      outputs.map(([name, output]) => [
        name,
        rowOf(output, b, firstToken(row, length, padding), row.ids.length, length),
      ]),
    ),
  }));
}

interface Floats {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Outputs of real numbers as float32; undefined for others. */
function floatsOf({ dtype, dims, data }: RuntimeTensor): Floats | undefined {
  if (data instanceof Float32Array) return { dims, data };
  if (dtype === "float16" && data instanceof Uint16Array)
    return { dims, data: float16ToFloat32(data) };
  return data instanceof Float64Array ? { dims, data: Float32Array.from(data) } : undefined;
}

/** Row `b` of an output; an axis of tokens (the first after the batch) is cut to the row's own tokens. */
function rowOf(
  { dims, data }: Floats,
  b: number,
  first: number,
  tokens: number,
  length: number,
): RowValues {
  const [, ...rest] = dims;
  const size = rest.reduce((product, dim) => product * dim, 1);
  const row = data.subarray(b * size, (b + 1) * size);
  if (rest.length < 2 || rest[0] !== length) return { dims: rest, data: row };
  const width = size / length;
  return {
    dims: [tokens, ...rest.slice(1)],
    data: row.subarray(first * width, (first + tokens) * width),
  };
}

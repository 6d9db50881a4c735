// Runs models over records: batches by length in, a prediction per record and the task's metrics out.
import { firstToken } from "../data/feeds.js";
import { placeOf, type DataRecord } from "../data/records.js";
import type { Tokenizer } from "../data/tokenize.js";
import { RuntimeFailedError } from "../errors.js";
import { float16ToFloat32 } from "../onnx/float.js";
import type { Feeds, RuntimeTensor, Session } from "../runtime/runtime.js";
import { valuesOf, type Measure } from "../tasks/measure.js";
import type { Metrics, OutputRow, RowValues, Task } from "../tasks/task.js";
import { KeptAnswers } from "./answers.js";
import { feedsFor, rowsFor, type EvaluationRow, type EvaluationRows } from "./rows.js";

/** A model that is asked about rows. */
export type Asked = Session | KeptAnswers;

export interface EvaluateOptions {
  /** Rows per run; default 32. */
  readonly batchSize?: number | undefined;
  /** Tokens per row at most; default: what the model's folder admits. */
  readonly maxLength?: number | undefined;
  /** Number of the first token's position, for models that take positions; default: the tokenizer's. */
  readonly positionOffset?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch with the rows done so far. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

export interface Predicted<Prediction> {
  /** In the order of the records. */
  readonly predictions: readonly Prediction[];
  /** What the model read; a record may be several rows. */
  readonly rows: number;
  /** Rows of which tokens had to be cut off. */
  readonly truncated: number;
  /** Records for which the model gave a NaN. */
  readonly notNumbers: readonly DataRecord[];
}

export interface Evaluated<Prediction> extends Predicted<Prediction> {
  readonly measures: readonly Measure[];
  readonly metrics: Metrics;
  readonly total: number;
}

/**
 * Predicts each record. Throws what the task throws for records that are not its kind, InputNotFilledError, RuntimeFailedError (with the
 * record that the model fails on), and the signal's reason when it is aborted.
 */
export async function predict<Prediction>(
  model: Asked,
  tokenizer: Tokenizer | undefined,
  task: Task<Prediction>,
  records: readonly DataRecord[],
  options: PredictAllOptions = {},
): Promise<Predicted<Prediction>> {
  const [predicted] = await predictAll([model], tokenizer, task, records, options);
  if (predicted === undefined) throw new Error("internal: no session");
  return predicted;
}

/** Sees the rows of one record, of every session, and the record's number; they are views of the run's outputs, which are not kept. */
export type SeeRows = (rows: readonly (readonly OutputRow[])[], record: number) => void;

export interface PredictAllOptions extends EvaluateOptions {
  readonly see?: SeeRows | undefined;
  /** The records' rows, where `rowsFor` has made them already. */
  readonly rows?: EvaluationRows | undefined;
}

/** Predicts each record with several models that take the same inputs, batch by batch in turn. Throws as `predict`. */
export async function predictAll<Prediction>(
  models: readonly Asked[],
  tokenizer: Tokenizer | undefined,
  task: Task<Prediction>,
  records: readonly DataRecord[],
  options: PredictAllOptions = {},
): Promise<Predicted<Prediction>[]> {
  const prepared = options.rows ?? rowsFor(models, tokenizer, task, records, options);
  const { rows, batches } = prepared;
  const asking: Asking = { tokenizer, records, positionOffset: options.positionOffset };
  const states = models.map(() => stateOf<Prediction>(prepared));
  let done = 0;
  for (const batch of batches) {
    options.signal?.throwIfAborted();
    const own = batch.map((i) => rows[i]).filter((row) => row !== undefined);
    const outputs: OutputRow[][] = [];
    for (const model of models) outputs.push(await answersOf(model, own, asking));
    for (const [b, row] of own.entries()) {
      for (const [s, state] of states.entries())
        state.waiting[row.record]?.push([row, outputs[s]?.[b]]);
      if (!isComplete(states[0], prepared, row.record)) continue;
      const complete = states.map((state) => take(state, row.record));
      options.see?.(complete, row.record);
      for (const [s, list] of complete.entries())
        finish(states[s], task, row.record, list, records);
    }
    done += batch.length;
    options.onProgress?.({ done, total: rows.length });
  }
  const truncated = rows.filter(({ encoded }) => (encoded?.cut ?? 0) > 0).length;
  return states.map(({ predictions, notNumbers }) => ({
    predictions,
    notNumbers,
    truncated,
    rows: rows.length,
  }));
}

/** Predicts each record and holds it against its label. Throws as `predict`, and LabelError. */
export async function evaluateModel<Prediction, Reference>(
  session: Session,
  tokenizer: Tokenizer | undefined,
  task: Task<Prediction, Reference>,
  records: readonly DataRecord[],
  options: PredictAllOptions = {},
): Promise<Evaluated<Prediction>> {
  // Labels first: a wrong one should not show after an hour.
  const references = records.map((record) => task.reference(record));
  const predicted = await predict(session, tokenizer, task, records, options);
  const measures = measuresOf(task, predicted.predictions, references);
  return { ...predicted, measures, metrics: valuesOf(measures), total: records.length };
}

/** Measures of predictions, in the order of the records. */
export function measuresOf<Prediction, Reference>(
  task: Task<Prediction, Reference>,
  predictions: readonly Prediction[],
  references: readonly Reference[],
): readonly Measure[] {
  return task.measures(
    predictions.map((prediction, i) => ({ prediction, reference: references[i] as Reference })),
  );
}

/** Rows of records that have not all come: outputs per token are too large to keep any longer. */
interface State<Prediction> {
  readonly waiting: [EvaluationRow, OutputRow | undefined][][];
  readonly predictions: Prediction[];
  readonly notNumbers: DataRecord[];
}

function stateOf<Prediction>({ counts }: EvaluationRows): State<Prediction> {
  return {
    waiting: counts.map(() => []),
    predictions: [],
    notNumbers: [],
  };
}

function isComplete(
  state: State<unknown> | undefined,
  { counts }: EvaluationRows,
  record: number,
): boolean {
  return state?.waiting[record]?.length === counts[record];
}

/** The rows of a record in their order, which are not needed any more afterwards. */
function take(state: State<unknown>, record: number): OutputRow[] {
  const list = state.waiting[record] ?? [];
  state.waiting[record] = [];
  return list
    .toSorted(([a], [b]) => a.place - b.place)
    .map(([, output]) => {
      if (output === undefined) throw new Error("internal: a row without its outputs");
      return output;
    });
}

function finish<Prediction>(
  state: State<Prediction> | undefined,
  task: Task<Prediction>,
  record: number,
  rows: readonly OutputRow[],
  records: readonly DataRecord[],
): void {
  if (state === undefined) throw new Error("internal: a session without a state");
  state.predictions[record] = task.predict(rows);
  const own = records[record];
  if (own !== undefined && rows.some(hasNaN)) state.notNumbers.push(own);
}

function hasNaN({ outputs }: OutputRow): boolean {
  return Object.values(outputs).some(({ data }) => {
    // One in the first numbers is telling enough: a NaN spreads over all that stands behind it.
    const some = data.length > 4096 ? data.subarray(0, 4096) : data;
    return some.some(Number.isNaN);
  });
}

/** How a model is asked about rows. */
interface Asking {
  readonly tokenizer: Tokenizer | undefined;
  /** For messages. */
  readonly records: readonly DataRecord[];
  readonly positionOffset: number | undefined;
}

function answersOf(
  model: Asked,
  rows: readonly EvaluationRow[],
  asking: Asking,
): Promise<OutputRow[]> {
  return model instanceof KeptAnswers
    ? model.to(rows, (unknown) => runBatch(model.session, unknown, asking, model.asked))
    : runBatch(model, rows, asking);
}

async function runBatch(
  session: Session,
  rows: readonly EvaluationRow[],
  asking: Asking,
  outputs?: readonly string[],
): Promise<OutputRow[]> {
  const { tokenizer, positionOffset } = asking;
  const feeds = feedsFor(session.inputs, tokenizer, rows, positionOffset);
  const results = await session.run(feeds, outputs && { outputs }).catch(async (error: unknown) => {
    throw error instanceof RuntimeFailedError ? await blamed(error, session, rows, asking) : error;
  });
  return rowsOf(results, feeds, tokenizer, rows);
}

/** The same error with the record that it comes from: each row of the batch is run by itself. */
async function blamed(
  error: RuntimeFailedError,
  session: Session,
  rows: readonly EvaluationRow[],
  { tokenizer, records, positionOffset }: Asking,
): Promise<RuntimeFailedError> {
  const named = (from: RuntimeFailedError, detail: string) =>
    new RuntimeFailedError("run", detail, from.node, from.path, { cause: from });
  for (const row of rows) {
    try {
      await session.run(feedsFor(session.inputs, tokenizer, [row], positionOffset));
    } catch (alone) {
      const record = records[row.record];
      if (alone instanceof RuntimeFailedError && record !== undefined)
        return named(alone, `${placeOf(record)}: ${alone.detail}`);
    }
  }
  const [first, last] = [rows[0], rows.at(-1)].map((row) => records[row?.record ?? -1]);
  if (first === undefined || last === undefined) return error;
  const batch = `a batch of ${rows.length} rows (${placeOf(first)}, to ${placeOf(last)})`;
  return named(error, `${batch}, which run one by one: ${error.detail}`);
}

function rowsOf(
  results: Readonly<Record<string, RuntimeTensor>>,
  feeds: Feeds,
  tokenizer: Tokenizer | undefined,
  rows: readonly EvaluationRow[],
): OutputRow[] {
  const length = Object.values(feeds)[0]?.dims[1] ?? 0;
  const outputs = Object.entries(results).flatMap(([name, tensor]): [string, Floats][] => {
    const floats = floatsOf(tensor);
    return floats === undefined ? [] : [[name, floats]];
  });
  return rows.map(({ encoded }, b): OutputRow => {
    if (encoded === undefined || tokenizer === undefined)
      return { outputs: Object.fromEntries(outputs.map(([name, o]) => [name, wholeRow(o, b)])) };
    const first = firstToken(encoded, length, tokenizer.padding);
    const cut = (o: Floats) => rowOf(o, b, first, encoded.ids.length, length);
    return {
      encoded,
      words: encoded.words,
      padded: { first, length },
      outputs: Object.fromEntries(outputs.map(([name, o]) => [name, cut(o)])),
    };
  });
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

function wholeRow({ dims, data }: Floats, b: number): RowValues {
  const [, ...rest] = dims;
  const size = rest.reduce((product, dim) => product * dim, 1);
  return { dims: rest, data: data.subarray(b * size, (b + 1) * size) };
}

/** Row `b` of an output; an axis of tokens (the first after the batch) is cut to the row's own tokens. */
function rowOf(
  output: Floats,
  b: number,
  first: number,
  tokens: number,
  length: number,
): RowValues {
  const { dims, data } = wholeRow(output, b);
  if (dims.length < 2 || dims[0] !== length) return { dims, data };
  const width = data.length / length;
  return {
    dims: [tokens, ...dims.slice(1)],
    data: data.subarray(first * width, (first + tokens) * width),
  };
}

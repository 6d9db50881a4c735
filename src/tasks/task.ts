// What a task is: how a record becomes inputs, how outputs become a prediction, and what good predictions are.
import type { DataRecord } from "../data/records.js";
import type { TextInput } from "../data/tokenize.js";

/** What the model gave for one input: a row of each output, without padding along the tokens. */
export interface OutputRow {
  /** Values of the row and its dims, by the output's name. An axis of tokens has one entry per token of the input. */
  readonly outputs: Readonly<Record<string, RowValues>>;
  /** For an input of words: the word of each token, undefined for special tokens. */
  readonly words?: readonly (number | undefined)[] | undefined;
}

export interface RowValues {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Metrics by name, the one that matters first. */
export type Metrics = Readonly<Record<string, number>>;

/** One labelled record: what the model said and what is right. */
export interface Scored<Prediction, Reference> {
  readonly prediction: Prediction;
  readonly reference: Reference;
}

export interface Task<Prediction = unknown, Reference = unknown> {
  readonly name: string;
  /** What the model reads for a record: mostly one input. Throws DataError for a record of another kind. */
  inputs(record: DataRecord): readonly TextInput[];
  /** The prediction from the rows of the record's inputs. Throws TaskError where the outputs are of another kind. */
  predict(rows: readonly OutputRow[]): Prediction;
  /** The record's label as predictions have it. Throws LabelError where it is missing or unknown. */
  reference(record: DataRecord): Reference;
  metrics(scored: readonly Scored<Prediction, Reference>[]): Metrics;
}

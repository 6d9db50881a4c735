// What a task is: how a record becomes inputs, how outputs become a prediction, and what good predictions are.
import type { DataRecord } from "../data/records.js";
import type { Encoded, TextInput, Tokenizer } from "../data/tokenize.js";
import type { Measure } from "./measure.js";

/** What the model gave for one input: a row of each output, without padding along the tokens. */
export interface OutputRow {
  /** Values of the row and its dims, by the output's name. An axis of tokens has one entry per token of the input. */
  readonly outputs: Readonly<Record<string, RowValues>>;
  /** For an input of words: the word of each token, undefined for special tokens. */
  readonly words?: readonly (number | undefined)[] | undefined;
  /** What the model read; absent for ready feeds. */
  readonly encoded?: Encoded | undefined;
  /** Where its tokens begin in the rows of the batch, and how long these are. */
  readonly padded?: { readonly first: number; readonly length: number } | undefined;
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

/** How far two models say the same of the same records. */
export type Agreement =
  | { readonly equal: number; readonly of: number; readonly unit: string }
  | { readonly left: Float64Array; readonly right: Float64Array };

export interface Task<Prediction = unknown, Reference = unknown> {
  readonly name: string;
  /** What the model reads for a record: mostly one input. Throws DataError for a record of another kind. */
  inputs(record: DataRecord): readonly TextInput[];
  /** Rows of at most `longest` tokens, where a record becomes rows in another way than by encoding its inputs. */
  rows?(record: DataRecord, tokenizer: Tokenizer, longest: number): readonly Encoded[];
  /** The prediction from the rows of the record's inputs. Throws TaskError where the outputs are of another kind. */
  predict(rows: readonly OutputRow[]): Prediction;
  /** The record's label as predictions have it. Throws LabelError where it is missing or unknown. */
  reference(record: DataRecord): Reference;
  /** True where records need no label: their own text is what is right. */
  readonly unlabelled?: boolean;
  /** Metrics, the one that matters first. */
  measures(scored: readonly Scored<Prediction, Reference>[]): readonly Measure[];
  agreement(left: readonly Prediction[], right: readonly Prediction[]): Agreement;
}

/** Agreement of predictions of which one is made per record. */
export function equalRows<P>(
  left: readonly P[],
  right: readonly P[],
  same: (a: P, b: P) => boolean,
): Agreement {
  const equal = left.filter((a, i) => same(a, right[i] as P)).length;
  return { equal, of: left.length, unit: "rows" };
}

// The inputs of a model from tokenized rows: which input takes what is a table; types and fixed sizes are the graph's.
import { InputNotFilledError } from "../errors.js";
import { float32ToFloat16 } from "../onnx/float.js";
import {
  ELEMENTS,
  isRunnable,
  type Elements,
  type Feeds,
  type Port,
  type RunnableDType,
  type RuntimeTensor,
} from "../runtime/runtime.js";
import type { Encoded, Padding } from "./tokenize.js";

export interface FeedOptions {
  readonly padding: Padding;
  /** Number of the first token's position; default 0. */
  readonly positionOffset?: number;
  /** Tokens of the batch at least, padding included, where the model does not fix them; default: as many as its longest row has. */
  readonly length?: number;
}

/** Value of an input at the `i`-th token of a row, or at padding (`i` undefined). */
type Rule = (row: Encoded, i: number | undefined, options: FeedOptions) => number;

const ids: Rule = (row, i, { padding }) => (i === undefined ? padding.id : (row.ids[i] ?? 0));
const mask: Rule = (_, i) => (i === undefined ? 0 : 1);
const types: Rule = (row, i, { padding }) =>
  i === undefined ? padding.typeId : (row.typeIds[i] ?? 0);
// Padding stands at the place before the first token, where tables with an offset keep a row for it.
const positions: Rule = (_, i, { positionOffset = 0 }) =>
  i === undefined ? Math.max(0, positionOffset - 1) : positionOffset + i;

const RULES: Readonly<Record<string, Rule>> = {
  input_ids: ids,
  attention_mask: mask,
  token_type_ids: types,
  position_ids: positions,
  // Names of exports from TensorFlow and Keras.
  input_mask: mask,
  segment_ids: types,
  input_word_ids: ids,
  input_type_ids: types,
  // Names that people give.
  ids,
  token_ids: ids,
  tokens: ids,
  mask,
  type_ids: types,
  positions,
};

/** By a name as TensorFlow decorates it, too: `serving_default_input_ids:0`. */
function ruleFor(name: string): Rule | undefined {
  const plain = name.replace(/^serving_default_/, "").replace(/:\d+$/, "");
  return Object.hasOwn(RULES, plain) ? RULES[plain] : undefined;
}

/** Batch and length that a model's inputs fix; undefined where any will do. */
export interface FixedSizes {
  readonly batch: number | undefined;
  readonly length: number | undefined;
}

/** What the graph's inputs demand of every batch. */
export function fixedSizes(inputs: readonly Port[]): FixedSizes {
  const dims = (axis: number): number | undefined =>
    inputs.map((port) => port.shape?.[axis]).find((dim) => typeof dim === "number");
  return { batch: dims(0), length: dims(1) };
}

/**
 * Feeds [rows, length] for a batch, padded to its longest row or to the length that the model fixes (rows must not be longer than that).
 * Where the model fixes the batch too, the last row is repeated. Throws InputNotFilledError for an input that text does not fill.
 */
export function feedsOf(
  inputs: readonly Port[],
  rows: readonly Encoded[],
  options: FeedOptions,
): Feeds {
  const fixed = fixedSizes(inputs);
  const batch = fixed.batch ?? rows.length;
  const length =
    fixed.length ?? Math.max(1, options.length ?? 0, ...rows.map((row) => row.ids.length));
  const feeds = inputs.map((port): [string, RuntimeTensor] => {
    const rule = ruleFor(port.name);
    if (rule === undefined) throw notFilled(port, "it has no rule");
    if (port.shape !== undefined && port.shape.length !== 2)
      throw notFilled(port, `it has ${port.shape.length} axes, expected batch × length`);
    const values = new Float64Array(batch * length);
    for (let b = 0; b < batch; b++) {
      const row = rows[Math.min(b, rows.length - 1)];
      if (row === undefined) continue;
      const first = firstToken(row, length, options.padding);
      for (let at = 0; at < length; at++) {
        const i = at - first;
        const inside = i >= 0 && i < row.ids.length;
        values[b * length + at] = rule(row, inside ? i : undefined, options);
      }
    }
    return [port.name, tensorOf(port, values, [batch, length])];
  });
  return Object.fromEntries(feeds);
}

/** batch × length, laid out as `feedsOf` does: 1 for a token, 0 for padding and for rows that only fill the batch. */
export function maskOf(
  rows: readonly Encoded[],
  batch: number,
  length: number,
  padding: Padding,
): Uint8Array {
  const mask = new Uint8Array(batch * length);
  for (const [b, row] of rows.entries()) {
    const first = b * length + firstToken(row, length, padding);
    mask.fill(1, first, first + row.ids.length);
  }
  return mask;
}

/** Where a row's tokens begin once it is padded to `length`. */
export function firstToken(row: Encoded, length: number, padding: Padding): number {
  return padding.side === "left" ? length - row.ids.length : 0;
}

function tensorOf(port: Port, values: Float64Array, dims: readonly number[]): RuntimeTensor {
  const { dtype } = port;
  if (!isRunnable(dtype)) throw notFilled(port, `it has type ${dtype ?? "unknown"}`);
  return { dtype, dims, data: elementsOf(dtype, values) };
}

/** Numbers as the elements of a type, to which they must fit. */
export function elementsOf(dtype: RunnableDType, values: Float64Array): Elements {
  if (dtype === "float16") return float32ToFloat16(Float32Array.from(values));
  const elements = new ELEMENTS[dtype](values.length);
  if (elements instanceof BigInt64Array || elements instanceof BigUint64Array)
    values.forEach((value, i) => (elements[i] = BigInt(value)));
  else elements.set(values);
  return elements;
}

function notFilled(port: Port, detail: string): InputNotFilledError {
  return new InputNotFilledError(port.name, detail, Object.keys(RULES));
}

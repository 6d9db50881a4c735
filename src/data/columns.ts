// Finds the columns of a table, or the fields of an object, that hold text, pair and label, and makes records of its rows.
import type { DataError } from "../errors.js";
import { feedsFromLists, NotATensor } from "./nested.js";
import { dataErrorAt, type DataRecord, type Label, type Place } from "./records.js";

/** Names given by the user; what is left out is found by its usual names. */
export interface ColumnOptions {
  readonly text?: string | undefined;
  /** Where only the text is named, its pair is `text_pair` or none. */
  readonly textPair?: string | undefined;
  readonly label?: string | undefined;
  /** Words that are split already. */
  readonly tokens?: string | undefined;
  /** Answers to a question (the text) about a context (its pair). */
  readonly answers?: string | undefined;
}

/** The usual names of texts with those of their pairs; the first that is there counts. */
const TEXTS: readonly (readonly [text: string, ...pairs: string[]])[] = [
  ["text"],
  ["sentence1", "sentence2"],
  ["premise", "hypothesis"],
  ["question1", "question2"],
  // The two texts of QNLI and of question answering.
  ["question", "sentence", "context", "passage"],
  ["query", "passage", "document"],
  ["sentence"],
  ["review"],
  ["content"],
];
const PAIRS = ["text_pair", "textPair"];
const LABEL = ["label", "score", "labels", "similarity_score", "target", "class"];
const TOKENS = ["tokens", "words"];
const LABELS = ["labels", "tags", "ner_tags"];
const ANSWERS = ["answers", "answer"];
const INPUTS = "inputs";

const EXPECTED =
  'a "text" (and "text_pair", "label" where there are such), "tokens" and "labels", or "inputs"';

/** Text of a row by the names of its columns. Values of a table are strings, those of JSON anything. */
export type Row = Readonly<Record<string, unknown>>;

/** A row with what is needed to read it. */
interface Reading {
  readonly row: Row;
  readonly place: Place;
  readonly options: ColumnOptions;
  /** All columns, for messages. */
  readonly names: () => readonly string[];
}

/**
 * Makes a record of a row. Columns that carry no known name are left aside; `names` are all columns of the table where the row holds but
 * some. Throws DataError where there is no text, or where a value has a type that it cannot have.
 */
export function recordOf(
  row: Row,
  place: Place,
  options: ColumnOptions = {},
  names?: readonly string[],
): DataRecord {
  const reading = { row, place, options, names: () => names ?? Object.keys(row) };
  const told = options.text !== undefined || options.tokens !== undefined;
  const inputs = told || !Object.hasOwn(row, INPUTS) ? undefined : row[INPUTS];
  if (isObject(inputs)) return feedOf(inputs, reading);
  const tokens = tokensColumn(reading);
  return tokens === undefined ? textOf(reading) : tokensOf(tokens, reading);
}

/** Those of a table's columns that a record may be made of: readers need not decode the others. */
export function columnsOfUse(names: readonly string[], options: ColumnOptions = {}): string[] {
  const { text, textPair, label, tokens, answers } = options;
  const given = [text, textPair, label, tokens, answers];
  const usual = new Set([
    ...TEXTS.flat(),
    ...PAIRS,
    ...LABEL,
    ...TOKENS,
    ...LABELS,
    ...ANSWERS,
    INPUTS,
  ]);
  return names.filter((name) => usual.has(name) || given.includes(name));
}

function feedOf(inputs: Row, reading: Reading): DataRecord {
  const { place } = reading;
  try {
    const { label } = labelOf(reading);
    return { inputs: feedsFromLists(inputs), ...(label === undefined ? {} : { label }), place };
  } catch (error) {
    if (!(error instanceof NotATensor)) throw error;
    throw dataErrorAt(
      place,
      error.message,
      'numbers in lists of equal lengths, such as {"inputs": {"input_ids": [101, 102]}}',
    );
  }
}

/** The column of words: the one that was named, else one of the usual names that holds a list. */
function tokensColumn(reading: Reading): string | undefined {
  const { row, options } = reading;
  if (options.tokens !== undefined) return named(options.tokens, reading);
  if (options.text !== undefined) return undefined;
  const name = find(row, TOKENS);
  return name !== undefined && Array.isArray(row[name]) ? name : undefined;
}

function tokensOf(column: string, reading: Reading): DataRecord {
  const { row, place, options } = reading;
  const words: unknown = row[column];
  if (!Array.isArray(words))
    throw failure(reading, `"${column}" is ${typeOf(words)}, not a list of texts`);
  if (!isStrings(words)) throw failure(reading, `"${column}" holds something else than texts`);
  const name = options.label === undefined ? find(row, LABELS) : named(options.label, reading);
  const labels: unknown = name === undefined ? undefined : row[name];
  if (labels === undefined || labels === null) return { tokens: words, place };
  if (!isLabels(labels)) throw failure(reading, `"${name}" is no list of labels`);
  if (labels.length !== words.length)
    throw dataErrorAt(
      place,
      `${words.length} tokens with ${labels.length} labels`,
      "a label for each of the tokens",
    );
  return { tokens: words, labels, place };
}

function textOf(reading: Reading): DataRecord {
  const { row, place } = reading;
  const [name, pairName] = textColumns(reading);
  const text = row[name];
  if (typeof text !== "string") throw failure(reading, `"${name}" is ${typeOf(text)}, not a text`);
  const textPair = pairName === undefined ? undefined : row[pairName];
  if (textPair !== undefined && textPair !== null && typeof textPair !== "string")
    throw failure(reading, `"${pairName}" is ${typeOf(textPair)}, not a text`);
  const answers = answersOf(reading);
  return {
    text,
    ...(typeof textPair === "string" ? { textPair } : {}),
    ...labelOf(reading),
    ...(answers === undefined ? {} : { answers }),
    place,
  };
}

/** A text, a list of texts, or an object that holds the list as `text`; in a table's cell also as the JSON of these. */
function answersOf(reading: Reading): readonly string[] | undefined {
  const { row, options } = reading;
  const name = options.answers === undefined ? find(row, ANSWERS) : named(options.answers, reading);
  if (name === undefined) return undefined;
  const cell = row[name];
  const value = typeof cell === "string" && /^\s*[[{]/.test(cell) ? (parsed(cell) ?? cell) : cell;
  const list: unknown = isObject(value) ? value["text"] : value;
  if (list === undefined || list === null) return undefined;
  if (typeof list === "string") return [list];
  if (Array.isArray(list) && isStrings(list)) return list;
  throw failure(reading, `"${name}" is ${typeOf(list)}, not an answer or a list of such`);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Which columns hold the text and its pair. */
function textColumns(reading: Reading): [text: string, pair: string | undefined] {
  const { row, options } = reading;
  const pair = options.textPair === undefined ? undefined : named(options.textPair, reading);
  if (options.text !== undefined) return [named(options.text, reading), pair ?? find(row, PAIRS)];
  const usual = TEXTS.find(([name]) => name !== pair && Object.hasOwn(row, name));
  if (usual === undefined) throw failure(reading, `no text among ${listed(reading.names())}`);
  const [name, ...pairs] = usual;
  return [name, pair ?? find(row, [...PAIRS, ...pairs])];
}

function labelOf(reading: Reading): { label?: Label; labels?: readonly Label[] } {
  const { row, options } = reading;
  const name = options.label === undefined ? find(row, LABEL) : named(options.label, reading);
  const label = name === undefined ? undefined : row[name];
  if (label === undefined || label === null || label === "") return {};
  if (isLabels(label)) return { labels: label };
  if (!isLabel(label))
    throw failure(reading, `"${name}" is ${typeOf(label)}, not a name or a number`);
  return { label };
}

function failure({ place }: Reading, detail: string): DataError {
  return dataErrorAt(place, detail, EXPECTED);
}

/** A name that the user gave; it must be there. */
function named(name: string, reading: Reading): string {
  if (Object.hasOwn(reading.row, name)) return name;
  throw failure(reading, `no "${name}" among ${listed(reading.names())}`);
}

function find(row: Row, usual: readonly string[]): string | undefined {
  return usual.find((name) => Object.hasOwn(row, name));
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "no columns" : `the columns ${names.join(", ")}`;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function isObject(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isLabel(value: unknown): value is Label {
  return typeof value === "string" || (typeof value === "number" && Number.isFinite(value));
}

function isStrings(value: readonly unknown[]): value is string[] {
  return value.every((item) => typeof item === "string");
}

function isLabels(value: unknown): value is Label[] {
  return Array.isArray(value) && value.every(isLabel);
}

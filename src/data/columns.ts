// Finds the columns of a table, or the fields of an object, that hold text, pair and label, and makes records of its rows.
import { DataError } from "../errors.js";
import type { DataRecord, Label, Place } from "./records.js";

/** Names given by the user; what is left out is found by its usual names. */
export interface ColumnOptions {
  readonly text?: string | undefined;
  readonly textPair?: string | undefined;
  readonly label?: string | undefined;
}

/** The usual names, the first that is there counts. */
const USUAL = {
  text: ["text", "sentence", "sentence1", "premise", "question1", "question", "review", "content"],
  textPair: ["text_pair", "textPair", "sentence2", "hypothesis", "question2"],
  label: ["label", "score", "labels", "similarity_score", "target", "class"],
  tokens: ["tokens", "words"],
  labels: ["labels", "tags", "ner_tags"],
} as const;

const EXPECTED =
  'a "text" (and "text_pair", "label" where there are such), or "tokens" and "labels"';

/** Text of a row by the names of its columns. Values of a table are strings, those of JSON anything. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Makes a record of a row. Columns that carry no known name are left aside. Throws DataError where there is no text, or where a value has a
 * type that it cannot have.
 */
export function recordOf(row: Row, place: Place, options: ColumnOptions = {}): DataRecord {
  const fail = (detail: string, expected = EXPECTED): never => {
    throw new DataError(place.path, place.line, detail, expected);
  };
  const tokens = options.text === undefined ? find(row, undefined, USUAL.tokens) : undefined;
  if (tokens !== undefined && Array.isArray(row[tokens])) {
    const words = row[tokens];
    if (!isStrings(words)) return fail(`"${tokens}" holds something else than texts`);
    const name = find(row, options.label, USUAL.labels);
    if (name === undefined) return { tokens: words, place };
    const labels: unknown = row[name];
    if (!isLabels(labels)) return fail(`"${name}" is no list of labels`);
    if (labels.length !== words.length)
      return fail(
        `${words.length} tokens with ${labels.length} labels`,
        "a label for each of the tokens",
      );
    return { tokens: words, labels, place };
  }
  const name = find(row, options.text, USUAL.text);
  if (name === undefined)
    return fail(
      options.text === undefined
        ? `no text among ${listed(Object.keys(row))}`
        : `no "${options.text}" among ${listed(Object.keys(row))}`,
    );
  const text = row[name];
  if (typeof text !== "string") return fail(`"${name}" is ${typeOf(text)}, not a text`);
  const pairName = find(row, options.textPair, USUAL.textPair);
  if (pairName === undefined && options.textPair !== undefined)
    return fail(`no "${options.textPair}" among ${listed(Object.keys(row))}`);
  const textPair = pairName === undefined ? undefined : row[pairName];
  if (textPair !== undefined && textPair !== null && typeof textPair !== "string")
    return fail(`"${pairName}" is ${typeOf(textPair)}, not a text`);
  const labelName = find(row, options.label, USUAL.label);
  if (labelName === undefined && options.label !== undefined)
    return fail(`no "${options.label}" among ${listed(Object.keys(row))}`);
  const label = labelName === undefined ? undefined : row[labelName];
  if (label !== undefined && label !== null && !isLabel(label))
    return fail(`"${labelName}" is ${typeOf(label)}, not a name or a number`);
  return {
    text,
    ...(typeof textPair === "string" ? { textPair } : {}),
    ...(isLabel(label) && label !== "" ? { label } : {}),
    place,
  };
}

function find(row: Row, given: string | undefined, usual: readonly string[]): string | undefined {
  const names = given === undefined ? usual : [given];
  return names.find((name) => Object.hasOwn(row, name));
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "no columns" : `the columns ${names.join(", ")}`;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
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

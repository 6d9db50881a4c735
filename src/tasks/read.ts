// Reading records and outputs, for all tasks.
import { DataError, LabelError, TaskError } from "../errors.js";
import {
  dataErrorAt,
  placeOf,
  type DataRecord,
  type FeedRecord,
  type Label,
  type TextRecord,
} from "../data/records.js";
import type { OutputRow, RowValues } from "./task.js";

/** The names of the tasks that there are. */
export const TASKS = [
  "text-classification",
  "multi-label-classification",
  "regression",
  "sentence-embedding",
  "token-classification",
  "question-answering",
  "masked-language-modelling",
  "causal-language-modelling",
  "image-classification",
] as const;
export type TaskName = (typeof TASKS)[number];

/** The record as text; throws DataError for words and feeds. */
export function textRecord(record: DataRecord, task: TaskName): TextRecord {
  if ("text" in record) return record;
  const got = "tokens" in record ? "tokens" : "ready inputs";
  throw dataErrorAt(record.place, `${got} for ${task}`, 'a "text"');
}

/** The record as text or as feeds that are ready; throws DataError for words. */
export function textOrFeeds(record: DataRecord, task: TaskName): TextRecord | FeedRecord {
  return "inputs" in record ? record : textRecord(record, task);
}

/** What the model reads of a record of one text, or of none where its feeds are ready. */
export function inputsOf(record: DataRecord, task: TaskName): readonly TextRecord[] {
  const given = textOrFeeds(record, task);
  return "inputs" in given ? [] : [given];
}

/** The one row of a record. */
export function onlyRow([row]: readonly OutputRow[]): OutputRow {
  if (row === undefined) throw new Error("internal: no row to predict from");
  return row;
}

/**
 * The first of the named outputs that the row has, else its first output with `rank` axes (per row). Throws TaskError where there is none.
 */
export function outputOf(
  row: OutputRow,
  names: readonly string[],
  rank: number,
  task: TaskName,
): RowValues {
  const named = names.map((name) => row.outputs[name]).find((o) => o?.dims.length === rank);
  const found = named ?? Object.values(row.outputs).find((o) => o.dims.length === rank);
  if (found !== undefined) return found;
  const there = Object.entries(row.outputs).map(([name, o]) => `${name} [${o.dims.join(", ")}]`);
  throw new TaskError(
    `The model has no output for ${task}: expected one with ${rank} axes per row, got ${there.join(", ")}`,
    TASKS,
  );
}

/** A class for each logit, as config.json says. Throws TaskError. */
export function requireClasses(logits: number, labels: readonly string[]): void {
  if (labels.length > 0 && logits !== labels.length)
    throw new TaskError(
      `The model gives ${logits} logits, its config.json names ${labels.length} classes`,
      TASKS,
    );
}

/** A class's number from its name in `labels` or its number; capitals count only where names differ in nothing else. Throws LabelError. */
export function classOf(
  label: Label | undefined,
  labels: readonly string[],
  record: DataRecord,
): number {
  if (label !== undefined) {
    const named = labels.indexOf(String(label));
    if (named >= 0) return named;
    const number = typeof label === "number" || label.trim() !== "" ? Number(label) : NaN;
    if (Number.isInteger(number) && number >= 0 && (labels.length === 0 || number < labels.length))
      return number;
    const small = (text: string) => text.trim().toLowerCase();
    const alike = labels.filter((name) => small(name) === small(String(label)));
    if (alike.length === 1) return labels.indexOf(alike[0] ?? "");
  }
  throw new LabelError(label, placeOf(record), known(labels));
}

export function known(labels: readonly string[]): readonly string[] | string {
  if (labels.length === 0) return "the number of a class";
  return labels.map((name, i) => `${name} (${i})`);
}

/** A score from a number or its text. Throws LabelError. */
export function scoreOf(record: TextRecord | FeedRecord): number {
  const { label } = record;
  const score = typeof label === "string" && label.trim() === "" ? NaN : Number(label ?? NaN);
  if (!Number.isFinite(score)) throw new LabelError(label, placeOf(record), "a number");
  return score;
}

/** A pair of texts. Throws DataError for one text. */
export function pairOf(record: DataRecord, task: TaskName): { text: string; textPair: string } {
  const { text, textPair, place } = textRecord(record, task);
  if (textPair === undefined)
    throw new DataError(place?.path ?? "A record", place?.line, "one text", "a pair of texts");
  return { text, textPair };
}

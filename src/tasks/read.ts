// Reading records and outputs, for all tasks.
import { DataError, LabelError, TaskError } from "../errors.js";
import { placeOf, type DataRecord, type Label, type TextRecord } from "../data/records.js";
import type { OutputRow, RowValues } from "./task.js";

/** The names of the tasks that there are. */
export const TASKS = [
  "text-classification",
  "regression",
  "sentence-embedding",
  "token-classification",
] as const;
export type TaskName = (typeof TASKS)[number];

/** The record as text; throws DataError for words. */
export function textRecord(record: DataRecord, task: TaskName): TextRecord {
  if ("text" in record) return record;
  throw new DataError(
    record.place?.path ?? "A record",
    record.place?.line,
    `tokens for ${task}`,
    'a "text"',
  );
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

/** A class's number from its name in `labels` or its number. Throws LabelError. */
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
  }
  throw new LabelError(label, placeOf(record), known(labels));
}

function known(labels: readonly string[]): readonly string[] | string {
  if (labels.length === 0) return "the number of a class";
  return labels.map((name, i) => `${name} (${i})`);
}

/** A score from a number or its text. Throws LabelError. */
export function scoreOf(record: TextRecord): number {
  const { label } = record;
  const score = typeof label === "string" && label.trim() === "" ? NaN : Number(label ?? NaN);
  if (!Number.isFinite(score)) throw new LabelError(label, placeOf(record), "a number");
  return score;
}

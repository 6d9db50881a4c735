// The small classifier of test/training.ts as a file, and labelled feeds that it learns from.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportModel } from "../src/graph/export.js";
import { encodeModel } from "../src/onnx/writer.js";
import { tinyClassifier } from "./training.js";

const [WORDS, CLASSES] = [20, 3];

/** Rows of 3 to 6 words; the class is that of the first one. */
export function labelledRows(rows: number, from = 0): { ids: number[]; label: number }[] {
  return Array.from({ length: rows }, (_, r) => {
    const ids = Array.from(
      { length: 3 + ((r + from) % 4) },
      (__, token) => (7 * (r + from) + 3 * token * token) % WORDS,
    );
    return { ids, label: (ids[0] ?? 0) % CLASSES };
  });
}

export function lineOf({ ids, label }: { ids: readonly number[]; label?: number }): string {
  const inputs = { input_ids: ids, attention_mask: ids.map(() => 1) };
  return JSON.stringify(label === undefined ? { inputs } : { inputs, label });
}

export interface TrainingFiles {
  readonly model: string;
  readonly data: string;
  readonly dev: string;
}

/** model.onnx, 96 rows to train on and 40 others, in `folder`. */
export function writeTrainingFiles(folder: string): TrainingFiles {
  const files = {
    model: join(folder, "model.onnx"),
    data: join(folder, "train.jsonl"),
    dev: join(folder, "dev.jsonl"),
  };
  writeFileSync(files.model, encodeModel(exportModel(tinyClassifier())));
  writeFileSync(files.data, labelledRows(96).map(lineOf).join("\n"));
  writeFileSync(files.dev, labelledRows(40, 1000).map(lineOf).join("\n"));
  return files;
}

// The data sets in ../shared as records: their files have no line of column names, or are lists of words, so product sources do not read them.
import { readFileSync, writeFileSync } from "node:fs";
import { allRecords, openRecords } from "../src/data/record-files.js";
import type { DataRecord } from "../src/data/records.js";
import { shared } from "../test/shared.js";

export type Split = "train" | "dev" | "test";

const SST2: Record<Split, string> = {
  train: "train_full.tsv",
  dev: "dev.tsv",
  test: "test-labeled.tsv",
};
const WNUT17: Record<Split, string> = {
  train: "wnut17train.conll",
  dev: "emerging.dev.conll",
  test: "emerging.test.annotated",
};

/** Sentences with their sentiment. */
function sst2(split: Split): Promise<DataRecord[]> {
  return allRecords(openRecords(shared("datasets", "sst2", SST2[split])));
}

/** Pairs of sentences with their similarity, 0…1. */
function stsb(split: Split): DataRecord[] {
  const path = shared("datasets", "stsb", `sts-${split}.tsv`);
  return linesOf(path).map((line, i) => {
    const [, , , , score, text = "", textPair = ""] = line.split("\t");
    return { text, textPair, label: Math.fround(Number(score) / 5), place: { path, line: i + 1 } };
  });
}

/** Sentences as words, each with its BIO label. */
function wnut17(split: Split): DataRecord[] {
  const path = shared("datasets", "wnut17", WNUT17[split]);
  const records: DataRecord[] = [];
  let tokens: string[] = [];
  let labels: string[] = [];
  for (const [i, line] of [...linesOf(path, false), ""].entries()) {
    const [token = "", label = "O"] = line.split("\t");
    if (line.trim() !== "") {
      tokens.push(token);
      labels.push(label.trim());
    } else if (tokens.length > 0) {
      records.push({ tokens, labels, place: { path, line: i - tokens.length + 1 } });
      [tokens, labels] = [[], []];
    }
  }
  return records;
}

/** The records that a model of ../shared/models was scored on. */
export async function recordsFor(task: string, split: Split): Promise<DataRecord[]> {
  const read = { sst2, stsb, wnut17 }[task];
  if (read === undefined) throw new Error(`no data set for ${task}`);
  return read(split);
}

/** The records as a JSONL file, as `--data` takes them. */
export function writeJsonl(
  path: string,
  records: readonly DataRecord[],
  { labelled = false }: { readonly labelled?: boolean } = {},
): void {
  const lines = records.map((record) => {
    if ("tokens" in record)
      return { tokens: record.tokens, ...(labelled && { labels: record.labels }) };
    if (!("text" in record)) throw new Error("no data set has ready feeds");
    return {
      text: record.text,
      ...(record.textPair && { text_pair: record.textPair }),
      ...(labelled && { label: record.label }),
    };
  });
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

function linesOf(path: string, full = true): string[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return full ? lines.filter((line) => line !== "") : lines;
}

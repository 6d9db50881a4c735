// The data of one run: each file parsed once, the tokenizer built once, each text encoded once, whichever steps of the run ask for them.
import type { ColumnOptions } from "./columns.js";
import type { FolderFiles } from "./configuration.js";
import type { DataRecord, RecordSource } from "./records.js";
import { createTokenizer, type Encoded, type TextInput, type Tokenizer } from "./tokenize.js";

/** Where files come from. */
export interface DataFiles {
  records(paths: readonly string[], columns: ColumnOptions): RecordSource;
  folderFiles(folder: string): FolderFiles;
}

/** Characters of texts and bytes of ready feeds that are kept, of all files together: 64 Mi, about 128 MiB of memory. */
const MOST_KEPT = 2 ** 26;
/** Tokens of encoded texts that are kept: about 64 MiB. */
const MOST_TOKENS = 2 ** 22;

interface Limits {
  readonly kept: number;
  readonly tokens: number;
}

/** What is read, and with which columns of labels. */
interface Reading {
  readonly texts: string;
  readonly labels: string;
  readonly anyLabels: boolean;
}

interface Kept extends Reading {
  readonly records: readonly DataRecord[];
}

/**
 * Keeps the records of the files that a run reads, and the ids of their texts, as far as they have room (64 Mi characters, 4 Mi tokens). What has
 * none is read, or encoded, again each time, so that data of any size runs in the same memory.
 */
export class RunData {
  readonly #from: DataFiles;
  readonly #labels: Pick<ColumnOptions, "label" | "answers">;
  readonly #limits: Limits;
  readonly #kept: Kept[] = [];
  readonly #folders = new Map<string, FolderFiles>();
  readonly #tokenizers = new Map<string, Tokenizer>();
  #size = 0;

  /** `labels`: the columns of labels, for steps that ask for texts alone of files that others read with their labels. */
  constructor(
    from: DataFiles,
    labels: Pick<ColumnOptions, "label" | "answers"> = {},
    limits: Limits = { kept: MOST_KEPT, tokens: MOST_TOKENS },
  ) {
    this.#from = from;
    this.#labels = labels;
    this.#limits = limits;
  }

  /**
   * The records of these files: the same objects each time, as long as they are kept. Who names no column of labels takes records read with any.
   * Throws as `openRecords`.
   */
  records(paths: readonly string[], columns: ColumnOptions): RecordSource {
    const { text, textPair, tokens } = columns;
    const { label = this.#labels.label, answers = this.#labels.answers } = columns;
    const reading: Reading = {
      texts: JSON.stringify([paths, text, textPair, tokens]),
      labels: JSON.stringify([label, answers]),
      anyLabels: label === undefined && answers === undefined,
    };
    const source =
      this.#keptOf(reading) === undefined
        ? this.#from.records(paths, { ...columns, label, answers })
        : undefined;
    return { [Symbol.asyncIterator]: () => this.#walk(reading, source) };
  }

  #keptOf({ texts, labels, anyLabels }: Reading): readonly DataRecord[] | undefined {
    const fits = (kept: Kept) => kept.texts === texts && (anyLabels || kept.labels === labels);
    return this.#kept.find(fits)?.records;
  }

  async *#walk(
    reading: Reading,
    source: RecordSource | undefined,
  ): AsyncGenerator<DataRecord, void, undefined> {
    const known = this.#keptOf(reading);
    if (known !== undefined || source === undefined) {
      yield* known ?? [];
      return;
    }
    let records: DataRecord[] | undefined = [];
    let size = 0;
    for await (const record of source) {
      size += sizeOf(record);
      if (this.#size + size > this.#limits.kept) records = undefined;
      records?.push(record);
      yield record;
    }
    if (records === undefined || this.#keptOf(reading) !== undefined) return;
    this.#kept.push({ ...reading, records });
    this.#size += size;
  }

  /** The JSON files of a model's folder. Throws ModelFolderError. */
  files(folder: string): FolderFiles {
    const files = this.#folders.get(folder) ?? this.#from.folderFiles(folder);
    this.#folders.set(folder, files);
    return files;
  }

  /** The tokenizer of a model's folder, which gives the same object for the same text. Throws ModelFolderError where it has none that can be used. */
  tokenizer(files: FolderFiles): Tokenizer {
    const { folder } = files;
    const tokenizer =
      this.#tokenizers.get(folder) ?? remembering(createTokenizer(files), this.#limits.tokens);
    this.#tokenizers.set(folder, tokenizer);
    return tokenizer;
  }
}

/** Characters and bytes of a record. */
function sizeOf(record: DataRecord): number {
  if ("inputs" in record)
    return Object.values(record.inputs).reduce((sum, { data }) => sum + data.byteLength, 0);
  if ("tokens" in record) return record.tokens.reduce((sum, { length }) => sum + length, 0);
  return record.text.length + (record.textPair?.length ?? 0);
}

/** A tokenizer that keeps what it has encoded, up to so many tokens. */
function remembering(tokenizer: Tokenizer, most: number): Tokenizer {
  const known = new Map<string, Encoded>();
  let tokens = 0;
  return {
    ...tokenizer,
    encode(input: TextInput, maxLength = tokenizer.limit) {
      const key = JSON.stringify([maxLength, "words" in input ? input.words : textsOf(input)]);
      const found = known.get(key);
      if (found !== undefined) return found;
      const made = tokenizer.encode(input, maxLength);
      tokens += made.ids.length;
      if (tokens <= most) known.set(key, made);
      return made;
    },
  };
}

/** Apart from words by its shape. */
function textsOf(input: Exclude<TextInput, { readonly words: unknown }>) {
  return { text: input.text, pair: input.textPair };
}

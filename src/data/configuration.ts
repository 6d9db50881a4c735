// What a model's folder says about it, read from the JSON files that Hugging Face writes: labels, lengths, special tokens, pooling.

import type { VocabularyFiles } from "./vocabulary.js";

type Json = Readonly<Record<string, unknown>>;

/** The JSON files of a folder, as parsed; those that are not there are undefined. */
export interface FolderFiles {
  /** The folder, for messages. */
  readonly folder: string;
  /** config.json */
  readonly config?: Json | undefined;
  /** tokenizer.json */
  readonly tokenizer?: Json | undefined;
  /** tokenizer_config.json */
  readonly tokenizerConfig?: Json | undefined;
  /** special_tokens_map.json */
  readonly specialTokens?: Json | undefined;
  /** 1_Pooling/config.json of sentence-transformers */
  readonly pooling?: Json | undefined;
  /** sentence_bert_config.json of sentence-transformers */
  readonly sentence?: Json | undefined;
  /** vocab.txt, or vocab.json and merges.txt, where there is no tokenizer.json */
  readonly vocabulary?: VocabularyFiles | undefined;
  /** The name of a SentencePiece model, where there is nothing else. */
  readonly sentencePiece?: string | undefined;
}

export interface ModelConfiguration {
  /** Names of classes by their number; empty where the model has none. */
  readonly labels: readonly string[];
  /** As `BertForSequenceClassification`. */
  readonly architectures: readonly string[];
  readonly problemType: string | undefined;
  readonly padTokenId: number | undefined;
  /** Rows of the table of positions. */
  readonly maxPositions: number | undefined;
}

/** Reads config.json; what is missing or malformed counts as not said. */
export function configurationOf(config: Json = {}): ModelConfiguration {
  const { architectures, problem_type: problemType } = config;
  return {
    labels: labelsOf(config["id2label"]),
    architectures: Array.isArray(architectures)
      ? architectures.filter((name) => typeof name === "string")
      : [],
    problemType: typeof problemType === "string" ? problemType : undefined,
    padTokenId: wholeNumber(config["pad_token_id"]),
    maxPositions: positive(config["max_position_embeddings"]),
  };
}

/** `{"0": "negative", "1": "positive"}` as a list. */
function labelsOf(id2label: unknown): string[] {
  if (typeof id2label !== "object" || id2label === null) return [];
  const names = new Map(Object.entries(id2label).map(([id, name]) => [Number(id), String(name)]));
  const labels = Array.from({ length: names.size }, (_, id) => names.get(id));
  // A gap in the numbers: no list of classes.
  return labels.every((name) => name !== undefined) ? labels : [];
}

/**
 * Tokens that the configuration admits, special tokens included: the smallest of the tokenizer's, the sentence encoder's and the table of
 * positions. Undefined where none is said.
 */
export function lengthLimit(files: FolderFiles): number | undefined {
  const { maxPositions } = configurationOf(files.config);
  const limits = [
    positive(files.tokenizerConfig?.["model_max_length"]),
    positive(files.sentence?.["max_seq_length"]),
    maxPositions === undefined ? undefined : maxPositions - positionOffset(files),
  ].filter((limit) => limit !== undefined);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/**
 * Number of the first token's position. Some tables keep their first rows for padding; then the table has just as many rows more than the
 * tokenizer admits tokens, and the padding's id is the last of these rows.
 */
export function positionOffset(files: FolderFiles): number {
  const { maxPositions, padTokenId } = configurationOf(files.config);
  const longest = positive(files.tokenizerConfig?.["model_max_length"]);
  if (maxPositions === undefined || padTokenId === undefined || longest === undefined) return 0;
  return maxPositions - longest === padTokenId + 1 ? padTokenId + 1 : 0;
}

/** A length; -1 and the 1e30 of tokenizers that were never told stand for none. */
function positive(value: unknown): number | undefined {
  const number = wholeNumber(value);
  return number !== undefined && number > 0 && number < 1e9 ? number : undefined;
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) ? value : undefined;
}

/** The content of a special token, which the files write as a text or as an object with its `content`. */
export function specialToken(files: FolderFiles, name: string): string | undefined {
  for (const file of [files.tokenizerConfig, files.specialTokens]) {
    const token = file?.[name];
    if (typeof token === "string") return token;
    if (typeof token === "object" && token !== null && "content" in token)
      if (typeof token.content === "string") return token.content;
  }
  return undefined;
}

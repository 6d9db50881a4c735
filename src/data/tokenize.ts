// Texts to token ids, as the model's own tokenizer makes them. Truncation is ours, and does as the original tokenizers do it.
import { ModelFolderError } from "../errors.js";
import {
  configurationOf,
  lengthLimit,
  positionOffset,
  specialToken,
  type FolderFiles,
} from "./configuration.js";
import { locateTokens } from "./locate.js";
import { withSettings } from "./tokenizer-settings.js";
import { tokenizerFromVocabulary } from "./vocabulary.js";
import { piecesOf, type Pieces, type PostProcessor } from "./pieces.js";

/** What a model reads at once: a text, a pair of texts, or words that are split already. */
export type TextInput =
  | { readonly text: string; readonly textPair?: string | undefined }
  | { readonly words: readonly string[] };

/** One row of ids, special tokens included, without padding. */
export interface Encoded {
  readonly ids: readonly number[];
  /** Which of the two texts a token belongs to. */
  readonly typeIds: readonly number[];
  /** For words: the word that each token came from, undefined for special tokens. */
  readonly words?: readonly (number | undefined)[] | undefined;
  /** Where the tokens of the first text stand; those of special tokens and of a second text are outside. */
  readonly own: readonly [start: number, end: number];
  /** Tokens that were cut off. */
  readonly cut: number;
}

/** A question with a part of its context. */
export interface Window extends Encoded {
  /** Letters of the context (start, end) that each token came from; undefined for other tokens. */
  readonly spans: readonly (readonly [start: number, end: number] | undefined)[];
}

/** How rows of one batch are brought to one length. */
export interface Padding {
  readonly id: number;
  readonly typeId: number;
  readonly side: "left" | "right";
}

export interface Tokenizer {
  readonly padding: Padding;
  /** Tokens that the model's folder admits; undefined where it sets no limit. */
  readonly limit: number | undefined;
  /** Number of the first token's position, for models that take positions. */
  readonly positionOffset: number;
  /** Special tokens around a text and around a pair: a row that has no others says nothing. */
  readonly specials: { readonly single: number; readonly pair: number };
  /** Encodes with special tokens, cut to `maxLength` tokens (default: the limit). */
  encode(input: TextInput, maxLength?: number): Encoded;
  /** A question with its context in windows of `maxLength` tokens, of which `stride` tokens of context are in the next one again. */
  windows(question: string, context: string, maxLength?: number, stride?: number): Window[];
  /** The token that stands for a hidden one; undefined where the model has none. */
  readonly maskId: number | undefined;
}

/** Makes the tokenizer of a model's folder. Throws ModelFolderError where it has none that can be used. */
export function createTokenizer(files: FolderFiles): Tokenizer {
  const { folder, tokenizerConfig = {} } = files;
  const json = tokenizerOf(files);
  let pieces: Pieces;
  try {
    pieces = piecesOf(json, tokenizerConfig);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new ModelFolderError(`${folder}/tokenizer.json`, `it cannot be used: ${detail}`);
  }
  const padToken = specialToken(files, "pad_token");
  const padding: Padding = {
    id:
      (padToken === undefined ? undefined : pieces.token_to_id(padToken)) ??
      configurationOf(files.config).padTokenId ??
      0,
    typeId: 0,
    side: tokenizerConfig["padding_side"] === "left" ? "left" : "right",
  };
  const maskToken = specialToken(files, "mask_token");
  const limit = lengthLimit(files);
  const cutLeft = tokenizerConfig["truncation_side"] === "left";
  const frame = framer(pieces, json["post_processor"]);
  const idOf = idFinder(pieces, json);
  const specials = { single: frame([], null).tokens.length, pair: frame([], []).tokens.length };

  return {
    padding,
    limit,
    positionOffset: positionOffset(files),
    specials,
    encode(input, maxLength = limit ?? Infinity) {
      const [first, second, words] = tokensOf(pieces, input);
      const room = Math.max(0, maxLength - (second === null ? specials.single : specials.pair));
      const [a, b] = shares(first.length, second?.length ?? 0, room);
      const cut = (tokens: readonly string[], n: number): string[] =>
        cutLeft ? tokens.slice(tokens.length - n) : tokens.slice(0, n);
      const { tokens, typeIds, start } = frame(
        cut(first, a),
        second === null ? null : cut(second, b),
      );
      const skipped = cutLeft ? first.length - a : 0;
      return {
        ids: tokens.map(idOf),
        typeIds,
        own: [start, start + a],
        words:
          words &&
          tokens.map((_, i) =>
            i >= start && i < start + a ? words[i - start + skipped] : undefined,
          ),
        cut: first.length - a + (second?.length ?? 0) - b,
      };
    },
    windows(question, context, maxLength = limit ?? Infinity, stride = 128) {
      const frames = { frame, idOf, room: maxLength - specials.pair, stride };
      return windowsOf(pieces, question, context, frames);
    },
    maskId: maskToken === undefined ? undefined : pieces.token_to_id(maskToken),
  };
}

/** tokenizer.json as it counts: made from older files where it is missing, with the settings of tokenizer_config.json. */
function tokenizerOf(files: FolderFiles): Readonly<Record<string, unknown>> {
  const { folder, tokenizerConfig = {}, vocabulary = {}, sentencePiece } = files;
  const json = files.tokenizer ?? tokenizerFromVocabulary(vocabulary, tokenizerConfig);
  if (json !== undefined) return withSettings(json, tokenizerConfig);
  throw new ModelFolderError(
    folder,
    sentencePiece === undefined
      ? "it has no tokenizer.json"
      : `it has ${sentencePiece}, but no tokenizer.json`,
    "Save the tokenizer beside the model (AutoTokenizer.from_pretrained(…).save_pretrained(…) writes tokenizer.json).",
  );
}

/** The question gives way where it would leave the context less than half of the room. */
function windowsOf(
  pieces: Pieces,
  question: string,
  context: string,
  options: {
    readonly frame: ReturnType<typeof framer>;
    readonly idOf: (token: string) => number;
    readonly room: number;
    readonly stride: number;
  },
): Window[] {
  const { frame, idOf, room } = options;
  const whole = pieces.tokenize(question);
  const first = whole.slice(0, Math.max(1, Math.floor(room / 2)));
  const located = locateTokens(pieces, context);
  const size = Math.max(1, room - first.length);
  const step = Math.max(1, size - Math.min(options.stride, Math.floor(size / 2)));
  const marked = frame(["\0"], ["\u0001"]).tokens;
  const closing = marked.length - 1 - marked.indexOf("\u0001");
  const windows: Window[] = [];
  for (let at = 0; ; at += step) {
    const part = located.slice(at, at + size);
    const { tokens, typeIds, start } = frame(
      first,
      part.map(({ token }) => token),
    );
    const begin = tokens.length - closing - part.length;
    windows.push({
      ids: tokens.map(idOf),
      typeIds,
      own: [start, start + first.length],
      spans: tokens.map((_, i) => part[i - begin]?.span),
      cut: whole.length - first.length,
    });
    if (at + size >= located.length) return windows;
  }
}

/** Tokens of the first and the second text (null: there is none), and for words the word of each token. */
function tokensOf(
  pieces: Pieces,
  input: TextInput,
): [first: readonly string[], second: readonly string[] | null, words?: readonly number[]] {
  if (!("words" in input)) {
    const { text, textPair } = input;
    return [pieces.tokenize(text), textPair === undefined ? null : pieces.tokenize(textPair)];
  }
  const tokens: string[] = [];
  const words: number[] = [];
  for (const [i, word] of input.words.entries())
    for (const token of pieces.tokenize(word)) {
      tokens.push(token);
      words.push(i);
    }
  return [tokens, null, words];
}

/** How many tokens of two texts stay when both get `room`: the longer one gives first ("longest first" of the original tokenizers). */
function shares(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second];
  if (second === 0) return [Math.min(first, room), 0];
  const shorter = Math.min(first, second);
  let a = shorter;
  let b = shorter > room ? shorter : Math.max(shorter, room - shorter);
  if (a + b > room) {
    a = Math.floor(room / 2);
    b = a + (room % 2);
  }
  return first > second ? [b, a] : [a, b];
}

interface Framed {
  readonly tokens: readonly string[];
  readonly typeIds: readonly number[];
  /** Where the first text begins. */
  readonly start: number;
}

/** Special tokens around one or two texts. */
function framer(
  pieces: Pieces,
  postProcessor: unknown,
): (first: string[], second: string[] | null) => Framed {
  const processor = pieces.post_processor;
  // In RoBERTa's form both texts are of type 0 (its table of types has one row).
  const oneType = typeOf(postProcessor) === "RobertaProcessing";
  const start = processor === null ? 0 : leading(processor);
  return (first, second) => {
    if (processor === null) {
      const tokens = [...first, ...(second ?? [])];
      return { tokens, typeIds: tokens.map(() => 0), start };
    }
    const { tokens, token_type_ids: typeIds } = processor.post_process(first, second, true);
    return {
      tokens,
      typeIds: oneType || typeIds === undefined ? tokens.map(() => 0) : typeIds,
      start,
    };
  };
}

/** Special tokens before the first text. */
function leading(processor: PostProcessor): number {
  const mark = "\0";
  return processor.post_process([mark], null, true).tokens.indexOf(mark);
}

function typeOf(json: unknown): unknown {
  return typeof json === "object" && json !== null && "type" in json ? json.type : undefined;
}

/** Ids of tokens; what the vocabulary lacks is the unknown token. */
function idFinder(
  pieces: Pieces,
  json: Readonly<Record<string, unknown>>,
): (token: string) => number {
  const unknown = unknownId(pieces, json["model"]);
  return (token) => pieces.token_to_id(token) ?? unknown;
}

function unknownId(pieces: Pieces, model: unknown): number {
  if (typeof model !== "object" || model === null) return 0;
  if ("unk_token" in model && typeof model.unk_token === "string")
    return pieces.token_to_id(model.unk_token) ?? 0;
  return "unk_id" in model && typeof model.unk_id === "number" ? model.unk_id : 0;
}

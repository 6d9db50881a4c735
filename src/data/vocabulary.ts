// A tokenizer.json made from the files that older folders have in its place: vocab.txt (WordPiece), or vocab.json and merges.txt (byte-level BPE).

type Json = Readonly<Record<string, unknown>>;

/** The content of such files. */
export interface VocabularyFiles {
  /** vocab.txt: a piece a line, its id the number of the line. */
  readonly wordPiece?: string | undefined;
  /** vocab.json: ids by piece. */
  readonly bytePieces?: Json | undefined;
  /** merges.txt: a pair of pieces a line, the most frequent first. */
  readonly merges?: string | undefined;
}

/** Undefined where the files make none. */
export function tokenizerFromVocabulary(
  { wordPiece, bytePieces, merges }: VocabularyFiles,
  config: Json,
): Json | undefined {
  if (wordPiece !== undefined) return wordPieceTokenizer(wordPiece, config);
  return bytePieces === undefined || merges === undefined
    ? undefined
    : byteLevelTokenizer(bytePieces, merges, config);
}

/** BERT's: J. Devlin et al., arXiv 1810.04805; lower case unless tokenizer_config.json says otherwise. */
function wordPieceTokenizer(text: string, config: Json): Json {
  const pieces = text.replace(/\r?\n$/, "").split(/\r?\n/);
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const token = tokenIn(config, vocab);
  const [cls, sep] = [token("cls_token", "[CLS]"), token("sep_token", "[SEP]")];
  const unknown = token("unk_token", "[UNK]");
  const others = [token("pad_token", "[PAD]"), token("mask_token", "[MASK]")];
  return {
    version: "1.0",
    added_tokens: addedTokens([cls, sep, unknown, ...others]),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor:
      cls === undefined || sep === undefined
        ? null
        : {
            type: "BertProcessing",
            cls: [cls.content, cls.id],
            sep: [sep.content, sep.id],
          },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: unknown?.content ?? "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** GPT-2's, and RoBERTa's where tokenizer_config.json or the vocabulary has its frame of `<s>` and `</s>`. */
function byteLevelTokenizer(vocab: Json, merges: string, config: Json): Json {
  const token = tokenIn(config, vocab);
  const [cls, sep] = [token("cls_token", "<s>"), token("sep_token", "</s>")];
  const framed = cls !== undefined && sep !== undefined;
  const names = ["bos_token", "eos_token", "unk_token", "pad_token", "mask_token"];
  const usual = ["<s>", "</s>", "<unk>", "<pad>", "<mask>"];
  const others = names.map((name, i) => token(name, usual[i] ?? ""));
  const pairs = merges
    .split(/\r?\n/)
    .filter((line, i) => line !== "" && !(i === 0 && line.startsWith("#version")))
    .map((line) => line.split(" "));
  return {
    version: "1.0",
    added_tokens: addedTokens([cls, sep, ...others]),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: framed
      ? {
          type: "RobertaProcessing",
          cls: [cls.content, cls.id],
          sep: [sep.content, sep.id],
          trim_offsets: true,
          add_prefix_space: false,
        }
      : { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", dropout: null, unk_token: null, fuse_unk: false, vocab, merges: pairs },
  };
}

interface SpecialToken {
  readonly content: string;
  readonly id: number;
}

/** The special token of a role where the vocabulary has it: as the configuration names it, else by its usual name. */
function tokenIn(config: Json, vocab: Json) {
  return (role: string, usual: string): SpecialToken | undefined => {
    const said = config[role];
    const content =
      typeof said === "string"
        ? said
        : typeof said === "object" && said !== null && "content" in said
          ? String(said.content)
          : usual;
    const id = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    return typeof id === "number" ? { content, id } : undefined;
  };
}

function addedTokens(tokens: readonly (SpecialToken | undefined)[]): Json[] {
  const unique = new Map(tokens.flatMap((token) => (token ? [[token.id, token.content]] : [])));
  return [...unique]
    .toSorted(([a], [b]) => a - b)
    .map(([id, content]) => ({
      id,
      content,
      single_word: false,
      // The hidden word's token takes in the space before it.
      lstrip: content === "<mask>",
      rstrip: false,
      normalized: false,
      special: true,
    }));
}

// What tokenizer_config.json says over tokenizer.json: where the two differ, its word counts, as in the tokenizers that models were trained with.

type Json = Readonly<Record<string, unknown>>;

/** Settings of BERT's normalizer: by their name in tokenizer_config.json, that in tokenizer.json. */
const BERT_NORMALIZER: Readonly<Record<string, string>> = {
  do_lower_case: "lowercase",
  strip_accents: "strip_accents",
  tokenize_chinese_chars: "handle_chinese_chars",
};

const BYTE_LEVEL: Readonly<Record<string, string>> = { add_prefix_space: "add_prefix_space" };

/**
 * tokenizer.json with the settings of tokenizer_config.json in their places: lower case, accents and Chinese characters in BERT's normalizer,
 * the space before the first word in a byte-level pre-tokenizer. What tokenizer_config.json does not name stays as it is (transformers,
 * `BertTokenizerFast` and `PreTrainedTokenizerFast`).
 */
export function withSettings(tokenizer: Json, config: Json): Json {
  return {
    ...tokenizer,
    normalizer: overruled(tokenizer["normalizer"], "BertNormalizer", BERT_NORMALIZER, config),
    pre_tokenizer: overruled(tokenizer["pre_tokenizer"], "ByteLevel", BYTE_LEVEL, config),
  };
}

function overruled(
  part: unknown,
  type: string,
  names: Readonly<Record<string, string>>,
  config: Json,
): unknown {
  if (!isObject(part) || part["type"] !== type) return part;
  const said = Object.entries(names).filter(([name]) => isSetting(config[name]));
  return { ...part, ...Object.fromEntries(said.map(([name, own]) => [own, config[name]])) };
}

/** `strip_accents` may be null: as lower case says. */
function isSetting(value: unknown): boolean {
  return typeof value === "boolean" || value === null;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null;
}

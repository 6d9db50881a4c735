// The tokenizers' library as far as it is used here, with types: its own do not resolve under Node's rules and would be `any`, without a word.
import * as library from "@huggingface/tokenizers";

/** Frames tokens with the special tokens of a model. */
export interface PostProcessor {
  post_process(
    tokens: readonly string[],
    pair: readonly string[] | null,
    addSpecialTokens: boolean,
  ): { readonly tokens: string[]; readonly token_type_ids?: number[] | undefined };
}

/** Splits texts into the pieces of a vocabulary. */
export interface Pieces {
  readonly post_processor: PostProcessor | null;
  tokenize(text: string): string[];
  token_to_id(token: string): number | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** From the content of tokenizer.json and tokenizer_config.json. Throws what the library throws where it cannot use them. */
export function piecesOf(tokenizer: Json, config: Json): Pieces {
  const { Tokenizer } = library as unknown as {
    Tokenizer: new (tokenizer: Json, config: Json) => Pieces;
  };
  return new Tokenizer(tokenizer, config);
}

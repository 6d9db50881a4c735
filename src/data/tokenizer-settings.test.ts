import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { hasShared, shared } from "../../test/shared.js";
import { readFolder } from "./folder.js";
import { createTokenizer } from "./tokenize.js";
import { tokenizerFromVocabulary } from "./vocabulary.js";

const demo = readFolder(fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url)));
const TEXTS = ["The Film was Good!", "Ça coûte 3,50 € – déjà vu", "电影 is great", "unbelievably"];

type Json = Readonly<Record<string, unknown>>;

const part = (json: Json | undefined, name: string) => json?.[name] as Json;

function idsWith(tokenizer: Json, config: Json = {}): (readonly number[])[] {
  const own = createTokenizer({
    ...demo,
    tokenizer,
    tokenizerConfig: { ...demo.tokenizerConfig, ...config },
  });
  return TEXTS.map((text) => own.encode({ text }).ids);
}

const withNormalizer = (changes: Json): Json => ({
  ...demo.tokenizer,
  normalizer: { ...part(demo.tokenizer, "normalizer"), ...changes },
});

describe("where tokenizer_config.json and tokenizer.json differ, the former counts", () => {
  test.each([
    ["do_lower_case", "lowercase", [true, false]],
    ["strip_accents", "strip_accents", [true, false]],
    ["tokenize_chinese_chars", "handle_chinese_chars", [true, false]],
  ] as const)("%s", (name, own, values) => {
    for (const value of values)
      expect(idsWith(withNormalizer({ [own]: !value }), { [name]: value })).toEqual(
        idsWith(withNormalizer({ [own]: value })),
      );
  });

  test("and what it does not name stays", () => {
    const cased = idsWith(withNormalizer({ lowercase: false }));
    expect(cased).not.toEqual(idsWith(withNormalizer({ lowercase: true })));
    expect(idsWith(withNormalizer({ lowercase: false }), { do_lower_case: "no" })).toEqual(cased);
  });

  test("add_prefix_space of byte-level pieces: words are not glued", () => {
    const vocab = { Ġ: 0, a: 1, Ġa: 2, b: 3, Ġb: 4 };
    const json = tokenizerFromVocabulary({ bytePieces: vocab, merges: "Ġ a\nĠ b" }, {}) ?? {};
    const ids = (config: Json) =>
      createTokenizer({ folder: "", tokenizer: json, tokenizerConfig: config }).encode({
        words: ["a", "b"],
      }).ids;
    expect(ids({})).toEqual([1, 3]);
    expect(ids({ add_prefix_space: true })).toEqual([2, 4]);
  });
});

describe("a folder without tokenizer.json", () => {
  test("with vocab.txt gives the ids that tokenizer.json gives", () => {
    const vocab = part(part(demo.tokenizer, "model"), "vocab") as Record<string, number>;
    const lines = Object.entries(vocab).toSorted(([, a], [, b]) => a - b);
    const wordPiece = `${lines.map(([piece]) => piece).join("\n")}\n`;
    const old = createTokenizer({
      ...demo,
      tokenizer: undefined,
      vocabulary: { wordPiece },
    });
    for (const text of TEXTS)
      expect(old.encode({ text, textPair: "two" })).toEqual(
        createTokenizer(demo).encode({ text, textPair: "two" }),
      );
  });

  test.skipIf(!hasShared)("with vocab.json and merges.txt as well", () => {
    const roberta = readFolder(shared("models/roberta-sst2"));
    const model = part(roberta.tokenizer, "model");
    const merges = (model["merges"] as string[][]).map((pair) => pair.join(" "));
    const vocabulary = {
      bytePieces: part(model, "vocab"),
      merges: ["#version: 0.2", ...merges, ""].join("\n"),
    };
    const old = createTokenizer({
      ...roberta,
      tokenizer: undefined,
      tokenizerConfig: { ...roberta.tokenizerConfig, add_prefix_space: true },
      vocabulary,
    });
    for (const text of TEXTS)
      expect(old.encode({ text })).toEqual(createTokenizer(roberta).encode({ text }));
  });

  test("with a SentencePiece model alone is refused, and told which file to make", () => {
    expect(() => createTokenizer({ folder: "m", sentencePiece: "spiece.model" })).toThrow(
      /it has spiece\.model, but no tokenizer\.json.*save_pretrained/,
    );
  });
});

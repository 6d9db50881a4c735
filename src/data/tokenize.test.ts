import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { fixturePath } from "../../test/fixture.js";
import { hasShared, shared } from "../../test/shared.js";
import type { FolderFiles } from "./configuration.js";
import { readFolder } from "./folder.js";
import { createTokenizer, type TextInput } from "./tokenize.js";

interface Case {
  readonly model: string;
  readonly side: "left" | "right";
  readonly length: number;
  readonly input: TextInput;
  readonly ids: number[];
  readonly types: number[];
  readonly words?: (number | null)[];
}

const cases = JSON.parse(readFileSync(fixturePath("tokenize.json"), "utf8")) as Case[];

/** A tokenizer of each kind is in the repository: WordPiece, BPE, Unigram. */
const OWN: Readonly<Record<string, string>> = {
  "demo-reviews": fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url)),
  bpe: fixturePath("tokenizers/bpe"),
  unigram: fixturePath("tokenizers/unigram"),
};

/** The others may not be at hand. */
function folderOf(model: string): string {
  return OWN[model] ?? shared("models", model);
}

describe("as the original tokenizers", () => {
  for (const model of new Set(cases.map((c) => c.model)))
    for (const side of ["right", "left"] as const)
      test.skipIf(!hasShared && !(model in OWN))(
        `${model}: texts, pairs and words give the same ids, cut on the ${side} to any length`,
        () => {
          const files = readFolder(folderOf(model));
          const tokenizer = createTokenizer(withConfig(files, { truncation_side: side }));
          for (const { length, input, ids, types, words } of cases.filter(
            (c) => c.model === model && c.side === side,
          )) {
            const encoded = tokenizer.encode(input, length);
            const what = JSON.stringify([input, length]);
            expect(encoded.ids, what).toEqual(ids);
            expect(encoded.typeIds, what).toEqual(types);
            if (words !== undefined)
              expect(encoded.words, what).toEqual(words.map((word) => word ?? undefined));
          }
        },
      );
});

function withConfig(files: FolderFiles, config: Record<string, unknown>): FolderFiles {
  return { ...files, tokenizerConfig: { ...files.tokenizerConfig, ...config } };
}

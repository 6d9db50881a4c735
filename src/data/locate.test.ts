import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasShared, shared } from "../../test/shared.js";
import { normalized } from "../tasks/squad.js";
import { readFolder } from "./folder.js";
import { locateTokens } from "./locate.js";
import { piecesOf, type Pieces } from "./pieces.js";
import { createTokenizer } from "./tokenize.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
const folderOf = (model: string) => (model === "demo" ? demo : shared("models", model));

function piecesIn(model: string): Pieces {
  const { tokenizer = {}, tokenizerConfig = {} } = readFolder(folderOf(model));
  return piecesOf(tokenizer, tokenizerConfig);
}

/** WordPiece, byte-level BPE and Unigram. */
const MODELS = ["demo", ...(hasShared ? ["roberta-sst2", "deberta-sst2", "albert-sst2"] : [])];

describe.each(MODELS)("tokens of %s", (model) => {
  const pieces = piecesIn(model);

  test("have the letters that they spell, in order", () => {
    const text = "The Café's 12,500 guests — naïve O'Neill paid $3.50 (1990–91).";
    const located = locateTokens(pieces, text);
    expect(located.map(({ token }) => token)).toEqual(pieces.tokenize(text));
    let end = 0;
    for (const { span } of located) {
      expect(span[0]).toBeGreaterThanOrEqual(0);
      expect(span[1]).toBeLessThanOrEqual(text.length);
      end = Math.max(end, span[1]);
    }
    expect(end).toBe(text.length);
    const at = text.indexOf("12,500");
    const inside = located.filter(({ span: [a, b] }) => a >= at && b <= at + 6 && b > a);
    expect(inside.map(({ span: [a, b] }) => text.slice(a, b)).join("")).toBe("12,500");
  });

  test("of any text lie within their word", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 30 }), (text) => {
        for (const { span } of locateTokens(pieces, text)) {
          const [a, b] = span;
          expect(a).toBeLessThanOrEqual(b);
          expect(text.slice(a, b)).not.toMatch(/\s/u);
        }
      }),
    );
  });
});

describe("windows", () => {
  const tokenizer = createTokenizer(readFolder(demo));
  const words = Array.from({ length: 90 }, (_, i) => `movie ${i}`).join(" ");

  test("cover the context, each part of it with the question, and overlap", () => {
    const windows = tokenizer.windows("good or bad?", words, 40, 10);
    expect(windows.length).toBeGreaterThan(3);
    const seen = new Set<number>();
    for (const { ids, typeIds, spans, own } of windows) {
      expect(ids.length).toBeLessThanOrEqual(40);
      expect(spans).toHaveLength(ids.length);
      expect(typeIds).toHaveLength(ids.length);
      expect(ids.slice(...own)).toEqual(windows[0]?.ids.slice(...own));
      for (const [i, span] of spans.entries()) {
        if (span === undefined) continue;
        expect(typeIds[i]).toBe(1);
        seen.add(span[0]);
      }
    }
    const starts = locateTokens(piecesIn("demo"), words).map(({ span }) => span[0]);
    expect([...seen].toSorted((a, b) => a - b)).toEqual([...new Set(starts)]);
    const [first, second] = windows;
    const shared = first?.spans.filter((a) =>
      second?.spans.some((b) => a !== undefined && b?.[0] === a[0]),
    );
    expect(shared).toHaveLength(10);
  });

  test("a context that fits is one window, the same as the pair of texts", () => {
    const [window, ...more] = tokenizer.windows("what is it", "A fine film.", 64);
    expect(more).toEqual([]);
    const pair = tokenizer.encode({ text: "what is it", textPair: "A fine film." }, 64);
    expect(window?.ids).toEqual(pair.ids);
    expect(window?.typeIds).toEqual(pair.typeIds);
  });

  test.skipIf(!hasShared)("every answer of a data set is found in them (../shared)", () => {
    interface Squad {
      readonly data: readonly {
        readonly paragraphs: readonly {
          readonly context: string;
          readonly qas: readonly {
            readonly question: string;
            readonly answers: readonly { readonly text: string; readonly answer_start: number }[];
          }[];
        }[];
      }[];
    }
    const path = shared("datasets", "xquad_en", "xquad.en.json");
    const { data } = JSON.parse(readFileSync(path, "utf8")) as Squad;
    let [all, found] = [0, 0];
    for (const { context, qas } of data.flatMap(({ paragraphs }) => paragraphs.slice(0, 1))) {
      for (const { question, answers } of qas) {
        const [answer] = answers;
        if (answer === undefined) continue;
        const [start, end] = [answer.answer_start, answer.answer_start + answer.text.length];
        const windows = tokenizer.windows(question, context, 384);
        const texts = windows.map(({ spans }) => {
          const inside = spans.filter((s) => s !== undefined && s[0] < end && s[1] > start);
          return context.slice(inside[0]?.[0] ?? 0, inside.at(-1)?.[1] ?? 0);
        });
        all++;
        if (texts.some((text) => normalized(text) === normalized(answer.text))) found++;
      }
    }
    expect(all).toBeGreaterThan(200);
    expect(found / all).toBeGreaterThan(0.99);
  });
});

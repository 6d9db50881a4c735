// Which letters of a text each of its tokens came from: what extracting an answer needs, and the tokenizers' library does not tell.
import type { Pieces } from "./pieces.js";

export interface Located {
  readonly token: string;
  /** Start and end (exclusive) in the text, in UTF-16 units. */
  readonly span: readonly [start: number, end: number];
}

/**
 * Tokens of a text with their places. The text is taken word by word (what stands between white space), which gives the tokens of the whole
 * text in every vocabulary whose pieces do not cross white space. Within a word, the letters of each piece are looked for one after the
 * other, as the tokenizer may have changed them (case, accents); where they are not found, the piece has the whole word.
 */
export function locateTokens(pieces: Pieces, text: string): Located[] {
  const located: Located[] = [];
  for (const match of text.matchAll(/\S+/gu)) {
    const [word] = match;
    const at = match.index;
    // A vocabulary that marks the beginnings of words must see that this is one within a text.
    const tokens = pieces.tokenize(at === 0 ? word : ` ${word}`);
    for (const [i, [start, end]] of placesIn(word, tokens).entries())
      located.push({ token: tokens[i] ?? "", span: [at + start, at + end] });
  }
  return located;
}

/** Marks of vocabularies: of a word's beginning (SentencePiece, byte-level BPE), of a piece within one (WordPiece), of its end. */
const MARKS = /^(?:##|\u2581|\u0120)|<\/w>$/gu;

function placesIn(word: string, tokens: readonly string[]): (readonly [number, number])[] {
  const whole = [0, word.length] as const;
  const letters = lettersOf(word);
  let at = 0;
  const places: (readonly [number, number])[] = [];
  for (const token of tokens) {
    const piece = [...folded(bytesToText(token.replaceAll(MARKS, "")))];
    if (piece.length === 0) {
      const start = letters[at]?.start ?? word.length;
      places.push([start, start]);
      continue;
    }
    const end = at + piece.length;
    if (!piece.every((letter, k) => letters[at + k]?.letter === letter))
      return tokens.map(() => whole);
    places.push([letters[at]?.start ?? 0, letters[end - 1]?.end ?? word.length]);
    at = end;
  }
  return at === letters.length ? places : tokens.map(() => whole);
}

interface Letter {
  readonly letter: string;
  readonly start: number;
  readonly end: number;
}

function lettersOf(word: string): Letter[] {
  const letters: Letter[] = [];
  let start = 0;
  for (const character of word) {
    const end = start + character.length;
    for (const letter of folded(character)) letters.push({ letter, start, end });
    start = end;
  }
  return letters;
}

/** Without case and accents. */
function folded(text: string): string {
  return text
    .normalize("NFKD")
    .replaceAll(/\p{Mn}/gu, "")
    .toLowerCase();
}

/** Byte-level vocabularies write each byte of UTF-8 as one letter, those that do not print as letters from U+0100 on. */
function bytesToText(piece: string): string {
  if (!/[\u0100-\u0143]/u.test(piece) && !/[\u0080-\u00ff]/u.test(piece)) return piece;
  const bytes = [...piece].map((letter) => BYTE_OF.get(letter));
  if (bytes.some((byte) => byte === undefined)) return piece;
  const text = new TextDecoder().decode(Uint8Array.from(bytes as number[]));
  return text.includes("\ufffd") ? piece : text;
}

/** The alphabet of GPT-2's vocabulary. */
const BYTE_OF: ReadonlyMap<string, number> = (() => {
  const printed = (b: number) =>
    (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
  const map = new Map<string, number>();
  let next = 0x100;
  for (let b = 0; b < 256; b++) map.set(String.fromCodePoint(printed(b) ? b : next++), b);
  return map;
})();

// Scores of answers by the rules of SQuAD (Rajpurkar et al. 2016; unanswerable questions as in 2018): case, punctuation and articles do not count.

export interface AnswerScores {
  readonly exact: boolean;
  /** Of words, 0…1. */
  readonly f1: number;
}

/** The best of an answer against all that are right; none that is right means that only an empty answer is. */
export function answerScores(answer: string, right: readonly string[]): AnswerScores {
  const wanted = right.filter((text) => normalized(text) !== "");
  const scores = (wanted.length === 0 ? [""] : wanted).map((text) => score(answer, text));
  return {
    exact: scores.some(({ exact }) => exact),
    f1: Math.max(...scores.map(({ f1 }) => f1)),
  };
}

/** Small letters, no ASCII punctuation, no articles, one blank between words. */
export function normalized(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[!-/:-@[-`{-~]/g, "")
    .replaceAll(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, " ")
    .split(/\s+/u)
    .filter((word) => word !== "")
    .join(" ");
}

function score(answer: string, right: string): AnswerScores {
  const [a, b] = [normalized(answer), normalized(right)];
  const [got, wanted] = [a, b].map((text) => (text === "" ? [] : text.split(" "))) as [
    string[],
    string[],
  ];
  const exact = a === b;
  if (got.length === 0 || wanted.length === 0) return { exact, f1: exact ? 1 : 0 };
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let same = 0;
  for (const word of got) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    same++;
  }
  if (same === 0) return { exact, f1: 0 };
  const [precision, recall] = [same / got.length, same / wanted.length];
  return { exact, f1: (2 * precision * recall) / (precision + recall) };
}

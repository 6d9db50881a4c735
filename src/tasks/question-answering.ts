// The answer to a question, as a part of its context; long contexts are read in windows. Scored as SQuAD's own script does.
import { dataErrorAt, type DataRecord } from "../data/records.js";
import type { Encoded, Window } from "../data/tokenize.js";
import { TaskError } from "../errors.js";
import { averageOf, shareOf } from "./measure.js";
import { pairOf, TASKS, textRecord } from "./read.js";
import { answerScores, normalized } from "./squad.js";
import { equalRows, type OutputRow, type Task } from "./task.js";

const NAME = "question-answering";
/** As the reference implementations have it. */
const LONGEST_ANSWER = 30;
const STRIDE = 128;

export interface Answer {
  /** The best part of the context; empty where no window holds any. */
  readonly text: string;
  /** Whether the model would rather say that the context holds no answer; counts where some records of the data have none. */
  readonly none: boolean;
}

/** The spans of the context's tokens, and the context itself. */
type Read = Window & { readonly context: string };

export function questionAnswering(): Task<Answer, readonly string[]> {
  return {
    name: NAME,
    inputs: (record) => [pairOf(record, NAME)],
    rows(record, tokenizer, longest) {
      const { text, textPair } = pairOf(record, NAME);
      const windows = tokenizer.windows(text, textPair, longest, STRIDE);
      return windows.map((window): Read => ({ ...window, context: textPair }));
    },
    predict(rows) {
      let best = { score: -Infinity, text: "" };
      let none = Infinity;
      for (const row of rows) {
        const [start, end] = [logitsOf(row, "start_logits"), logitsOf(row, "end_logits")];
        none = Math.min(none, (start[0] ?? NaN) + (end[0] ?? NaN));
        const found = bestSpan(start, end, readOf(row.encoded));
        if (found.score > best.score) best = found;
      }
      return { text: best.text, none: none > best.score };
    },
    reference: (record) => answersOf(record),
    measures(scored) {
      const withNone = scored.some(({ reference }) => reference.length === 0);
      const scores = scored.map(({ prediction, reference }) =>
        answerScores(withNone && prediction.none ? "" : prediction.text, reference),
      );
      return [
        averageOf(
          "f1",
          Float64Array.from(scores, ({ f1 }) => f1),
        ),
        shareOf(
          "exact-match",
          Uint8Array.from(scores, ({ exact }) => (exact ? 1 : 0)),
        ),
      ];
    },
    agreement: (left, right) =>
      equalRows(left, right, (a, b) => normalized(a.text) === normalized(b.text)),
  };
}

function answersOf(record: DataRecord): readonly string[] {
  const { answers, place } = textRecord(record, NAME);
  if (answers !== undefined) return answers;
  throw dataErrorAt(
    place,
    "a question without answers",
    '"answers": a text, a list of texts (empty where the context holds none), or {"text": […]}',
  );
}

function readOf(encoded: Encoded | undefined): Read {
  if (encoded === undefined || !("spans" in encoded))
    throw new Error("internal: no window to read from");
  return encoded as Read;
}

/** The logits of a row's own tokens. Throws TaskError where the model has no such output. */
function logitsOf({ outputs, encoded, padded }: OutputRow, name: string): Float32Array {
  const output = outputs[name];
  if (output?.dims.length !== 1)
    throw new TaskError(
      `The model has no output "${name}" of one number per token: expected start_logits and end_logits, got ${Object.keys(outputs).join(", ")}`,
      TASKS,
    );
  const { first = 0 } = padded ?? {};
  return output.data.subarray(first, first + (encoded?.ids.length ?? output.data.length));
}

/** The likeliest start and end within the context; the first of equal ones. */
function bestSpan(
  start: Float32Array,
  end: Float32Array,
  { spans, context }: Read,
): { score: number; text: string } {
  let best = { score: -Infinity, from: 0, to: 0 };
  for (const [i, from] of spans.entries()) {
    if (from === undefined) continue;
    for (let k = i; k < Math.min(spans.length, i + LONGEST_ANSWER); k++) {
      const to = spans[k];
      if (to === undefined) break;
      const score = (start[i] ?? NaN) + (end[k] ?? NaN);
      if (score > best.score) best = { score, from: from[0], to: to[1] };
    }
  }
  return { score: best.score, text: context.slice(best.from, best.to) };
}

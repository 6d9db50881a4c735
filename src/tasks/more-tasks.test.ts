// Tasks that read more than one number per class: several labels, answers, hidden tokens, images.
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readFolder } from "../data/folder.js";
import type { DataRecord } from "../data/records.js";
import { createTokenizer, type Encoded } from "../data/tokenize.js";
import { DataError, LabelError, TaskError } from "../errors.js";
import { imageClassification } from "./image-classification.js";
import { causalLanguageModelling, maskedLanguageModelling } from "./language-modelling.js";
import { valuesOf } from "./measure.js";
import { multiLabelClassification } from "./multi-label-classification.js";
import { questionAnswering } from "./question-answering.js";
import type { OutputRow } from "./task.js";

const place = { path: "dev.jsonl", line: 4 };
const tokenizer = createTokenizer(
  readFolder(fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url))),
);

function row(
  outputs: Readonly<Record<string, readonly [readonly number[], readonly number[]]>>,
  encoded?: Encoded,
  padded?: OutputRow["padded"],
): OutputRow {
  const entries = Object.entries(outputs).map(([name, [dims, values]]) => [
    name,
    { dims, data: Float32Array.from(values) },
  ]);
  return { outputs: Object.fromEntries(entries) as OutputRow["outputs"], encoded, padded };
}

describe("several labels per text", () => {
  const labels = ["joy", "fear", "anger"];
  const task = multiLabelClassification(labels);
  const text = (label?: string | number, list?: readonly (string | number)[]): DataRecord => ({
    text: "x",
    ...(label === undefined ? {} : { label }),
    ...(list === undefined ? {} : { labels: list }),
    place,
  });

  test("labels are names, numbers, a 0 or 1 for each class, or one text of several names", () => {
    expect(task.reference(text(undefined, ["anger", "joy"]))).toEqual([true, false, true]);
    expect(task.reference(text(undefined, [2]))).toEqual([false, false, true]);
    expect(task.reference(text(undefined, [1, 0, 1]))).toEqual([true, false, true]);
    expect(task.reference(text(undefined, []))).toEqual([false, false, false]);
    expect(task.reference(text("joy, anger"))).toEqual([true, false, true]);
    expect(task.reference(text("fear"))).toEqual([false, true, false]);
    expect(() => task.reference(text("joy|envy"))).toThrow(
      'dev.jsonl, line 4: the label "envy" is not the model\'s. Expected one of joy (0), fear (1), anger (2).',
    );
    expect(() => task.reference(text())).toThrow(LabelError);
  });

  test("a text has the classes whose logit is above 0; scores are scikit-learn's", () => {
    expect(task.predict([row({ logits: [[3], [0.1, -2, 3]] })])).toEqual([true, false, true]);
    const flags = (rows: readonly (readonly number[])[]) => rows.map((r) => r.map((x) => x === 1));
    const references = flags([
      [1, 0, 1],
      [0, 0, 0],
      [1, 1, 0],
      [0, 1, 1],
      [0, 0, 1],
    ]);
    const predictions = flags([
      [1, 0, 0],
      [0, 0, 0],
      [1, 1, 1],
      [0, 1, 1],
      [1, 0, 1],
    ]);
    const scored = references.map((reference, i) => ({
      reference,
      prediction: predictions[i] ?? [],
    }));
    const metrics = valuesOf(task.measures(scored));
    expect(Object.keys(metrics)[0]).toBe("f1-micro");
    expect(metrics["f1-micro"]).toBeCloseTo(0.8, 14);
    expect(metrics["precision-micro"]).toBeCloseTo(0.75, 14);
    expect(metrics["recall-micro"]).toBeCloseTo(0.8571428571428571, 14);
    expect(metrics["f1-macro"]).toBeCloseTo(0.8222222222222223, 14);
    expect(metrics["exact-match"]).toBeCloseTo(0.4, 14);
  });
});

describe("question answering", () => {
  const task = questionAnswering();
  const context = "The film was made by Anna Berg in 1987, and it won a prize.";
  const record: DataRecord = {
    text: "who made it",
    textPair: context,
    answers: ["Anna Berg"],
    place,
  };
  const [read] = task.rows?.(record, tokenizer, 64) ?? [];

  /** Logits with a peak at the tokens of a part of the context. */
  function said(part: string, score: number, none = 0): OutputRow {
    if (read === undefined || !("spans" in read)) throw new Error("no window");
    const spans = read.spans as readonly (readonly [number, number] | undefined)[];
    const from = context.indexOf(part);
    const at = (of: (span: readonly [number, number]) => boolean) =>
      read.ids.map((_, i) => {
        const span = spans[i];
        if (i === 0) return none;
        return span !== undefined && of(span) ? score : 0;
      });
    const length = read.ids.length + 3;
    const padded = (values: number[]) => [9, 9, ...values, 9];
    const start = padded(at(([a]) => a === from));
    const end = padded(at(([, b]) => b === from + part.length));
    return row({ start_logits: [[length], start], end_logits: [[length], end] }, read, {
      first: 2,
      length,
    });
  }

  test("the answer is the letters of the context between the likeliest tokens, padding left out", () => {
    expect(task.predict([said("Anna Berg", 5)])).toEqual({ text: "Anna Berg", none: false });
    expect(task.predict([said("1987", 5)])).toEqual({ text: "1987", none: false });
    expect(task.predict([said("1987", 5, 9)])).toEqual({ text: "1987", none: true });
  });

  test("of several windows the one with the highest score answers", () => {
    expect(task.predict([said("1987", 4), said("a prize", 6)]).text).toBe("a prize");
  });

  test("that there is no answer counts only where the data has such questions", () => {
    const sure = { text: "Anna Berg", none: true };
    const answered = { prediction: sure, reference: ["Anna Berg"] };
    const values = (...scored: (typeof answered)[]) => valuesOf(task.measures(scored));
    expect(values(answered)).toEqual({ f1: 1, "exact-match": 1 });
    expect(values(answered, { prediction: sure, reference: [] })).toEqual({
      f1: 0.5,
      "exact-match": 0.5,
    });
  });

  test("asks for a context, answers, and a model with start and end", () => {
    expect(task.reference(record)).toEqual(["Anna Berg"]);
    expect(() => task.reference({ text: "who", textPair: "x", place })).toThrow(
      "dev.jsonl, line 4: a question without answers",
    );
    expect(() => task.inputs({ text: "who", place })).toThrow("Expected a pair of texts");
    expect(() => task.predict([row({ logits: [[2], [0, 1]] }, read)])).toThrow(
      'no output "start_logits"',
    );
  });
});

describe("language modelling", () => {
  const encoded = (ids: number[]): Encoded => ({
    ids,
    typeIds: ids.map(() => 0),
    own: [0, ids.length],
    cut: 0,
  });
  const logits = [1, 2, 0.5, 0.1, -1, 3, 2, 2.5, -0.5, 9, 9, 9];

  test("causal: each token by those before it; the perplexity is exp of the mean loss", () => {
    const task = causalLanguageModelling();
    const prediction = task.predict([row({ logits: [[4, 3], logits] }, encoded([0, 1, 2, 1]))]);
    expect(prediction).toMatchObject({ tokens: 3, right: 3 });
    const metrics = valuesOf(task.measures([{ prediction, reference: undefined }]));
    expect(metrics["perplexity"]).toBeCloseTo(1.4142225825250403, 6);
    expect(task.measures([])[0]?.better).toBe("lower");
    expect(task.unlabelled).toBe(true);
  });

  test("masked: about 15 % of a text's own tokens are hidden, the same ones each time", () => {
    const task = maskedLanguageModelling();
    const texts = Array.from(
      { length: 60 },
      (_, i) => `a fine and quiet film of number ${i} or so`,
    );
    let [hidden, all] = [0, 0];
    for (const text of texts) {
      const [first] = task.rows?.({ text }, tokenizer, 64) ?? [];
      const [again] = task.rows?.({ text }, tokenizer, 64) ?? [];
      expect(again).toEqual(first);
      const plain = tokenizer.encode({ text }, 64);
      const masked = first?.ids.filter((id, i) => id !== plain.ids[i]).length ?? 0;
      expect(masked).toBeGreaterThan(0);
      expect([first?.ids[0], first?.ids.at(-1)]).toEqual([plain.ids[0], plain.ids.at(-1)]);
      hidden += masked;
      all += plain.ids.length - 2;
    }
    expect(hidden / all).toBeGreaterThan(0.1);
    expect(hidden / all).toBeLessThan(0.22);
  });

  test("a tokenizer with more tokens than the model has logits is an error", () => {
    const task = causalLanguageModelling();
    expect(() =>
      task.predict([row({ logits: [[2, 3], logits.slice(0, 6)] }, encoded([0, 7]))]),
    ).toThrow(TaskError);
  });
});

describe("image classification", () => {
  const task = imageClassification(["cat", "dog"]);
  const pixels = { dtype: "float32", dims: [3, 2, 2], data: new Float32Array(12) } as const;

  test("takes ready inputs with a label, and no text", () => {
    const record: DataRecord = { inputs: { pixel_values: pixels }, label: "Dog", place };
    expect(task.inputs(record)).toEqual([]);
    expect(task.reference(record)).toBe(1);
    expect(() => task.inputs({ text: "a dog", place })).toThrow(DataError);
    expect(() => task.reference({ inputs: { pixel_values: pixels }, place })).toThrow(
      "dev.jsonl, line 4: no label. Expected one of cat (0), dog (1).",
    );
  });

  test("predicts the class of the largest logit", () => {
    expect(task.predict([row({ logits: [[2], [1, 3]] })])).toMatchObject({ label: "dog" });
  });
});

import { describe, expect, test } from "vitest";
import type { FolderFiles } from "../data/configuration.js";
import type { DataRecord } from "../data/records.js";
import { DataError, LabelError, TaskError } from "../errors.js";
import { chooseTask } from "./choose.js";
import { valuesOf } from "./measure.js";
import { regression } from "./regression.js";
import { embeddingOf, poolingOf, sentenceEmbedding } from "./sentence-embedding.js";
import type { OutputRow } from "./task.js";
import { textClassification } from "./text-classification.js";
import { tokenClassification } from "./token-classification.js";

const row = (
  outputs: Readonly<Record<string, readonly [dims: readonly number[], values: readonly number[]]>>,
  words?: OutputRow["words"],
): OutputRow => ({
  outputs: Object.fromEntries(
    Object.entries(outputs).map(([name, [dims, values]]) => [
      name,
      { dims, data: Float32Array.from(values) },
    ]),
  ),
  words,
});

const place = { path: "dev.tsv", line: 3 };
const text = (label?: string | number): DataRecord => ({ text: "Good.", label, place });

describe("text classification", () => {
  const task = textClassification(["negative", "positive"]);

  test("predicts the class of the largest logit, with its name and probabilities", () => {
    expect(task.predict([row({ logits: [[2], [0, 0]] })])).toEqual({
      class: 0,
      label: "negative",
      probabilities: [0.5, 0.5],
    });
    expect(
      task.predict([
        row({
          other: [
            [2, 2],
            [9, 0, 0, 9],
          ],
          out: [[2], [-1, 4]],
        }),
      ]),
    ).toMatchObject({
      class: 1,
      label: "positive",
    });
  });

  test("takes a label by its name, its number or its number as text", () => {
    expect(["positive", 1, "1", "negative", 0].map((l) => task.reference(text(l)))).toEqual([
      1, 1, 1, 0, 0,
    ]);
    expect(textClassification([]).reference(text("17"))).toBe(17);
  });

  test("says where a label is missing or unknown, and what the model knows", () => {
    expect(() => task.reference(text("neutral"))).toThrow(
      new LabelError("neutral", "dev.tsv, line 3", ["negative (0)", "positive (1)"]),
    );
    for (const label of [undefined, 2, -1, 0.5, "", " "])
      expect(() => task.reference(text(label))).toThrow(LabelError);
  });

  test("refuses words, logits of another count, and a model without such an output", () => {
    expect(() => task.inputs({ tokens: ["a"], place })).toThrow(DataError);
    expect(() => task.predict([row({ logits: [[3], [0, 0, 1]] })])).toThrow(
      "gives 3 logits, its config.json names 2 classes",
    );
    expect(() => task.predict([row({ hidden: [[4, 2], Array(8).fill(0) as number[]] })])).toThrow(
      "expected one with 1 axes per row, got hidden [4, 2]",
    );
  });

  test("its first metric is the accuracy", () => {
    const scored = [0, 1, 1].map((reference, i) => ({
      prediction: { class: i % 2, label: "", probabilities: [0, 1] },
      reference,
    }));
    const measures = task.measures(scored);
    expect(valuesOf(measures)).toMatchObject({ accuracy: 2 / 3 });
    expect(measures[0]?.name).toBe("accuracy");
  });
});

describe("regression", () => {
  test("the one logit is the score; labels are numbers, as text too", () => {
    const task = regression();
    expect(task.predict([row({ logits: [[1], [0.75]] })])).toBe(0.75);
    expect([0.5, "3.2", "-1"].map((label) => task.reference(text(label)))).toEqual([0.5, 3.2, -1]);
    for (const label of [undefined, "", " ", "good", NaN])
      expect(() => task.reference(text(label))).toThrow(LabelError);
  });

  test("its metrics are the correlations, Pearson's first", () => {
    const scored = [1, 2, 3].map((n) => ({ prediction: n * n, reference: n }));
    const metrics = valuesOf(regression().measures(scored));
    expect(Object.keys(metrics)).toEqual(["pearson", "spearman"]);
    expect(metrics["spearman"]).toBe(1);
  });
});

describe("sentence embedding", () => {
  const hidden = row({
    last_hidden_state: [
      [2, 3],
      [1, 2, 3, 5, 0, -3],
    ],
  });

  test("pools the tokens as the model's folder says", () => {
    expect([...embeddingOf(hidden, "mean")]).toEqual([3, 1, 0]);
    expect([...embeddingOf(hidden, "cls")]).toEqual([1, 2, 3]);
    expect([...embeddingOf(hidden, "max")]).toEqual([5, 2, 3]);
    expect(poolingOf({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false })).toBe(
      "cls",
    );
    expect(poolingOf({ pooling_mode: "max" })).toBe("max");
    expect(poolingOf()).toBe("mean");
    expect(() => poolingOf({ pooling_mode_weightedmean_tokens: true })).toThrow(TaskError);
    expect(() =>
      poolingOf({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: true }),
    ).toThrow("cls, mean");
  });

  test("the model's own embedding goes before pooling", () => {
    const own = row({
      last_hidden_state: [
        [1, 2],
        [9, 9],
      ],
      sentence_embedding: [[2], [1, 2]],
    });
    expect([...embeddingOf(own, "mean")]).toEqual([1, 2]);
  });

  test("predicts the cosine of the two texts of a pair, and asks for a pair", () => {
    const task = sentenceEmbedding("mean");
    expect(task.inputs({ text: "a", textPair: "b" })).toEqual([{ text: "a" }, { text: "b" }]);
    expect(task.predict([hidden, hidden])).toBeCloseTo(1, 12);
    expect(() => task.inputs(text())).toThrow(
      "dev.tsv, line 3: one text. Expected a pair of texts",
    );
  });
});

describe("token classification", () => {
  const task = tokenClassification(["O", "B-x", "I-x"]);
  const logits = (...classes: number[]): number[] =>
    classes.flatMap((c) => [0, 1, 2].map((i) => (i === c ? 1 : 0)));

  test("the first token of a word speaks for it, special tokens for none", () => {
    const words = [undefined, 0, 0, 1, 3, undefined];
    const output = row({ logits: [[6, 3], logits(2, 1, 0, 2, 1, 1)] }, words);
    expect(task.predict([output])).toEqual(["B-x", "I-x", undefined, "B-x"]);
  });

  test("words that the model did not see count neither for nor against it", () => {
    const scored = [{ prediction: ["B-x", undefined, "O"], reference: ["B-x", "B-x", "O", "B-x"] }];
    const metrics = valuesOf(task.measures(scored));
    expect(metrics).toEqual({ f1: 1, precision: 1, recall: 1, accuracy: 1 });
  });

  test("entities are held together by their sentence", () => {
    const scored = [
      { prediction: ["B-x"], reference: ["B-x"] },
      { prediction: ["I-x", "O"], reference: ["O", "B-x"] },
    ];
    const metrics = valuesOf(task.measures(scored));
    expect(metrics).toEqual({ f1: 0.5, precision: 0.5, recall: 0.5, accuracy: 1 / 3 });
  });

  test("labels are asked of each word, as names or numbers", () => {
    expect(task.reference({ tokens: ["a", "b"], labels: ["B-x", 2] })).toEqual(["B-x", "I-x"]);
    expect(() => task.reference({ tokens: ["a"], place })).toThrow(LabelError);
    expect(() => task.reference({ tokens: ["a"], labels: ["B-y"], place })).toThrow("B-y");
    expect(() => task.inputs(text())).toThrow(DataError);
    expect(() => tokenClassification([])).toThrow("id2label");
  });

  test("refuses logits of another count", () => {
    const output = row(
      {
        logits: [
          [1, 2],
          [0, 1],
        ],
      },
      [0],
    );
    expect(() => task.predict([output])).toThrow("2 logits per token, its config.json names 3");
  });
});

describe("the task of a model", () => {
  const folder = (config: Record<string, unknown>, more: Partial<FolderFiles> = {}) => ({
    folder: "m",
    config,
    ...more,
  });
  const sequence = { architectures: ["AnythingForSequenceClassification"] };

  test("is told by its head, its kind of problem and its pooling, never by its name", () => {
    const two = { ...sequence, id2label: { 0: "no", 1: "yes" } };
    expect(chooseTask(folder(two)).name).toBe("text-classification");
    expect(chooseTask(folder({ ...sequence, id2label: { 0: "LABEL_0" } })).name).toBe("regression");
    expect(chooseTask(folder({ ...two, problem_type: "regression" })).name).toBe("regression");
    expect(chooseTask(folder({ ...two, problem_type: "multi_label_classification" })).name).toBe(
      "multi-label-classification",
    );
    for (const [head, name] of [
      ["ForQuestionAnswering", "question-answering"],
      ["ForMaskedLM", "masked-language-modelling"],
      ["ForCausalLM", "causal-language-modelling"],
      ["LMHeadModel", "causal-language-modelling"],
      ["ForImageClassification", "image-classification"],
    ])
      expect(chooseTask(folder({ architectures: [`Any${head}`] })).name).toBe(name);
    const tokens = { architectures: ["XForTokenClassification"], id2label: { 0: "O" } };
    expect(chooseTask(folder(tokens)).name).toBe("token-classification");
    expect(chooseTask(folder({ architectures: ["BertModel"] }, { pooling: {} })).name).toBe(
      "sentence-embedding",
    );
  });

  test("may be named where the folder does not tell it; the error lists the tasks", () => {
    expect(chooseTask(folder({}), { task: "regression" }).name).toBe("regression");
    expect(() => chooseTask(folder({}))).toThrow(
      "name it with --task. Tasks are text-classification, multi-label-classification,",
    );
  });
});

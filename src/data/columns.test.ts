import { describe, expect, test } from "vitest";
import { DataError } from "../errors.js";
import { recordOf, type ColumnOptions, type Row } from "./columns.js";
import { placeOf } from "./records.js";

const place = { path: "dev.tsv", line: 7 };
const read = (row: Row, options?: ColumnOptions) => {
  const { place: _place, ...record } = recordOf(row, place, options);
  return record;
};

describe("texts", () => {
  test("are found by their usual names, the first that is there counts", () => {
    expect(read({ sentence: "a", label: 1 })).toEqual({ text: "a", label: 1 });
    expect(read({ content: "b", text: "a" })).toEqual({ text: "a" });
    expect(read({ premise: "a", hypothesis: "b", label: "entails" })).toEqual({
      text: "a",
      textPair: "b",
      label: "entails",
    });
    expect(read({ sentence1: "a", sentence2: "b", score: "3.2", id: "9" })).toEqual({
      text: "a",
      textPair: "b",
      label: "3.2",
    });
  });

  test("come with the pair that belongs to them", () => {
    const text = (row: Row, options?: ColumnOptions) => {
      const record = read(row, options);
      return "text" in record ? [record.text, record.textPair] : [];
    };
    // QNLI asks whether the sentence answers the question: either alone says nothing.
    expect(text({ question: "q", sentence: "s", label: 1 })).toEqual(["q", "s"]);
    expect(text({ sentence: "s", question: "q" })).toEqual(["q", "s"]);
    expect(text({ id: 1, context: "c", question: "q" })).toEqual(["q", "c"]);
    expect(text({ question1: "a", question2: "b" })).toEqual(["a", "b"]);
    expect(text({ text: "t", sentence2: "s" })).toEqual(["t", undefined]);
    expect(text({ question: "q" })).toEqual(["q", undefined]);
    expect(text({ question: "q", sentence: "s" }, { text: "sentence" })).toEqual(["s", undefined]);
    expect(text({ question: "q", sentence: "s" }, { textPair: "question" })).toEqual(["s", "q"]);
  });

  test("are found by the names that the user gives, and by no others", () => {
    const options = { text: "body", textPair: "title", label: "stars" };
    expect(read({ text: "x", body: "a", title: "b", stars: 4 }, options)).toEqual({
      text: "a",
      textPair: "b",
      label: 4,
    });
    for (const missing of ["body", "title", "stars"]) {
      const row = { text: "x", body: "a", title: "b", stars: 4 };
      const rest = Object.fromEntries(Object.entries(row).filter(([name]) => name !== missing));
      expect(() => recordOf(rest, place, options)).toThrow(
        `dev.tsv, line 7: no "${missing}" among the columns text`,
      );
    }
  });

  test("need no label: an empty one and null are none", () => {
    expect(read({ text: "a", label: "" })).toEqual({ text: "a" });
    expect(read({ text: "a", label: null, text_pair: null })).toEqual({ text: "a" });
    expect(read({ text: "", label: 0 })).toEqual({ text: "", label: 0 });
  });

  test("of another type are refused, with the place", () => {
    expect(() => recordOf({ text: 5 }, place)).toThrow('dev.tsv, line 7: "text" is a number');
    expect(() => recordOf({ text: null }, place)).toThrow('"text" is null, not a text');
    expect(() => recordOf({ text: "a", text_pair: ["b"] }, place)).toThrow('"text_pair" is a list');
    expect(() => recordOf({ text: "a", label: true }, place)).toThrow('"label" is a boolean');
    expect(() => recordOf({ text: "a", label: NaN }, place)).toThrow(DataError);
    expect(() => recordOf({ id: 1, stars: 2 }, place)).toThrow(
      "no text among the columns id, stars",
    );
    expect(() => recordOf({}, place)).toThrow("no text among no columns");
  });

  test("names of Object's prototype are no columns", () => {
    expect(() => recordOf({ a: "x" }, place, { text: "toString" })).toThrow('no "toString" among');
  });
});

describe("words", () => {
  test("come with a label each, or with none", () => {
    expect(read({ tokens: ["a", "b"], labels: ["O", "B-x"] })).toEqual({
      tokens: ["a", "b"],
      labels: ["O", "B-x"],
    });
    expect(read({ words: ["a"], ner_tags: [3] })).toEqual({ tokens: ["a"], labels: [3] });
    expect(read({ tokens: ["a"] })).toEqual({ tokens: ["a"] });
  });

  test("with too few labels, or with something else than texts, are refused", () => {
    expect(() => recordOf({ tokens: ["a", "b"], labels: ["O"] }, place)).toThrow(
      "2 tokens with 1 labels. Expected a label for each of the tokens",
    );
    expect(() => recordOf({ tokens: ["a", 1] }, place)).toThrow("something else than texts");
    expect(() => recordOf({ tokens: ["a"], labels: "O" }, place)).toThrow("no list of labels");
  });

  test("are found by the name that the user gives, which must hold a list", () => {
    const row = { forms: ["a"], text: "b", tags: ["O"] };
    expect(read(row, { tokens: "forms" })).toEqual({ tokens: ["a"], labels: ["O"] });
    expect(() => recordOf(row, place, { tokens: "text" })).toThrow(
      '"text" is a string, not a list',
    );
    expect(() => recordOf(row, place, { tokens: "words" })).toThrow('no "words" among');
    expect(() => recordOf(row, place, { tokens: "forms", label: "ner" })).toThrow('no "ner" among');
  });

  test("give way to a text that the user names", () => {
    expect(read({ tokens: ["a"], body: "b" }, { text: "body" })).toEqual({ text: "b" });
  });
});

test("a record knows its place, for messages", () => {
  expect(placeOf(recordOf({ text: "a" }, place))).toBe("dev.tsv, line 7");
  expect(placeOf({ text: "a" })).toBe("A record");
});

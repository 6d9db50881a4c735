import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputNotFilledError } from "../errors.js";
import type { Port } from "../runtime/runtime.js";
import { batchesByLength } from "./batches.js";
import { feedsOf, fixedSizes, type FeedOptions } from "./feeds.js";
import type { Encoded } from "./tokenize.js";

const port = (name: string, more: Partial<Port> = {}): Port => ({
  name,
  dtype: "int64",
  shape: ["batch", "length"],
  ...more,
});

const row = (ids: number[], typeIds = ids.map(() => 0)): Encoded => ({
  ids,
  typeIds,
  own: [0, ids.length],
  cut: 0,
});

const right: FeedOptions = { padding: { id: 9, typeId: 0, side: "right" } };
const left: FeedOptions = { padding: { id: 9, typeId: 0, side: "left" } };

function numbers(ports: readonly Port[], rows: readonly Encoded[], options = right) {
  const feeds = feedsOf(ports, rows, options);
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { data }]) => [name, Array.from(data, Number)]),
  );
}

describe("feeds", () => {
  test.each([
    ["input_ids:0", "input_mask:0", "segment_ids:0"],
    ["serving_default_input_word_ids:0", "mask", "input_type_ids"],
    ["ids", "attention_mask", "type_ids"],
  ])("fill %s, %s and %s as BERT's inputs", (ids, mask, types) => {
    const found = numbers(
      [ids, mask, types].map((name) => port(name)),
      [row([5, 6], [0, 1])],
    );
    expect(Object.values(found)).toEqual([
      [5, 6],
      [1, 1],
      [0, 1],
    ]);
  });

  const rows = [row([5, 6, 7], [0, 0, 1]), row([8])];

  test("are padded to the longest row, the mask tells padding", () => {
    const ports = ["input_ids", "attention_mask", "token_type_ids"].map((name) => port(name));
    expect(numbers(ports, rows)).toEqual({
      input_ids: [5, 6, 7, 8, 9, 9],
      attention_mask: [1, 1, 1, 1, 0, 0],
      token_type_ids: [0, 0, 1, 0, 0, 0],
    });
    expect(feedsOf(ports, rows, right)["input_ids"]).toMatchObject({
      dtype: "int64",
      dims: [2, 3],
    });
  });

  test("are padded on the left where the tokenizer says so", () => {
    expect(numbers([port("input_ids"), port("attention_mask")], rows, left)).toEqual({
      input_ids: [5, 6, 7, 9, 9, 8],
      attention_mask: [1, 1, 1, 0, 0, 1],
    });
  });

  test("positions count tokens from the table's first row, padding stands before it", () => {
    expect(numbers([port("position_ids")], rows)["position_ids"]).toEqual([0, 1, 2, 0, 0, 0]);
    const options = { ...right, positionOffset: 2 };
    expect(numbers([port("position_ids")], rows, options)["position_ids"]).toEqual([
      2, 3, 4, 2, 1, 1,
    ]);
  });

  test("have the types of the model's inputs", () => {
    const types = (["int32", "float32", "bool", "float16"] as const).map(
      (dtype) =>
        feedsOf([port("attention_mask", { dtype })], [row([1, 2])], right)["attention_mask"]?.data,
    );
    expect(types).toEqual([
      Int32Array.of(1, 1),
      Float32Array.of(1, 1),
      Uint8Array.of(1, 1),
      Uint16Array.of(0x3c00, 0x3c00),
    ]);
  });

  test("fill the batch and the length that the model fixes", () => {
    const fixed = port("input_ids", { shape: [3, 4] });
    expect(fixedSizes([fixed])).toEqual({ batch: 3, length: 4 });
    expect(numbers([fixed], rows)["input_ids"]).toEqual([5, 6, 7, 9, 8, 9, 9, 9, 8, 9, 9, 9]);
    expect(fixedSizes([port("input_ids")])).toEqual({ batch: undefined, length: undefined });
  });

  test("that text cannot fill are refused by name", () => {
    expect(() => feedsOf([port("pixel_values")], rows, right)).toThrow(
      'Input "pixel_values" of the model cannot be filled from text',
    );
    expect(() => feedsOf([port("toString")], rows, right)).toThrow(InputNotFilledError);
    expect(() => feedsOf([port("input_ids", { shape: ["b"] })], rows, right)).toThrow("1 axes");
    expect(() => feedsOf([port("input_ids", { dtype: "string" })], rows, right)).toThrow("string");
  });
});

describe("batches", () => {
  test("hold each row once, shortest first, up to their size", () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 40 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 7 }), (list, size) => {
        const batches = batchesByLength(list, size);
        const order = batches.flat();
        expect(order.toSorted((a, b) => a - b)).toEqual(list.map((_, i) => i));
        const sorted = order.map((i) => list[i] ?? NaN);
        expect(sorted).toEqual(list.toSorted((a, b) => a - b));
        expect(batches.slice(0, -1).every((batch) => batch.length === size)).toBe(true);
      }),
    );
  });

  test("rows of one length keep their order", () => {
    expect(batchesByLength([2, 1, 2, 1, 2], 2)).toEqual([[1, 3], [0, 2], [4]]);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataError } from "../errors.js";
import { feedsFromLists } from "./nested.js";
import { ELEMENTS, type Feeds, type Port, type RunnableDType } from "../runtime/runtime.js";
import { maskOfFeeds, readyFeeds } from "./ready-feeds.js";

const ids: Port = { name: "input_ids", dtype: "int64", shape: ["batch", "length"] };
const mask: Port = { name: "attention_mask", dtype: "int64", shape: ["batch", "length"] };
const pixels: Port = { name: "pixel_values", dtype: "float32", shape: ["batch", 3, null, 2] };

const place = { path: "f.jsonl", line: 3 };
const feeds = (ports: readonly Port[], inputs: Record<string, unknown>): Feeds =>
  readyFeeds(ports, { inputs: feedsFromLists(inputs), place });

const one = (dtype: RunnableDType, value: unknown) =>
  feeds([{ name: "x", dtype, shape: undefined }], { x: value })["x"]?.data;

describe("ready feeds", () => {
  test("get the types of the graph; a row gets the axis of the batch", () => {
    expect(feeds([ids, mask], { attention_mask: [[true, false]], input_ids: [5, 6] })).toEqual({
      input_ids: { dtype: "int64", dims: [1, 2], data: BigInt64Array.of(5n, 6n) },
      attention_mask: { dtype: "int64", dims: [1, 2], data: BigInt64Array.of(1n, 0n) },
    });
    const image = [0, 1, 2].map((c) => [[c, 0.5]]);
    const expected = Float32Array.of(0, 0.5, 1, 0.5, 2, 0.5);
    expect(feeds([pixels], { pixel_values: image })["pixel_values"]).toEqual({
      dtype: "float32",
      dims: [1, 3, 1, 2],
      data: expected,
    });
    expect(feeds([pixels], { pixel_values: [image] })["pixel_values"]?.dims).toEqual([1, 3, 1, 2]);
  });

  test("of the graph's own type are passed through", () => {
    const data = BigInt64Array.of(2n ** 62n);
    const tensor = { dtype: "int64", dims: [1, 1], data } as const;
    expect(readyFeeds([ids], { inputs: { input_ids: tensor } })["input_ids"]?.data).toBe(data);
  });

  test("that are missing or unknown are refused, with the inputs of the graph", () => {
    expect(() => feeds([ids, mask], { input_ids: [1] })).toThrow(
      'f.jsonl, line 3: no input "attention_mask". Expected the inputs of the model: ' +
        "input_ids int64 [batch, length], attention_mask int64 [batch, length].",
    );
    expect(() => feeds([ids], { input_ids: [1], a: [1], b: [1] })).toThrow(
      'unknown inputs "a", "b"',
    );
    expect(() => feeds([ids], { toString: [1] })).toThrow('unknown input "toString"');
  });

  test("with other axes or sizes than the graph's are refused", () => {
    expect(() => feeds([ids], { input_ids: [[[1]]] })).toThrow(
      'the input "input_ids" is [1, 1, 1], the graph takes [batch, length]',
    );
    expect(() => feeds([pixels], { pixel_values: [[[[1, 2, 3]]]] })).toThrow(
      "is [1, 1, 1, 3], the graph takes [batch, 3, ?, 2]",
    );
    expect(() => feeds([{ ...ids, dtype: "string" }], { input_ids: [1] })).toThrow(
      "cannot be fed: its type is string",
    );
  });

  test("with values that the type does not have are refused", () => {
    expect(() => one("int64", [1, 0.5])).toThrow(
      'the input "x" holds 0.5 at element 1, which its type int64 does not have',
    );
    expect(() => one("uint8", [256])).toThrow("holds 256 at element 0");
    expect(() => one("bool", [2])).toThrow("holds 2");
    expect(() => one("int64", [2 ** 53])).toThrow(DataError);
    expect(one("int8", [-128, 127])).toEqual(Int8Array.of(-128, 127));
    expect(one("float16", [1, 0.5])).toEqual(Uint16Array.of(0x3c00, 0x3800));
  });

  test("of any whole numbers come out as they were, or are refused", () => {
    const types = Object.keys(ELEMENTS).filter((name) => /int/.test(name)) as RunnableDType[];
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.maxSafeInteger(), (dtype, value) => {
        const bits = ELEMENTS[dtype].BYTES_PER_ELEMENT * 8;
        const exact = BigInt(value);
        const wrapped = dtype.startsWith("u")
          ? BigInt.asUintN(bits, exact)
          : BigInt.asIntN(bits, exact);
        if (wrapped === exact)
          expect(Array.from(one(dtype, [value]) ?? [], Number)).toEqual([value]);
        else expect(() => one(dtype, [value])).toThrow(DataError);
      }),
    );
  });

  test("say by their mask which tokens count", () => {
    const inputs = feeds([ids, mask], {
      input_ids: [
        [1, 2],
        [3, 0],
      ],
      attention_mask: [
        [1, 1],
        [1, 0],
      ],
    });
    expect(maskOfFeeds(inputs)).toEqual(Uint8Array.of(1, 1, 1, 0));
    expect(maskOfFeeds({})).toBeUndefined();
  });
});

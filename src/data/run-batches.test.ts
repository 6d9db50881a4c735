import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataError, InputNotFilledError, OptionError } from "../errors.js";
import type { Port } from "../runtime/runtime.js";
import type { DataRecord, RecordSource } from "./records.js";
import { batchesFor, batchGroups, type BatchOptions, type RunBatch } from "./run-batches.js";
import type { Tokenizer } from "./tokenize.js";

const port = (name: string, shape: Port["shape"] = ["batch", "length"]): Port => ({
  name,
  dtype: "int64",
  shape,
});
const inputs = ["input_ids", "attention_mask"].map((name) => port(name));

/** A token per word, its id the word's length; 101 before, 102 behind each text. */
const tokenizer: Tokenizer = {
  padding: { id: 0, typeId: 0, side: "right" },
  limit: 10,
  positionOffset: 2,
  specials: { single: 2, pair: 3 },
  encode(input, maxLength = 10) {
    const texts = "words" in input ? [input.words.join(" ")] : [input.text, input.textPair];
    const parts = texts.flatMap((text) => (text === undefined ? [] : [text.match(/\w+/g) ?? []]));
    const all = [101, ...parts.flatMap((words) => [...words.map((word) => word.length), 102])];
    const ids = all.length > maxLength ? [...all.slice(0, maxLength - 1), 102] : all;
    const cut = all.length - ids.length;
    return { ids, typeIds: ids.map(() => 0), own: [1, ids.length - 1], cut };
  },
  windows: () => [],
  maskId: undefined,
};

const texts = (...list: string[]): DataRecord[] =>
  list.map((text, i) => ({ text, place: { path: "f", line: i + 1 } }));

async function* stream(records: readonly DataRecord[]): RecordSource {
  yield* records;
  await Promise.resolve();
}

function numbers({ feeds }: RunBatch): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { data }]) => [name, Array.from(data, Number)]),
  );
}

describe("batches of texts", () => {
  test("are padded, with a mask of what counts, shortest rows first", () => {
    const got = batchesFor(inputs, tokenizer, texts("a bb ccc", "dddd"), { batchSize: 2 });
    const [batch, ...more] = got.batches;
    expect(more).toEqual([]);
    expect(batch && numbers(batch)).toEqual({
      input_ids: [101, 4, 102, 0, 0, 101, 1, 2, 3, 102],
      attention_mask: [1, 1, 1, 0, 0, 1, 1, 1, 1, 1],
    });
    expect(batch).toMatchObject({
      mask: Uint8Array.of(1, 1, 1, 0, 0, 1, 1, 1, 1, 1),
      rows: 2,
      records: [1, 0],
      unit: 0,
    });
    expect(got).toMatchObject({ count: 1, rows: 2, truncated: 0, empty: 0 });
  });

  test("padded on the left count on the right", () => {
    const left: Tokenizer = { ...tokenizer, padding: { id: 9, typeId: 0, side: "left" } };
    const [batch] = batchesFor([port("input_ids")], left, texts("a", "b c")).batches;
    expect(batch?.mask).toEqual(Uint8Array.of(0, 1, 1, 1, 1, 1, 1, 1));
  });

  test("count positions from where the table of the model begins", () => {
    const [batch] = batchesFor([port("position_ids")], tokenizer, texts("a", "b c")).batches;
    expect(batch && numbers(batch)["position_ids"]).toEqual([2, 3, 4, 1, 2, 3, 4, 5]);
    const [told] = batchesFor([port("position_ids")], tokenizer, texts("a"), {
      positionOffset: 0,
    }).batches;
    expect(told && numbers(told)["position_ids"]).toEqual([0, 1, 2]);
  });

  test("keep to what the graph fixes; rows that only fill the batch do not count", () => {
    const fixed = inputs.map(({ name }) => port(name, [2, 4]));
    const got = batchesFor(fixed, tokenizer, texts("a", "b", "c d e f"), { batchTokens: 1 });
    const batches = [...got.batches];
    expect(batches.map(({ rows }) => rows)).toEqual([2, 1]);
    expect(batches[1] && numbers(batches[1])["input_ids"]).toEqual([
      101, 1, 1, 102, 101, 1, 1, 102,
    ]);
    expect(batches[1]?.mask).toEqual(Uint8Array.of(1, 1, 1, 1, 0, 0, 0, 0));
    expect(got.truncated).toBe(1);
  });

  test("words and pairs are texts, too", () => {
    const records = [{ tokens: ["a", "bb"] }, { text: "", textPair: "c" }];
    const got = batchesFor(inputs, tokenizer, records, { batchSize: 1 });
    expect([...got.batches].map((batch) => numbers(batch)["input_ids"])).toEqual([
      [101, 1, 2, 102],
      [101, 102, 1, 102],
    ]);
  });

  test("are cut to what the model reads, which is counted", () => {
    const long = "a b c d e f g h i j k";
    const got = batchesFor(inputs, tokenizer, texts("a", long, long), { batchTokens: 10 });
    expect([...got.batches].map(({ feeds }) => feeds["input_ids"]?.dims)).toEqual([
      [1, 3],
      [1, 10],
      [1, 10],
    ]);
    expect(got).toMatchObject({ rows: 3, truncated: 2 });
    expect(batchesFor(inputs, tokenizer, texts("a b c"), { maxLength: 4 }).truncated).toBe(1);
  });

  test("that tokenize to nothing are left out and counted; where all do, the first is named", () => {
    const got = batchesFor(inputs, tokenizer, texts("", "a", "?!"));
    expect(got).toMatchObject({ rows: 1, empty: 2 });
    expect([...got.batches].map(({ records }) => records)).toEqual([[1]]);
    expect(() => batchesFor(inputs, tokenizer, texts("?", ""))).toThrow(
      "f, line 1: this text tokenizes to nothing, and so do all others (2)",
    );
    expect(batchesFor(inputs, tokenizer, []).count).toBe(0);
  });

  test("need a tokenizer, and inputs that text fills", () => {
    expect(() => batchesFor(inputs, undefined, texts("a"))).toThrow(
      "f, line 1: a text, and no tokenizer to make inputs of it",
    );
    const pixels = batchesFor([port("pixel_values")], tokenizer, texts("a"));
    expect(() => [...pixels.batches]).toThrow(InputNotFilledError);
  });
});

describe("batches of ready feeds", () => {
  const ready = (ids: number[], dims: readonly number[], mask = ids.map(() => 1)): DataRecord => ({
    inputs: {
      input_ids: { dtype: "float64", dims, data: Float64Array.from(ids) },
      attention_mask: { dtype: "float64", dims, data: Float64Array.from(mask) },
    },
    place: { path: "f", line: 9 },
  });

  test("are the records, with the mask that they have", () => {
    const records = [...texts("a"), ready([5, 6], [2]), ready([5, 6, 7, 0], [2, 2], [1, 1, 1, 0])];
    const got = batchesFor(inputs, tokenizer, records);
    expect(got).toMatchObject({ count: 3, rows: 4 });
    const [, one, two] = got.batches;
    expect(one).toMatchObject({ rows: 1, records: [1], unit: 1, mask: Uint8Array.of(1, 1) });
    expect(two).toMatchObject({ rows: 2, records: [2], unit: 2, mask: Uint8Array.of(1, 1, 1, 0) });
    expect(two?.feeds["input_ids"]).toEqual({
      dtype: "int64",
      dims: [2, 2],
      data: BigInt64Array.of(5n, 6n, 7n, 0n),
    });
  });

  test("need no tokenizer, and must fit the graph", () => {
    expect([...batchesFor(inputs, undefined, [ready([1], [1])]).batches]).toHaveLength(1);
    const wrong = batchesFor([port("ids")], undefined, [ready([1], [1])]);
    expect(() => [...wrong.batches]).toThrow(DataError);
    expect(() => [...wrong.batches]).toThrow("the inputs of the model: ids int64 [batch, length]");
  });
});

describe("shards", () => {
  const word = fc.constantFrom("a", "bb", "?", "");
  const records = fc
    .array(fc.array(word, { maxLength: 12 }), { minLength: 1, maxLength: 40 })
    .map((list) => texts("x", ...list.map((words) => words.join(" "))));

  const total = (runs: readonly { rows: number; truncated: number; empty: number }[]) => ({
    rows: runs.reduce((sum, run) => sum + run.rows, 0),
    truncated: runs.reduce((sum, run) => sum + run.truncated, 0),
    empty: runs.reduce((sum, run) => sum + run.empty, 0),
  });

  test("together are the run of one: batches, numbers and counts", () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 5 }), (list, count) => {
        const options: BatchOptions = { batchSize: 3, batchTokens: 20 };
        const whole = batchesFor(inputs, tokenizer, list, options);
        const shards = Array.from({ length: count }, (_, index) =>
          batchesFor(inputs, tokenizer, list, { ...options, shard: { index, count } }),
        );
        const batches = shards.flatMap((shard) => [...shard.batches]);
        expect(batches.toSorted((a, b) => a.unit - b.unit)).toEqual([...whole.batches]);
        expect(total(shards)).toEqual(total([whole]));
      }),
    );
  });

  test("of a stream, too, whatever its length", async () => {
    const list = texts(...Array.from({ length: 700 }, (_, i) => "a ".repeat(i % 9)));
    const run = async (options: BatchOptions, samples: number | "all") => {
      const groups = [];
      const source = stream(list);
      for await (const group of batchGroups(inputs, tokenizer, source, { ...options, samples }))
        groups.push(group);
      return groups;
    };
    for (const samples of ["all", 100] as const) {
      const whole = await run({}, samples);
      const shards = [];
      for (const index of [0, 1, 2])
        shards.push(...(await run({ shard: { index, count: 3 } }, samples)));
      const batches = (groups: typeof whole) => groups.flatMap((group) => [...group.batches]);
      expect(batches(shards).toSorted((a, b) => a.unit - b.unit)).toEqual(batches(whole));
      expect(total(shards)).toEqual(total(whole));
      const { rows, empty } = total(whole);
      expect(rows + empty).toBe(samples === "all" ? 700 : 100);
    }
    const rows = batchesOf(await run({}, "all")).flatMap((batch) => batch.records);
    expect(new Set(rows).size).toBe(rows.length);
  });

  test("that there are not are refused before anything is read", async () => {
    const shard = { index: 3, count: 3 };
    expect(() => batchesFor(inputs, tokenizer, texts("a"), { shard })).toThrow(OptionError);
    const groups = batchGroups(inputs, tokenizer, stream([]), { shard, samples: "all" });
    await expect(groups.next()).rejects.toThrow('Option "shard" cannot be 3/3');
  });

  test("a stream of texts that tokenize to nothing is refused", async () => {
    const groups = batchGroups(inputs, tokenizer, stream(texts("", "?")), { samples: "all" });
    await groups.next();
    await expect(groups.next()).rejects.toThrow("this text tokenizes to nothing");
  });
});

function batchesOf(groups: readonly { batches: Iterable<RunBatch> }[]): RunBatch[] {
  return groups.flatMap((group) => [...group.batches]);
}

import fc from "fast-check";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fixture } from "../../test/fixture.js";
import { hasShared, shared } from "../../test/shared.js";
import { DataError, OctavoError } from "../errors.js";
import { memorySource, type ByteSource } from "../onnx/source.js";
import { readParquet } from "./parquet.js";
import { placeOf, type DataRecord } from "./records.js";
import type { SourceOptions } from "./sources.js";

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "base64"));
}

// Written by pyarrow 26. SENTENCES has the columns sentence, label, blob in groups of two rows, dictionaries and snappy; the text of its fifth
// row is null, and its blobs are no UTF-8. WORDS has lists, PAIRS is plain without compression, FEEDS has a struct of lists.
const SENTENCES = fromBase64(`
  UEFSMRUEFS4VMkwVBBUAEgAAF1gJAAAAZ29vZCBmaWxtBgAAAGJhZCDDqRUAFRIVFiwVBBUQFQYVBhw2ACgJZ29vZCBmaWxtGAZiYWQgw6kREQ
  AAAAkgAgAAAAQBAQMCFQQVIBUkTBUEFQASAAAQPAEAAAAAAAAAAAAAAAAAAAAVABUSFRYsFQQVEBUGFQYcGAgBAAAAAAAAABgIAAAAAAAAAAAW
  ACgIAQAAAAAAAAAYCAAAAAAAAAAAEREAAAAJIAIAAAAEAQEDAhUEFQwVEEwVAhUAEgAABhQCAAAAAP8VABUSFRYsFQQVEBUGFQYcNgAoAgD/GA
  IA/xERAAAACSACAAAABAEBBAAVBBUaFR5MFQQVABIAAA0wAAAAAAUAAABxCiJ4IhUAFRIVFiwVBBUQFQYVBhw2ACgFcQoieCIYABERAAAACSAC
  AAAABAEBAwIVBBUQFRRMFQIVABIAAAgcAQAAAAAAAAAVABUSFRYsFQQVEBUGFQYcGAgBAAAAAAAAABgIAQAAAAAAAAAWAigIAQAAAAAAAAAYCA
  EAAAAAAAAAEREAAAAJIAIAAAADAgECABUEFQwVEEwVAhUAEgAABhQCAAAAAP8VABUSFRYsFQQVEBUGFQYcNgAoAgD/GAIA/xERAAAACSACAAAA
  BAEBBAAVBBUAFQJMFQAVABIAAAAVABUOFRIsFQIVEBUGFQYcNgIAAAAHGAIAAAACAAAVBBUQFRRMFQIVABIAAAgcAAAAAAAAAAAVABUSFRYsFQ
  IVEBUGFQYcGAgAAAAAAAAAABgIAAAAAAAAAAAWACgIAAAAAAAAAAAYCAAAAAAAAAAAEREAAAAJIAIAAAACAQECABUEFQwVEEwVAhUAEgAABhQC
  AAAAAP8VABUSFRYsFQIVEBUGFQYcNgAoAgD/GAIA/xERAAAACSACAAAAAgEBAgAVBBlMNQAYBnNjaGVtYRUGABUMJQIYCHNlbnRlbmNlJQBMHA
  AAABUEJQIYBWxhYmVsABUMJQIYBGJsb2IAFgoZPBk8JgAcFQwZNQAGEBkYCHNlbnRlbmNlFQIWBBawARa4ASZWJggcNgAoCWdvb2QgZmlsbRgG
  YmFkIMOpEREAGSwVBBUAFQIAFQAVEBUCADwWHhkGGSYABAAAACYAHBUEGTUABhAZGAVsYWJlbBUCFgQWzAEW1AEmgAImwAEcGAgBAAAAAAAAAB
  gIAAAAAAAAAAAWACgIAQAAAAAAAAAYCAAAAAAAAAAAEREAGSwVBBUAFQIAFQAVEBUCADwpBhkmAAQAAAAmABwVDBk1AAYQGRgEYmxvYhUCFgQW
  eBaAASbAAyaUAxw2ACgCAP8YAgD/EREAGSwVBBUAFQIAFQAVEBUCADwWCBkGGSYABAAAABb0AxYEJggWjAQAGTwmABwVDBk1AAYQGRgIc2VudG
  VuY2UVAhYEFogBFpABJs4EJpQEHDYAKAVxCiJ4IhgAEREAGSwVBBUAFQIAFQAVEBUCADwWChkGGSYABAAAACYAHBUEGTUABhAZGAVsYWJlbBUC
  FgQWvAEWxAEm1AUmpAUcGAgBAAAAAAAAABgIAQAAAAAAAAAWAigIAQAAAAAAAAAYCAEAAAAAAAAAEREAGSwVBBUAFQIAFQAVEBUCADwpBhkmAg
  IAAAAmABwVDBk1AAYQGRgEYmxvYhUCFgQWeBaAASaUByboBhw2ACgCAP8YAgD/EREAGSwVBBUAFQIAFQAVEBUCADwWCBkGGSYABAAAABa8AxYE
  JpQEFtQDABk8JgAcFQwZNQAGEBkYCHNlbnRlbmNlFQIWAhZUFlomhggm6AccNgIAGSwVBBUAFQIAFQAVEBUCADwWABkGGSYCAAAAACYAHBUEGT
  UABhAZGAVsYWJlbBUCFgIWvAEWxAEm8ggmwggcGAgAAAAAAAAAABgIAAAAAAAAAAAWACgIAAAAAAAAAAAYCAAAAAAAAAAAEREAGSwVBBUAFQIA
  FQAVEBUCADwpBhkmAAIAAAAmABwVDBk1AAYQGRgEYmxvYhUCFgIWeBaAASayCiaGChw2ACgCAP8YAgD/EREAGSwVBBUAFQIAFQAVEBUCADwWBB
  kGGSYAAgAAABaIAxYCJugHFp4DACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZPBwAABwAABwAAACfAwAAUEFSMQ==
`);

const WORDS = fromBase64(`
  UEFSMRUEFSwVMEwVBhUAEgAAFlQCAAAARVUHAAAAcmVqZWN0cwEAAABhFQAVIhUmLBUIFRAVBhUGHDYCKAdyZWplY3RzGAJFVRERAAAAEUACAA
  AAAwIDAAAAA38AAgMkABUEFSAVJEwVBBUAEgAAEDwDAAAAAAAAAAAAAAAAAAAAFQAVIBUkLBUIFRAVBhUGHBgIAwAAAAAAAAAYCAAAAAAAAAAA
  FgIoCAMAAAAAAAAAGAgAAAAAAAAAABERAAAAEDwCAAAAAwIDAAAAA38AAQMGFQQZfDUAGAZzY2hlbWEVBAA1AhgGdG9rZW5zFQIVBkw8AAAANQ
  QYBGxpc3QVAgAVDCUCGAdlbGVtZW50JQBMHAAAADUCGAhuZXJfdGFncxUCFQZMPAAAADUEGARsaXN0FQIAFQQlAhgHZWxlbWVudAAWBhkcGSwm
  ABwVDBk1AAYQGTgGdG9rZW5zBGxpc3QHZWxlbWVudBUCFggWsgEWugEmVCYIHDYCKAdyZWplY3RzGAJFVRERABksFQQVABUCABUAFRAVAgA8Fh
  QZJgYCGUYAAgAGAAAAJgAcFQQZNQAGEBk4CG5lcl90YWdzBGxpc3QHZWxlbWVudBUCFggW2gEW4gEmggImwgEcGAgDAAAAAAAAABgIAAAAAAAA
  AAAWAigIAwAAAAAAAAAYCAAAAAAAAAAAEREAGSwVBBUAFQIAFQAVEBUCADwpJgYCGUYAAgAGAAAAFowDFgYmCBacAwAoIHBhcnF1ZXQtY3BwLW
  Fycm93IHZlcnNpb24gMjYuMC4xGSwcAAAcAAAAjAEAAFBBUjE=
`);

const PAIRS = fromBase64(`
  UEFSMRUAFSAVICwVBBUAFQYVBhw2ACgBYhgBYRERAAAAAgAAAAQBAQAAAGEBAAAAYhUAFSAVICwVBBUAFQYVBhw2ACgBZBgBYxERAAAAAgAAAA
  QBAQAAAGMBAAAAZBUAFRwVHCwVBBUAFQYVBhwYBAAAiEAYBAAAAD8WACgEAACIQBgEAAAAPxERAAAAAgAAAAQBAAAAPwAAiEAVBBlMNQAYBnNj
  aGVtYRUGABUMJQIYCHF1ZXN0aW9uJQBMHAAAABUMJQIYCHNlbnRlbmNlJQBMHAAAABUIJQIYBXNjb3JlABYEGRwZPCYAHBUMGSUGABkYCHF1ZX
  N0aW9uFQAWBBZaFlomCDw2ACgBYhgBYRERABkcFQAVABUCADwWBBkGGSYABAAAACYAHBUMGSUGABkYCHNlbnRlbmNlFQAWBBZaFlomYjw2ACgB
  ZBgBYxERABkcFQAVABUCADwWBBkGGSYABAAAACYAHBUIGSUGABkYBXNjb3JlFQAWBBZ6FnomvAE8GAQAAIhAGAQAAAA/FgAoBAAAiEAYBAAAAD
  8REQAZHBUAFQAVAgA8KQYZJgAEAAAAFq4CFgQmCBauAgAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGTwcAAAcAAAcAAAAUQEA
  AFBBUjE=
`);

const ZSTD = fromBase64(`
  UEFSMRUEFRQVJkwVBBUAEgAAKLUv/SAKUQAAAQAAAGEBAAAAYhUAFRIVJCwVBBUQFQYVBhwAAAAotS/9IAlJAAACAAAABAEBAwIVBBUUFSZMFQ
  QVABIAACi1L/0gClEAAAEAAABjAQAAAGQVABUSFSQsFQQVEBUGFQYcAAAAKLUv/SAJSQAAAgAAAAQBAQMCFQQVEBUiTBUEFQASAAAotS/9IAhB
  AAAAAAA/AACIQBUAFRIVJCwVBBUQFQYVBhwAAAAotS/9IAlJAAACAAAABAEBAwIVBBlMNQAYBnNjaGVtYRUGABUMJQIYCHF1ZXN0aW9uJQBMHA
  AAABUMJQIYCHNlbnRlbmNlJQBMHAAAABUIJQIYBXNjb3JlABYEGRwZPCYAHBUMGTUABhAZGAhxdWVzdGlvbhUMFgQWaBaMASZKJggpLBUEFQAV
  AgAVABUQFQIAPBYEGQYZJgAEAAAAJgAcFQwZNQAGEBkYCHNlbnRlbmNlFQwWBBZoFowBJtYBJpQBKSwVBBUAFQIAFQAVEBUCADwWBBkGGSYABA
  AAACYAHBUIGTUABhAZGAVzY29yZRUMFgQWZBaIASbeAiagAiksFQQVABUCABUAFRAVAgA8KQYZJgAEAAAAFrQCFgQmCBagAwAoIHBhcnF1ZXQt
  Y3BwLWFycm93IHZlcnNpb24gMjYuMC4xGTwcAAAcAAAcAAAAPwEAAFBBUjE=
`);

const FEEDS = fromBase64(`
  UEFSMRUEFTAVLkwVBhUAEgAAGAQBAAkBPAIAAAAAAAAAAwAAAAAAAAAVABUgFSQsFQYVEBUGFQYcAAAAEDwCAAAAAwICAAAABgQCAyQAFQQVEB
  UUTBUCFQASAAAIHAEAAAAAAAAAFQAVHhUiLBUGFRAVBhUGHAAAAA84AgAAAAMCAgAAAAYEAQYAFQQZjDUAGAZzY2hlbWEVAgA1AhgGaW5wdXRz
  FQQANQIYCWlucHV0X2lkcxUCFQZMPAAAADUEGARsaXN0FQIAFQQlAhgHZWxlbWVudAA1AhgOYXR0ZW50aW9uX21hc2sVAhUGTDwAAAA1BBgEbG
  lzdBUCABUEJQIYB2VsZW1lbnQAFgQZHBksJgAcFQQZNQAGEBlIBmlucHV0cwlpbnB1dF9pZHMEbGlzdAdlbGVtZW50FQIWBhaSARaUASZSJggp
  LBUEFQAVAgAVABUQFQIAPCkmBAIZVgAAAAAGAAAAJgAcFQQZNQAGEBlIBmlucHV0cw5hdHRlbnRpb25fbWFzawRsaXN0B2VsZW1lbnQVAhYGFn
  AWeCbMASacASksFQQVABUCABUAFRAVAgA8KSYEAhlWAAAAAAYAAAAWggIWBCYIFowCACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4w
  LjEZLBwAABwAAABwAQAAUEFSMQ==
`);

async function read(
  from: Uint8Array | ByteSource,
  options?: SourceOptions,
  atMost = Infinity,
): Promise<DataRecord[]> {
  const source = from instanceof Uint8Array ? memorySource(from) : from;
  const records: DataRecord[] = [];
  for await (const record of readParquet(source, "f.parquet", options)) {
    records.push(record);
    if (records.length >= atMost) break;
  }
  return records;
}

const place = (line: number) => ({ path: "f.parquet", line, unit: "row" });

describe("rows", () => {
  test("of several groups come in order, with their number; whole numbers of 64 bits are labels", async () => {
    const records = await read(SENTENCES, {}, 4);
    expect(records).toEqual([
      { text: "good film", label: 1, place: place(1) },
      { text: "bad é", label: 0, place: place(2) },
      { text: "", place: place(3) },
      { text: 'q\n"x"', label: 1, place: place(4) },
    ]);
    expect(records.map(placeOf)[3]).toBe("f.parquet, row 4");
  });

  test("without a text are named by their number", async () => {
    await expect(read(SENTENCES)).rejects.toThrow(
      'f.parquet: row 5: "sentence" is null, not a text',
    );
  });

  test("hold words, pairs and scores, and ready feeds", async () => {
    expect(await read(WORDS)).toEqual([
      { tokens: ["EU", "rejects"], labels: [3, 0], place: place(1) },
      { tokens: ["a"], labels: [0], place: place(2) },
      { tokens: [], labels: [], place: place(3) },
    ]);
    expect(await read(PAIRS)).toEqual([
      { text: "a", textPair: "c", label: 0.5, place: place(1) },
      { text: "b", textPair: "d", label: 4.25, place: place(2) },
    ]);
    expect(await read(FEEDS, {}, 1)).toMatchObject([
      { inputs: { input_ids: { dims: [2], data: Float64Array.of(1, 2) } } },
    ]);
  });

  test("are read by the names that the user gives; all names are listed where one is missing", async () => {
    const columns = { text: "sentence", label: "score" };
    expect(await read(PAIRS, { columns })).toMatchObject([{ text: "c" }, { text: "d" }]);
    await expect(read(SENTENCES, { columns: { text: "body" } })).rejects.toThrow(
      'row 1: no "body" among the columns sentence, label, blob',
    );
  });
});

test("a row group is read when its rows are asked for, and columns of no use are not", async () => {
  const memory = memorySource(SENTENCES);
  const ranges: [number, number][] = [];
  const source: ByteSource = {
    size: memory.size,
    read(offset, length) {
      ranges.push([offset, length]);
      return memory.read(offset, length);
    },
  };
  await read(source, {}, 1);
  const first = ranges.splice(0);
  await read(source, {}, 4);
  const second = ranges.slice(first.length);
  // The footer with the file's only 512 kB, then one range per group, of text and label alone.
  expect(first.map(([, length]) => length < SENTENCES.length / 4)).toEqual([false, true]);
  expect(second.map(([, length]) => length < SENTENCES.length / 4)).toEqual([true]);
});

/** The same rows in every compression. */
const codecFixture = (codec: string) => fixture(`parquet/${codec}.parquet`);
const CODECS = ["snappy", "gzip", "zstd", "brotli", "lz4"];

describe("compression", () => {
  test.each(CODECS)("by %s gives the rows that the file without any has", async (codec) => {
    const records = await read(codecFixture(codec));
    expect(records).toHaveLength(12);
    expect(records[1]).toEqual({
      text: "a film that is very, good, naïve 日本語 🙂",
      label: 1,
      place: place(2),
    });
    expect(records).toEqual(await read(codecFixture("none")));
  });

  test.skipIf(!hasShared).each(["gzip", "zstd", "brotli", "lz4"])(
    "by %s is read from the shared files, too",
    async (codec) => {
      const path = shared("cases", "parquet-codecs", `${codec}.parquet`);
      const records = await read(Uint8Array.from(readFileSync(path)));
      expect(records.length).toBeGreaterThan(0);
      expect(records.every((record) => "text" in record && record.text !== "")).toBe(true);
    },
  );

  test("of several pages and columns is undone in each", async () => {
    expect(await read(ZSTD)).toEqual(await read(PAIRS));
  });

  test("that is not known is named, with those that are", async () => {
    // The codec's number in the metadata of each column: 6, ZSTD, becomes 3, LZO.
    const [codec, lzo] = [
      [0x15, 0x0c, 0x16, 0x04],
      [0x15, 0x06, 0x16, 0x04],
    ].map((bytes) => String.fromCodePoint(...bytes));
    const text = Buffer.from(ZSTD).toString("latin1");
    const file = Buffer.from(text.replaceAll(codec ?? "", lzo ?? ""), "latin1");
    await expect(read(Uint8Array.from(file))).rejects.toThrow(
      /LZO.*Expected .*snappy, gzip, zstd, brotli or lz4/,
    );
  });
});

describe("files", () => {
  test("that are something else are refused", async () => {
    await expect(read(new Uint8Array(0))).rejects.toThrow(DataError);
    await expect(read(new TextEncoder().encode("text,label\na,1\n"))).rejects.toThrow(DataError);
  });

  test("that are damaged give records or an error of Octavo, and nothing escapes", async () => {
    const file = fc.constantFrom(SENTENCES, WORDS, PAIRS, FEEDS, ...CODECS.map(codecFixture));
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    const escaped: unknown[] = [];
    const listen = (reason: unknown) => escaped.push(reason);
    process.on("unhandledRejection", listen);
    await fc.assert(
      fc.asyncProperty(file, damage, fc.option(fc.nat()), async (whole, bytes, end) => {
        const damaged = whole.slice(0, end === null ? whole.length : end % whole.length);
        for (const [at, value] of bytes) damaged[at % whole.length] = value;
        const error = await read(damaged).catch((e: unknown) => e);
        expect(Array.isArray(error) || error instanceof OctavoError).toBe(true);
      }),
      { numRuns: 1000 },
    );
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listen);
    expect(escaped).toEqual([]);
  });
});

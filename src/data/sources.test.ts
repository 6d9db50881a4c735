import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { DataError } from "../errors.js";
import { linesOf, type Line } from "./lines.js";
import { allRecords, openRecords } from "./record-files.js";
import type { DataRecord } from "./records.js";
import { FORMATS, type SourceOptions } from "./sources.js";

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  await Promise.resolve();
}

const encode = (text: string) => new TextEncoder().encode(text);

async function linesIn(text: string | Uint8Array, size = 1 << 20): Promise<Line[]> {
  const bytes = typeof text === "string" ? encode(text) : text;
  const lines: Line[] = [];
  for await (const line of linesOf(chunksOf(bytes, size), "f")) lines.push(line);
  return lines;
}

function csv(chunks: AsyncIterable<Uint8Array>, path: string) {
  const format = FORMATS[".csv"];
  if (format === undefined) throw new Error("no format .csv");
  return format(chunks, path);
}

async function read(ending: string, text: string, options?: SourceOptions): Promise<DataRecord[]> {
  const format = FORMATS[ending];
  if (format === undefined) throw new Error(`no format ${ending}`);
  return allRecords(format(chunksOf(encode(text), 16), "f", options));
}

describe("lines", () => {
  const texts = async (text: string) => (await linesIn(text)).map((line) => line.text);

  test("end with LF or CRLF; the last needs no end; a byte order mark is left out", async () => {
    expect(await texts("a\nb\r\n\r\nc")).toEqual(["a", "b", "", "c"]);
    expect(await texts("a\n")).toEqual(["a"]);
    expect(await texts("")).toEqual([]);
    expect(await texts("\ufeffa\n\ufeffb")).toEqual(["a", "\ufeffb"]);
    expect(await texts("a\u2028b\u0085c\rd\n")).toEqual(["a\u2028b\u0085c\rd"]);
  });

  test("are the same however the bytes come in chunks", async () => {
    const text = fc.string({ unit: fc.constantFrom("a", "é", "𝄞", "\n", "\r\n", "\t") });
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (whole, size) => {
        const lines = await linesIn(whole, size);
        expect(lines).toEqual(await linesIn(whole));
        expect(lines.map(({ text: t }) => `${t}\n`).join("")).toBe(
          whole === "" || whole.endsWith("\n")
            ? whole.replaceAll("\r\n", "\n")
            : `${whole.replaceAll("\r\n", "\n")}\n`,
        );
      }),
    );
  });

  test("that are no UTF-8 are named", async () => {
    const bytes = Uint8Array.of(...encode("good\n"), 0xc3, 0x28, 0x0a);
    await expect(linesIn(bytes)).rejects.toThrow("f, line 2: bytes that are not UTF-8");
  });
});

describe("tab-separated values", () => {
  test("a quotation mark is text, empty lines are passed over, lines are counted from 1", async () => {
    const text = 'sentence\tlabel\r\nHe said "no.\t0\r\n\r\n"yes"\t1\r\n';
    expect(await read(".tsv", text)).toEqual([
      { text: 'He said "no.', label: "0", place: { path: "f", line: 2 } },
      { text: '"yes"', label: "1", place: { path: "f", line: 4 } },
    ]);
  });

  test("a line with another count of cells is named", async () => {
    await expect(read(".tsv", "text\tlabel\na\t1\nb\n")).rejects.toThrow(
      "f, line 3: 1 cells under 2 columns. Expected a cell for each column",
    );
  });

  test("two columns of one name are refused: either may be meant", async () => {
    await expect(read(".tsv", "text\ttext\na\tb\n")).rejects.toThrow(
      'f, line 1: two columns "text"',
    );
  });

  test("columns may be named by the user", async () => {
    const columns = { text: "b", label: "a" };
    expect(await read(".tsv", "a\tb\n1\tx\n", { columns })).toMatchObject([
      { text: "x", label: "1" },
    ]);
  });
});

describe("comma-separated values", () => {
  test("cells may be quoted; a row's line is the one that it begins on", async () => {
    const text = '\ufeffsentence,label\r\n\r\n"a, ""b""\r\nc",1\r\nplain,0\r\n"",1\r\n';
    expect(await read(".csv", text)).toEqual([
      { text: 'a, "b"\r\nc', label: "1", place: { path: "f", line: 3 } },
      { text: "plain", label: "0", place: { path: "f", line: 5 } },
      { text: "", label: "1", place: { path: "f", line: 6 } },
    ]);
  });

  test("rows that cannot be read are named", async () => {
    const fails = (text: string, why: string) => expect(read(".csv", text)).rejects.toThrow(why);
    await fails("text,label\na,1\nb\n", "f, line 3: 1 cells under 2 columns");
    await fails("text,text\na,b\n", 'f, line 1: two columns "text"');
    await fails('text\na"b\n', "f, line 2: a quotation mark inside of a cell");
    await fails('text\n"a"b\n', "f, line 2: text behind the closing quotation mark");
    await fails('text\na\n"b\n', "a quotation mark that is not closed");
  });

  test("bytes that are no UTF-8 are named by their line, not replaced", async () => {
    const bytes = Uint8Array.of(...encode('text\n"a\nb"\n'), 0xc3, 0x28, 0x0a);
    for (const size of [1, 7, 100]) {
      const rows = allRecords(csv(chunksOf(bytes, size), "f"));
      await expect(rows).rejects.toThrow("f, line 4: bytes that are not UTF-8");
    }
  });

  test("are not read ahead of by more than a few pieces, and the source is closed when it is left", async () => {
    let pieces = 0;
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield encode("text\n");
        for (; pieces < 1000; pieces++) yield encode("a\n".repeat(2000));
        await Promise.resolve();
      } finally {
        closed = true;
      }
    }
    for await (const record of csv(source(), "f")) {
      expect(record).toMatchObject({ text: "a" });
      break;
    }
    expect(pieces).toBeLessThan(10);
    expect(closed).toBe(true);
  });

  test("an error of the source comes through as it is", async () => {
    const failure = new Error("the disk");
    async function* source(): AsyncGenerator<Uint8Array> {
      yield encode("text\na\n");
      await Promise.resolve();
      throw failure;
    }
    await expect(allRecords(csv(source(), "f"))).rejects.toBe(failure);
  });

  test("any cells come back as they were written, however the bytes come in chunks", async () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", "é", "𝄞", '"', ",", "\n", "\r\n", "\r", " "),
    });
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(fc.array(cell, { minLength: 1 }), fc.nat(8), async (texts, size) => {
        const lines = ["text,n", ...texts.map((text, i) => `${quoted(text)},${i}`)];
        const source = chunksOf(encode(`${lines.join("\n")}\n`), size + 1);
        const records = await allRecords(csv(source, "f"));
        expect(records.map((record) => "text" in record && record.text)).toEqual(texts);
        let line = 2;
        for (const [i, text] of texts.entries()) {
          expect(records[i]?.place?.line).toBe(line);
          line += text.split("\n").length;
        }
      }),
    );
  });
});

describe("JSON lines", () => {
  test("an object per line, empty lines are passed over", async () => {
    const text = '{"text": "a", "label": 1}\n\n  \n{"tokens": ["b"], "labels": ["O"]}\n';
    expect(await read(".jsonl", text)).toEqual([
      { text: "a", label: 1, place: { path: "f", line: 1 } },
      { tokens: ["b"], labels: ["O"], place: { path: "f", line: 4 } },
    ]);
  });

  test("inputs are ready feeds, their shape is that of the lists", async () => {
    const text = '{"inputs": {"ids": [[1, 2], [3, 4]], "mask": [true, false], "scale": 0.5}}';
    expect(await read(".jsonl", text)).toEqual([
      {
        inputs: {
          ids: { dtype: "float64", dims: [2, 2], data: Float64Array.of(1, 2, 3, 4) },
          mask: { dtype: "bool", dims: [2], data: Uint8Array.of(1, 0) },
          scale: { dtype: "float64", dims: [], data: Float64Array.of(0.5) },
        },
        place: { path: "f", line: 1 },
      },
    ]);
  });

  test("inputs that are no tensors are named by their line", async () => {
    const fails = (inputs: string, why: string) =>
      expect(read(".jsonl", `{"text": "a"}\n{"inputs": ${inputs}}`)).rejects.toThrow(why);
    await fails(
      '{"ids": [[1, 2], [3]]}',
      'f, line 2: "ids" is ragged: a list of 1 at [1] where a list of 2 should be',
    );
    await fails('{"ids": [1, [2]]}', "a list of 1 at [1] where a number should be");
    await fails('{"ids": [[1], 2]}', "no list at [1] where a list of 1 should be");
    await fails('{"ids": [1, "2"]}', '"ids" holds "2", which is no number');
    await fails('{"ids": null}', '"ids" holds null');
    await fails('{"ids": [1, {"a": 2}]}', '"ids" holds an object, which is no number');
    await fails("{}", '"inputs" names no input');
    await fails(`{"ids": ${"[".repeat(5000)}${"]".repeat(5000)}}`, "more than 16 axes");
  });

  test("what is no JSON object is named by its line", async () => {
    await expect(read(".jsonl", '{"text": "a"}\n{"text": ')).rejects.toThrow(/^f, line 2: no JSON/);
    for (const value of ["[1]", "null", '"text"', "3"])
      await expect(read(".jsonl", value)).rejects.toThrow("f, line 1: no JSON object");
  });
});

describe("files", () => {
  const folder = mkdtempSync(join(tmpdir(), "octavo-data-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  test("are read by their ending, in any case", async () => {
    expect(await allRecords(openRecords(file("a.TSV", "text\nx\n")))).toHaveLength(1);
    expect(await allRecords(openRecords(file("a.jsonl", '{"text": "x"}')))).toHaveLength(1);
    expect(await allRecords(openRecords(file("a.ndjson", '{"text": "x"}')))).toHaveLength(1);
  });

  test("of an unknown ending are refused at once, with the endings that are known", () => {
    expect(() => openRecords("a.xlsx")).toThrow('the ending ".xlsx" is unknown');
    expect(() => openRecords("data")).toThrow("the ending is missing");
    expect(() => openRecords("data")).toThrow(".tsv, .csv, .jsonl");
  });

  test("that are missing or empty are refused by their path", async () => {
    const all = (path: string) => allRecords(openRecords(path));
    await expect(all(join(folder, "none.tsv"))).rejects.toThrow(DataError);
    await expect(all(join(folder, "none.parquet"))).rejects.toThrow("it does not exist");
    await expect(all(file("head.tsv", "text\tlabel\n"))).rejects.toThrow("no record in it");
    await expect(all(file("empty.jsonl", ""))).rejects.toThrow("no record in it");
  });

  test("of a folder are read in the order of their names, those of several one after the other", async () => {
    mkdirSync(join(folder, "parts", "deeper.tsv"), { recursive: true });
    file("parts/b.jsonl", '{"text": "2"}\n');
    file("parts/a.csv", "text\n1\n");
    file("parts/c.TSV", "text\n3\n");
    file("parts/.hidden.tsv", "text\nno\n");
    file("parts/README.md", "text\nno\n");
    const more = file("more.tsv", "sentence\n4\n");
    const texts = async (data: string | string[]) =>
      (await allRecords(openRecords(data))).map((record) => "text" in record && record.text);
    const parts = join(folder, "parts");
    expect(await texts(parts)).toEqual(["1", "2", "3"]);
    expect(await texts([more, parts])).toEqual(["4", "1", "2", "3"]);
  });

  test("a folder without data is refused at once, with what is in it", () => {
    mkdirSync(join(folder, "none"));
    const none = join(folder, "none");
    expect(() => openRecords(none)).toThrow("none: the folder is empty, and no data file");
    file("none/notes.txt", "");
    expect(() => openRecords(none)).toThrow(
      /the folder holds notes\.txt, and no data file\. Expected files with an ending of \.tsv/,
    );
  });

  test("an empty part of a folder is none, where another has records", async () => {
    mkdirSync(join(folder, "partly"));
    file("partly/a.jsonl", "");
    file("partly/b.jsonl", '{"text": "x"}');
    expect(await allRecords(openRecords(join(folder, "partly")))).toHaveLength(1);
  });

  test("may be one list of JSON, which beside other files of a folder describes them", async () => {
    const list = file("list.json", '\uFEFF[{"text": "x", "label": 1}, {"text": "y", "label": 0}]');
    expect(await allRecords(openRecords(list))).toMatchObject([
      { text: "x", label: 1 },
      { text: "y", label: 0 },
    ]);
    await expect(allRecords(openRecords(file("object.json", "{}")))).rejects.toThrow(
      "no JSON list",
    );
    await expect(allRecords(openRecords(file("mixed.json", "[3]")))).rejects.toThrow("entry 1");
    mkdirSync(join(folder, "described"));
    file("described/dataset_info.json", '{"rows": 1}');
    file("described/a.jsonl", '{"text": "x"}');
    expect(await allRecords(openRecords(join(folder, "described")))).toHaveLength(1);
  });

  test("of text may be gzipped; a damaged one is named", async () => {
    const path = join(folder, "a.tsv.gz");
    const packed = gzipSync("text\nx\ny\n");
    writeFileSync(path, packed);
    expect(await allRecords(openRecords(path))).toHaveLength(2);
    writeFileSync(path, packed.subarray(0, packed.length - 9));
    await expect(allRecords(openRecords(path))).rejects.toThrow(DataError);
    writeFileSync(path, "plain");
    await expect(allRecords(openRecords(path))).rejects.toThrow("not gzipped");
    expect(() => openRecords("a.parquet.gz")).toThrow(DataError);
  });
});

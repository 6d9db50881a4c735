import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

describe("JSON lines", () => {
  test("an object per line, empty lines are passed over", async () => {
    const text = '{"text": "a", "label": 1}\n\n  \n{"tokens": ["b"], "labels": ["O"]}\n';
    expect(await read(".jsonl", text)).toEqual([
      { text: "a", label: 1, place: { path: "f", line: 1 } },
      { tokens: ["b"], labels: ["O"], place: { path: "f", line: 4 } },
    ]);
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
    expect(() => openRecords("data")).toThrow(".tsv, .jsonl");
  });

  test("that are missing, folders or empty are refused by their path", async () => {
    const all = (path: string) => allRecords(openRecords(path));
    mkdirSync(join(folder, "folder.tsv"));
    await expect(all(join(folder, "none.tsv"))).rejects.toThrow(DataError);
    await expect(all(join(folder, "folder.tsv"))).rejects.toThrow("folder.tsv: it is a folder");
    await expect(all(file("head.tsv", "text\tlabel\n"))).rejects.toThrow("no record in it");
    await expect(all(file("empty.jsonl", ""))).rejects.toThrow("no record in it");
  });
});

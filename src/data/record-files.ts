// Node only: opens data files and folders of such as sources of records.
import { createReadStream, readdirSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError } from "../errors.js";
import { codeOf, FileSource, systemMessage } from "../onnx/file-source.js";
import type { ByteSource } from "../onnx/source.js";
import { readFeedFile } from "./feed-files.js";
import { readParquet } from "./parquet.js";
import type { DataRecord, RecordSource } from "./records.js";
import { FORMATS, type SourceOptions } from "./sources.js";

type OpenFile = (path: string, options: SourceOptions) => AsyncIterable<DataRecord>;
type Reader = (
  source: ByteSource,
  path: string,
  options: SourceOptions,
) => AsyncIterable<DataRecord>;

/** How a file is read, by the ending of its name. */
const OPENERS: Readonly<Record<string, OpenFile>> = {
  ...Object.fromEntries(
    Object.entries(FORMATS).map(([ending, format]): [string, OpenFile] => [
      ending,
      (path, options) => format(chunksOf(path), path, options),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(FORMATS).map(([ending, format]): [string, OpenFile] => [
      `${ending}.gz`,
      (path, options) => format(unpackedOf(path), path, options),
    ]),
  ),
  ".parquet": inRanges(readParquet),
  ".safetensors": inRanges(readFeedFile),
};

/**
 * The records of a file, its format told by its name's ending; of a folder, of all files in it that have a known ending, in the order of
 * their names; of several of these, one after the other. Files are read as the records are asked for.
 *
 * Throws DataError for an unknown ending and for a folder without data, at once; while reading for a file that cannot be read, for a line
 * that is no record, and where no record was found. A damaged safetensors file is a SafetensorsError.
 */
export function openRecords(
  data: string | readonly string[],
  options: SourceOptions = {},
): RecordSource {
  const paths = typeof data === "string" ? [data] : data;
  const files = paths.flatMap((path) => filesOf(path));
  return {
    async *[Symbol.asyncIterator](): AsyncGenerator<DataRecord> {
      let found = false;
      for (const { path, open } of files)
        for await (const record of open(path, options)) {
          found = true;
          yield record;
        }
      if (!found)
        throw new DataError(paths.join(", "), undefined, "no record in it", "a record per line");
    },
  };
}

interface DataFile {
  readonly path: string;
  readonly open: OpenFile;
}

function filesOf(path: string): DataFile[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return filesIn(path);
  const open = openerOf(path);
  if (open !== undefined) return [{ path, open }];
  const ending = extname(path);
  const detail = `the ending ${ending === "" ? "is missing" : `"${ending}" is unknown`}`;
  throw new DataError(path, undefined, detail, `a file of a format that is read: ${endings()}`);
}

/**
 * Files with other endings (a README, a script) are passed over, and so are hidden ones; a .json beside files of other formats describes
 * them, as data sets have it.
 */
function filesIn(folder: string): DataFile[] {
  const names = readable(folder, () => readdirSync(folder, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name);
  // By code units: the same order on every platform.
  const files = names.toSorted().flatMap((name): DataFile[] => {
    const open = openerOf(name);
    return open === undefined ? [] : [{ path: join(folder, name), open }];
  });
  const others = files.filter(({ path }) => !/\.json(\.gz)?$/i.test(path));
  if (files.length > 0) return others.length > 0 ? others : files;
  const there =
    names.length === 0 ? "is empty" : `holds ${names.toSorted().slice(0, 5).join(", ")}`;
  throw new DataError(
    folder,
    undefined,
    `the folder ${there}${names.length > 5 ? ", …" : ""}, and no data file`,
    `files with an ending of ${endings()}`,
  );
}

function openerOf(path: string): OpenFile | undefined {
  const last = extname(path).toLowerCase();
  const ending = last === ".gz" ? extname(path.slice(0, -last.length)).toLowerCase() + last : last;
  return Object.hasOwn(OPENERS, ending) ? OPENERS[ending] : undefined;
}

function endings(): string {
  const plain = Object.keys(OPENERS).filter((ending) => !ending.endsWith(".gz"));
  return `${plain.join(", ")}; text may be gzipped (.jsonl.gz)`;
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }))
      yield chunk as Buffer;
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function* unpackedOf(path: string): AsyncGenerator<Uint8Array> {
  const packed = createReadStream(path, { highWaterMark: 2 ** 20 });
  try {
    // The pipeline's own promise ends as its last stream does, which is read here.
    for await (const chunk of pipeline(packed, createGunzip(), () => undefined))
      yield chunk as Buffer;
  } catch (error) {
    if (error instanceof Error && "code" in error && String(error.code).startsWith("Z_"))
      throw new DataError(
        path,
        undefined,
        "it is not whole, or not gzipped",
        "a file that gzip wrote",
      );
    throw unreadable(path, error);
  }
}

function inRanges(read: Reader): OpenFile {
  return async function* (path, options) {
    const source = new FileSource(path, (detail) => cannotRead(path, detail));
    try {
      yield* read(source, path, options);
    } finally {
      source.close();
    }
  };
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The error for what the system refused; others as they are. */
function unreadable(path: string, error: unknown): unknown {
  return codeOf(error) === undefined ? error : cannotRead(path, systemMessage(error));
}

function cannotRead(path: string, detail: string): DataError {
  return new DataError(path, undefined, detail, "a data file that can be read");
}

/** All records of a source. */
export async function allRecords(source: RecordSource): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for await (const record of source) records.push(record);
  return records;
}

// Node only: opens data files as sources of records.
import { createReadStream, statSync } from "node:fs";
import { extname } from "node:path";
import { DataError } from "../errors.js";
import { codeOf, systemMessage } from "../onnx/file-source.js";
import type { DataRecord, RecordSource } from "./records.js";
import { FORMATS, type SourceOptions } from "./sources.js";

/**
 * The records of a file, its format told by its name's ending. The file is read as the records are asked for. Throws DataError for an
 * unknown ending, at once; while reading for a file that cannot be read, for a line that is no record, and where no record was found.
 */
export function openRecords(path: string, options: SourceOptions = {}): RecordSource {
  const format = FORMATS[extname(path).toLowerCase()];
  if (format === undefined)
    throw new DataError(
      path,
      undefined,
      `the ending ${extname(path) === "" ? "is missing" : `"${extname(path)}" is unknown`}`,
      `a file of a format that is read: ${Object.keys(FORMATS).join(", ")}`,
    );
  return {
    async *[Symbol.asyncIterator](): AsyncGenerator<DataRecord> {
      let found = false;
      for await (const record of format(chunksOf(path), path, options)) {
        found = true;
        yield record;
      }
      if (!found) throw new DataError(path, undefined, "no record in it", "a record per line");
    },
  };
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    if (statSync(path).isDirectory())
      throw new DataError(path, undefined, "it is a folder", "a data file");
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }))
      yield chunk as Buffer;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    throw new DataError(path, undefined, systemMessage(error), "a data file that can be read");
  }
}

/** All records of a source. */
export async function allRecords(source: RecordSource): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for await (const record of source) records.push(record);
  return records;
}

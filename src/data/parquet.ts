// Rows of Parquet files to records: one row group in memory at a time, and of it only the columns that a record is made of.
import {
  parquetMetadataAsync,
  parquetReadObjects,
  type AsyncBuffer,
  type Compressors,
} from "hyparquet";
import { DataError, OctavoError } from "../errors.js";
import type { ByteSource } from "../onnx/source.js";
import { columnsOfUse, recordOf, type Row } from "./columns.js";
import type { DataRecord } from "./records.js";
import type { SourceOptions } from "./sources.js";

const EXPECTED =
  "a whole Parquet file, compressed with snappy, gzip, zstd, brotli or lz4, or not at all";

type Metadata = Awaited<ReturnType<typeof parquetMetadataAsync>>;

/**
 * The rows of a Parquet file as records. Strings, numbers, lists of them, and a struct `inputs` of lists are understood. Throws DataError for
 * a file that is damaged or compressed in another way, and with the row's number for a row that is no record.
 */
export async function* readParquet(
  source: ByteSource,
  path: string,
  options: SourceOptions = {},
): AsyncGenerator<DataRecord> {
  const file = asyncBuffer(source);
  const metadata = await attempt(path, () => metadataOf(file));
  const names = [...new Set(leavesOf(metadata).map(([name = ""]) => name))];
  const columns = columnsOfUse(names, options.columns);
  const compressors = await compressorsOf(metadata);
  let rowStart = 0;
  for (const { num_rows: count } of metadata.row_groups) {
    const rowEnd = rowStart + Number(count);
    // No column of use: the first row says so.
    const rows: Row[] = await attempt(path, () =>
      columns.length === 0
        ? Promise.resolve(Number(count) === 0 ? [] : [{}])
        : parquetReadObjects({
            file,
            metadata,
            columns,
            rowStart,
            rowEnd,
            parsers: PARSERS,
            compressors,
          }),
    );
    for (const [i, row] of rows.entries()) {
      const place = { path, line: rowStart + i + 1, unit: "row" } as const;
      yield recordOf(plainRow(row), place, options.columns, names);
    }
    rowStart = rowEnd;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true });
/** Texts are UTF-8, or the file is damaged. */
const PARSERS = { stringFromBytes: (bytes: Uint8Array): string => decoder.decode(bytes) };

/** What the reader itself undoes. */
const BUILT_IN: ReadonlySet<string> = new Set(["UNCOMPRESSED", "SNAPPY"]);

/** Decompression for the codecs that the reader lacks; loaded for files that need it alone. */
async function compressorsOf({ row_groups: groups }: Metadata): Promise<Compressors> {
  const codecs = groups.flatMap(({ columns }) => columns.map((column) => column.meta_data?.codec));
  if (codecs.every((codec) => codec === undefined || BUILT_IN.has(codec))) return {};
  const library = await import("hyparquet-compressors");
  const { decompressLz4: LZ4, decompressLz4Raw: LZ4_RAW, decompressBrotli: BROTLI } = library;
  // Into memory of the size that the page's header names: what the compressed bytes claim is not to be trusted.
  const ZSTD = (page: Uint8Array, length: number) =>
    library.decompressZstd(page, new Uint8Array(length));
  return { GZIP: library.decompressGzip, ZSTD, BROTLI, LZ4, LZ4_RAW };
}

/** The library's view of a file: ranges, read when they are asked for. */
function asyncBuffer(source: ByteSource): AsyncBuffer {
  return {
    byteLength: source.size,
    slice(start, end = source.size) {
      if (!(start >= 0 && start <= end && end <= source.size))
        throw new Error(`it names bytes ${start} to ${end} of ${source.size}`);
      const bytes = source.read(start, end - start);
      const { buffer, byteOffset, byteLength } = bytes;
      return buffer instanceof ArrayBuffer && byteLength === buffer.byteLength
        ? buffer
        : new Uint8Array(buffer, byteOffset, byteLength).slice().buffer;
    },
  };
}

/** The footer, held against the file before anything is allocated by it. */
async function metadataOf(file: AsyncBuffer): Promise<Metadata> {
  if (file.byteLength < 12) throw new Error(`it has ${file.byteLength} bytes`);
  const metadata = await parquetMetadataAsync(file, { geoparquet: false });
  const leaves = leavesOf(metadata).map((path) => JSON.stringify(path));
  if (new Set(leaves).size < leaves.length) throw new Error("two columns of one name");
  const paths = `[${leaves.join(",")}]`;
  let total = 0;
  for (const { num_rows: rows, columns } of metadata.row_groups) {
    total += Number(rows);
    // The library loses, and never awaits, what no place in the schema asks for.
    if (JSON.stringify(columns.map((column) => column.meta_data?.path_in_schema)) !== paths)
      throw new Error("the columns of a row group are not those of its schema");
    for (const { meta_data: column } of columns) {
      if (column === undefined) throw new Error("a column has no metadata");
      const size = Number(column.total_compressed_size);
      const values = Number(column.num_values);
      if (!(size >= 0 && size <= file.byteLength))
        throw new Error(`a column of ${size} bytes in a file of ${file.byteLength}`);
      if (!(values >= 0 && Number(rows) >= 0 && Number(rows) <= MAX_ROWS && values <= MAX_ROWS))
        throw new Error(`a row group of ${rows} rows`);
    }
  }
  if (total !== Number(metadata.num_rows))
    throw new Error(`row groups of ${total} rows together, of ${metadata.num_rows} in the file`);
  return metadata;
}

const MAX_DEPTH = 32;
/** More rows in one group are no data of texts. */
const MAX_ROWS = 2 ** 26;

/** Paths of the columns that hold values, as the tree of the schema has them. */
function leavesOf({ schema }: Metadata): string[][] {
  const leaves: string[][] = [];
  let at = 1;
  const walk = (count: number, path: readonly string[]): void => {
    if (path.length > MAX_DEPTH) throw new Error(`columns nested in more than ${MAX_DEPTH}`);
    for (let i = 0; i < count; i++) {
      const element = schema[at++];
      if (element === undefined) throw new Error("its schema is cut off");
      const own = [...path, element.name];
      if (element.num_children === undefined) leaves.push(own);
      else walk(element.num_children, own);
    }
  };
  walk(schema[0]?.num_children ?? 0, []);
  if (at !== schema.length) throw new Error("its schema is no tree");
  return leaves;
}

/** Whole numbers of 64 bits as numbers where they are exact: labels are such. */
function plainRow(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (Array.isArray(value)) return value.map(plain);
  if (
    typeof value === "object" &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype
  )
    return plainRow(value as Row);
  return value;
}

/** What the library throws becomes an error of the file. */
async function attempt<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof OctavoError || !(error instanceof Error)) throw error;
    const detail = error.message.replace(/\.$/, "");
    throw new DataError(path, undefined, `not readable as Parquet (${detail})`, EXPECTED);
  }
}

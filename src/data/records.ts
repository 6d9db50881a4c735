// What a line of data becomes, whatever file it came from: one typed record.

export type Label = string | number;

/** Where a record stands in its file, for messages. */
export interface Place {
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
}

/** A text or a pair of texts. */
export interface TextRecord {
  readonly text: string;
  readonly textPair?: string | undefined;
  /** A class by its name or number, or a score. */
  readonly label?: Label | undefined;
  readonly place?: Place | undefined;
}

/** Words, split already, each with its label. */
export interface TokensRecord {
  readonly tokens: readonly string[];
  readonly labels?: readonly Label[] | undefined;
  readonly place?: Place | undefined;
}

export type DataRecord = TextRecord | TokensRecord;

/** Records one after the other; a source is never held in memory as a whole. */
export type RecordSource = AsyncIterable<DataRecord>;

/** `dev.tsv, line 3`. */
export function placeOf(record: DataRecord): string {
  return record.place === undefined
    ? "A record"
    : `${record.place.path}, line ${record.place.line}`;
}

// What the pipeline needs from where it runs: files and a runtime. node.ts binds one; the pipeline itself knows neither.
import type { ColumnOptions } from "../data/columns.js";
import type { FolderFiles } from "../data/configuration.js";
import type { RecordSource } from "../data/records.js";
import type { ExternalData } from "../onnx/external.js";
import type { ModelProto } from "../onnx/proto.js";
import type { ByteSource } from "../onnx/source.js";
import type { EnvironmentReport } from "../report/benchmark.js";
import type { Runtime, RuntimeName } from "../runtime/runtime.js";

export interface OpenedModel {
  /** The .onnx file itself. */
  readonly path: string;
  /** The folder that holds the model's configuration and tokenizer; undefined where there is none. */
  readonly folder: string | undefined;
  readonly source: ByteSource;
  readonly external: ExternalData;
  /** Bytes of the model and of the data files opened so far. */
  bytes(): number;
  close(): void;
}

export interface Host {
  readonly runtime: Runtime;
  /** Throws UnsupportedError where its package is not installed. */
  runtimeNamed(name: RuntimeName): Promise<Runtime>;
  /** Opens the model a user names: a file, or a folder as Hugging Face lays it out. Throws what finding and opening it throws. */
  open(model: string): OpenedModel;
  /** Where a result goes when nobody says: beside the model, under its name with an ending that runtimes look for. */
  beside(model: string, ending: string): string;
  /** A path of these parts; `absolute` makes one that holds in every folder. */
  join(...parts: readonly string[]): string;
  absolute(path: string): string;
  /** Throws where `path` may not be written: a folder, a file that is being read, or one that exists (without `force`). */
  requireWritable(path: string, force: boolean): void;
  /** Writes a model whole or not at all; returns the bytes and the files. */
  write(
    path: string,
    model: ModelProto,
    options: {
      readonly force: boolean;
      readonly external: ExternalData;
      /** Texts and other files that appear with the model, or not at all. */
      readonly texts?: readonly { readonly path: string; readonly text: string | Uint8Array }[];
    },
  ): { readonly bytes: number; readonly files: readonly string[] };
  /** A model in a place of its own, for the runtime to load; `release` takes it away. */
  writeTemporary(
    model: ModelProto,
    external: ExternalData,
  ): { readonly path: string; release(): void };
  /** An empty folder; `release` takes it away with all that is in it. */
  temporaryFolder(): { readonly path: string; release(): void };
  /** Hash of a model's file. */
  fingerprint(file: OpenedModel): string;
  /** Data files as records. Throws DataError. */
  records(paths: readonly string[], columns: ColumnOptions): RecordSource;
  /** The JSON files of a model's folder. Throws ModelFolderError. */
  folderFiles(folder: string): FolderFiles;
  /** What lies in a model's folder beside models and weights (configuration, tokenizer): path within the folder, and content. */
  folderContent(folder: string): readonly { readonly path: string; readonly content: Uint8Array }[];
  writeText(path: string, text: string, force: boolean): void;
  /** Replaces a file, whole or not at all, by these pieces one after the other. Throws WriteFailedError. */
  replaceFile(path: string, pieces: readonly Uint8Array[]): void;
  /** A file's content, undefined where there is none. Throws CheckpointError where it cannot be read. */
  readState(path: string): Uint8Array | undefined;
  /** Throws PlanError where there is no such file. */
  readPlan(path: string): string;
  /** Throws StatisticsError where there is no such file. */
  readStatistics(path: string): string;
  /** A text file, undefined where there is none. Throws StatisticsError where it cannot be read. */
  readIfThere(path: string): string | undefined;
  remove(files: readonly string[]): void;
  /** The standard output of the command line with these arguments, in a process of its own; ended with the signal. Failure shows in the text alone. */
  octavo(args: readonly string[], signal: AbortSignal | undefined): Promise<string>;
  environment(runtime: Runtime): EnvironmentReport;
  /** Report files of a folder (those that are there), or the one named, with their texts. Throws DataError. */
  readReports(path: string): readonly { readonly path: string; readonly text: string }[];
  /** Highest resident memory of the process so far, bytes. */
  peakMemory(): number;
  /** Seconds of a clock that only goes forward. */
  now(): number;
}

// Node only: models as files. Opens a model with the data files it names (never outside its folder), and writes one whole or not at all.
import { realpathSync } from "node:fs";
import {
  basename,
  dirname,
  isAbsolute,
  join,
  posix,
  relative,
  resolve,
  sep,
  win32,
} from "node:path";
import { ExternalDataError, ModelNotFoundError, ModelTooLargeError } from "../errors.js";
import type { ExternalData } from "./external.js";
import { externalize, internalize, layoutChunks } from "./externalize.js";
import { codeOf, FileSource, systemMessage } from "./file-source.js";
import type { ModelProto } from "./proto.js";
import type { ByteSource } from "./source.js";
import { encodeChunks, encodedSize, MAX_PROTOBUF_BYTES } from "./writer.js";
import { requireFree, writeWhole, type Output } from "./write-whole.js";

export interface ModelFile {
  readonly source: ByteSource;
  /** The data files beside the model. */
  readonly external: ExternalData;
  /** Bytes of the model and of those of its data files that were opened so far. */
  bytes(): number;
  /** Lets go of all files; tensors that were not read by then cannot be read any more. */
  close(): void;
}

/**
 * Opens a model file. Nothing is read yet; while it is open, no output of Octavo overwrites it or its data files. Throws
 * ModelNotFoundError where there is no such file or it cannot be opened.
 */
export function openModelFile(path: string): ModelFile {
  const source = new FileSource(path, (detail) => new ModelNotFoundError(path, detail));
  const external = new FolderData(dirname(path));
  return {
    source,
    external,
    bytes: () => source.size + external.bytes(),
    close() {
      source.close();
      external.close();
    },
  };
}

/**
 * Data files in a model's folder. A location is untrusted: what is absolute, leaves the folder once resolved, or does so through symbolic
 * links is refused before any file is opened, whether or not it exists.
 */
class FolderData implements ExternalData {
  readonly #sources = new Map<string, FileSource>();

  constructor(readonly folder: string) {}

  open(location: string, tensorName: string): ByteSource {
    const known = this.#sources.get(location);
    if (known !== undefined) return known;
    const fail = (detail: string) => new ExternalDataError(tensorName, location, detail);
    const source = new FileSource(this.#locate(location, fail), (detail) =>
      fail(`${detail}. Put the file beside the model, as the export made it.`),
    );
    this.#sources.set(location, source);
    return source;
  }

  #locate(location: string, fail: (detail: string) => ExternalDataError): string {
    if (location.includes("\0")) throw fail("a file name cannot hold a zero byte.");
    if (posix.isAbsolute(location) || win32.isAbsolute(location) || /^[a-z]:/i.test(location))
      throw fail(
        "it is an absolute path. A model may only name files inside its own folder; " +
          "export it again with a relative location.",
      );
    const target = resolve(this.folder, location);
    if (!isInside(resolve(this.folder), target))
      throw fail("it leads out of the model's folder. Octavo reads no file there.");
    let real: string;
    let realFolder: string;
    try {
      realFolder = realpathSync(this.folder);
      real = realpathSync(target);
    } catch (error) {
      throw codeOf(error) === undefined
        ? error
        : fail(
            `${target}: ${systemMessage(error)}. Put the file beside the model, as the export made it.`,
          );
    }
    if (!isInside(realFolder, real))
      throw fail(
        `a symbolic link leads out of the model's folder, to ${real}. Octavo reads no file there; ` +
          "if it is yours, copy it into the folder in place of the link.",
      );
    return real;
  }

  bytes(): number {
    return [...this.#sources.values()].reduce((sum, source) => sum + source.size, 0);
  }

  close(): void {
    for (const source of this.#sources.values()) source.close();
  }
}

function isInside(folder: string, target: string): boolean {
  const way = relative(folder, target);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Throws where a file may not be written: OutputExistsError (without `force`), OutputIsInputError, WriteFailedError for a folder. */
export function requireWritable(path: string, force: boolean): void {
  requireFree(path, force);
}

/** Writes a text, whole or not at all. Throws as `requireWritable`, and WriteFailedError where the system refuses. */
export function writeTextFile(path: string, text: string, force: boolean): void {
  writeWhole([{ path, chunks: () => [new TextEncoder().encode(text)] }], force);
}

/** Replaces a file by pieces one after the other, whole or not at all. Throws WriteFailedError where the system refuses. */
export function replaceFile(path: string, pieces: readonly Uint8Array[]): void {
  writeWhole([{ path, chunks: () => pieces }], true);
}

export interface WriteOptions {
  /**
   * Whether large tensors go into a data file beside the model (`NAME.onnx_data` for `NAME.onnx`): `auto` where the model would exceed the
   * 2 GB of protobuf.
   */
  readonly externalData?: "auto" | "always" | "never";
  /** Overwrites existing files; those the model is being read from are never overwritten. */
  readonly force?: boolean;
  /** Where tensors of the input stand that the messages name as external. They are copied; their files' names are not taken over. */
  readonly external?: ExternalData;
  /** Files that belong to the model: written with it, before it. */
  readonly texts?: readonly { readonly path: string; readonly text: string | Uint8Array }[];
  /** For tests: the size that counts as too large for one file. */
  readonly limit?: number;
}

/**
 * Writes a model, streaming: memory follows its largest tensor. The files appear whole or not at all. Returns the bytes written and the
 * files, the model first. Throws OutputExistsError, OutputIsInputError, WriteFailedError, ModelTooLargeError and what reading the model's
 * tensors may throw.
 */
export function writeModelFile(
  path: string,
  model: ModelProto,
  options: WriteOptions = {},
): { bytes: number; files: string[] } {
  const { externalData = "auto", force = false, external, limit = MAX_PROTOBUF_BYTES } = options;
  const texts = (options.texts ?? []).map(({ path: at, text }) => ({
    path: at,
    chunks: () => [typeof text === "string" ? new TextEncoder().encode(text) : text],
  }));
  const whole = internalize(model, external);
  const size = encodedSize(whole);
  if (externalData !== "always" && size <= limit) {
    return written([...texts, { path, chunks: () => encodeChunks(whole) }], force);
  }
  if (externalData === "never") throw new ModelTooLargeError(size, limit);
  const dataPath = join(dirname(path), `${basename(path).replace(/\.onnx$/, "")}.onnx_data`);
  const layout = externalize(whole, basename(dataPath));
  const left = encodedSize(layout.model);
  if (left > limit) throw new ModelTooLargeError(left, limit);
  const data = { path: dataPath, chunks: () => layoutChunks(layout) };
  return written(
    [
      ...texts,
      ...(layout.pieces.length > 0 ? [data] : []),
      { path, chunks: () => encodeChunks(layout.model) },
    ],
    force,
  );
}

function written(outputs: readonly Output[], force: boolean): { bytes: number; files: string[] } {
  const bytes = writeWhole(outputs, force);
  return { bytes, files: outputs.map((output) => output.path).toReversed() };
}

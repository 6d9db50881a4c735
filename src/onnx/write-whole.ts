// Node only: files appear whole or not at all. They are written beside their place and renamed at the end; on failure nothing stays behind.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { OutputExistsError, OutputIsInputError, WriteFailedError } from "../errors.js";
import { codeOf, isInput, PIECE, systemMessage } from "./file-source.js";

export interface Output {
  readonly path: string;
  /** Asked for when the file's turn comes. */
  readonly chunks: () => Iterable<Uint8Array>;
}

let serial = 0;

/**
 * Writes files that belong together, the one that refers to the others last; missing folders are made. Returns the bytes written. Throws
 * OutputExistsError unless `force`, OutputIsInputError where a file is open for reading, WriteFailedError where the system refuses.
 */
export function writeWhole(outputs: readonly Output[], force: boolean): number {
  for (const { path } of outputs) requireFree(path, force);
  const undo: (() => void)[] = [];
  const done: (() => void)[] = [];
  let bytes = 0;
  let current = "";
  try {
    const parts = outputs.map(({ path, chunks }) => {
      current = path;
      makeFolder(dirname(path), undo);
      const part = sibling(path, "part");
      bytes += writeFile(part, chunks(), undo);
      return { path, part };
    });
    // Whoever reads meanwhile must not meet a new model with old data: the model itself comes last.
    for (const [i, { path, part }] of parts.entries()) {
      current = path;
      requireFree(path, force);
      if (i < parts.length - 1) setAside(path, undo, done);
      renameSync(part, path);
      undo.push(() => rmSync(path, { force: true }));
    }
  } catch (error) {
    for (const step of undo.toReversed()) ignoreSystem(step);
    if (codeOf(error) === undefined) throw error;
    throw new WriteFailedError(current, systemMessage(error), { cause: error });
  }
  for (const step of done) ignoreSystem(step);
  return bytes;
}

/** Throws where a file may not be written. */
export function requireFree(path: string, force: boolean): void {
  const stat = statOf(path);
  if (stat === undefined) return;
  if (stat.isDirectory()) throw new WriteFailedError(path, "it is a folder; name a file");
  // Renaming onto a device or a pipe would replace it.
  if (!stat.isFile()) throw new WriteFailedError(path, "it is a device or a pipe; name a file");
  if (isInput(path)) throw new OutputIsInputError(path);
  if (!force) throw new OutputExistsError(path);
}

function statOf(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new WriteFailedError(path, systemMessage(error), { cause: error });
  }
}

function makeFolder(folder: string, undo: (() => void)[]): void {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return;
  undo.push(() => {
    for (let made = folder; made.length >= first.length; made = dirname(made)) rmdirSync(made);
  });
}

function writeFile(path: string, chunks: Iterable<Uint8Array>, undo: (() => void)[]): number {
  // "wx" refuses a file or link that someone else put there.
  const fd = openSync(path, "wx");
  undo.push(() => rmSync(path, { force: true }));
  let total = 0;
  try {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;)
        at += writeSync(fd, chunk, at, Math.min(chunk.length - at, PIECE));
      total += chunk.length;
    }
  } finally {
    closeSync(fd);
  }
  return total;
}

/** Moves a file that is about to be replaced out of the way, until all is done. */
function setAside(path: string, undo: (() => void)[], done: (() => void)[]): void {
  if (!existsSync(path)) return;
  const old = sibling(path, "old");
  renameSync(path, old);
  undo.push(() => renameSync(old, path));
  done.push(() => rmSync(old, { force: true }));
}

function sibling(path: string, kind: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${serial++}.${kind}`);
}

function ignoreSystem(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

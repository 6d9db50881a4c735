// Node only: files as byte sources, and which files are being read right now, so that no output overwrites them.
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { ByteSource } from "./source.js";

/** Largest piece for one system call. */
export const PIECE = 2 ** 30;
/** Sources beyond this many close their file between reads: some models keep every tensor in a file of its own. */
const MAX_OPEN = 64;

type Fail = (detail: string) => Error;

const inputs = new Map<string, number>();
const open = new Set<FileSource>();

/** Whether a path leads, links followed, to a file that is open as an input. */
export function isInput(path: string): boolean {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat !== undefined && inputs.has(`${stat.dev}:${stat.ino}`);
}

/** What a failed system call means for a person. */
export function systemMessage(error: unknown): string {
  const code = codeOf(error);
  return MESSAGES[code ?? ""] ?? (error instanceof Error ? error.message : String(error));
}

/** `ENOENT` and its like; undefined where the error is not the system's. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && "syscall" in error
    ? String(error.code)
    : undefined;
}

const MESSAGES: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  ENOTDIR: "a part of its path is a file, not a folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder",
  ELOOP: "its symbolic links form a circle",
  ENAMETOOLONG: "its name is too long",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the disk is read-only",
  EFBIG: "the disk's file system allows no file of this size",
  EIO: "the disk reports a fault",
  EMFILE: "too many files are open",
};

/** A regular file, read in ranges. */
export class FileSource implements ByteSource {
  readonly size: number;
  readonly #key: string;
  readonly #fail: Fail;
  #fd: number | undefined;
  #closed = false;

  /** Opens `path`; `fail` makes the error for whatever goes wrong, now or while reading. */
  constructor(
    readonly path: string,
    fail: Fail,
  ) {
    this.#fail = fail;
    const { key, size } = this.#open();
    this.#key = key;
    this.size = size;
    inputs.set(key, (inputs.get(key) ?? 0) + 1);
  }

  #open(): { key: string; size: number } {
    for (const other of open) {
      if (open.size < MAX_OPEN) break;
      other.#release();
    }
    const { O_RDONLY, O_NONBLOCK } = constants;
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    const fd = this.#try(() => openSync(this.path, O_RDONLY | (O_NONBLOCK ?? 0)));
    this.#fd = fd;
    open.add(this);
    const stat = this.#try(() => fstatSync(fd, { bigint: true }));
    if (!stat.isFile()) {
      this.#release();
      throw this.#fail(stat.isDirectory() ? "it is a folder" : "it is not a regular file");
    }
    return { key: `${stat.dev}:${stat.ino}`, size: Number(stat.size) };
  }

  read(offset: number, length: number): Uint8Array {
    if (this.#closed) throw new Error(`internal: ${this.path} is read after it was closed`);
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size))
      throw new Error(`internal: read of ${length} bytes at ${offset}, of ${this.size}`);
    const fd = this.#fd ?? this.#reopen();
    // A buffer of its own, not a slice of a shared one, and not zeroed first.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    for (let done = 0; done < length;) {
      const want = Math.min(length - done, PIECE);
      const got = this.#try(() => readSync(fd, bytes, done, want, offset + done));
      if (got === 0) throw this.#fail("it became shorter while it was read");
      done += got;
    }
    return bytes;
  }

  #reopen(): number {
    const { key, size } = this.#open();
    if (key !== this.#key || size !== this.size || this.#fd === undefined)
      throw this.#fail("it was replaced while it was read");
    return this.#fd;
  }

  #try<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.#fail(systemMessage(error));
    }
  }

  #release(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    open.delete(this);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
    const left = (inputs.get(this.#key) ?? 1) - 1;
    if (left > 0) inputs.set(this.#key, left);
    else inputs.delete(this.#key);
  }
}

// What a command reads and writes: streams and surroundings, passed in so that tests can look at them.
import { existsSync } from "node:fs";
import type { Output } from "../report/style.js";

export interface Stream extends Output {
  write(text: string): unknown;
}

export interface Io {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls `stop` where the user or the system asks the process to end; without it the process ends at once. */
  onInterrupt?(stop: () => void): void;
}

/** Work that was ended from outside; what it leaves is in order. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** Aborts, with Interrupted, when the process is asked to end. */
export function interruption(io: Io): AbortSignal {
  const controller = new AbortController();
  io.onInterrupt?.(() => controller.abort(new Interrupted("Interrupted.")));
  return controller.signal;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** What to say of a run of training that was interrupted: where its checkpoint is, if one was written. */
export function resumable(path: string | undefined): Interrupted {
  return new Interrupted(
    path !== undefined && existsSync(path)
      ? `Interrupted. The same command goes on from ${path}.`
      : "Interrupted before training began: nothing is kept.",
  );
}

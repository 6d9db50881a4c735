// What a command reads and writes: streams and surroundings, passed in so that tests can look at them.
import type { Output } from "../report/style.js";

export interface Stream extends Output {
  write(text: string): unknown;
}

export interface Io {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

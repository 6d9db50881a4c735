// Runs in each worker before its test file: ends the worker that loops for ever, and tells which blocks the tests ran through.
import { writeFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { afterAll, inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Milliseconds that a test file may take before its process ends itself. */
    mutantsLimit: number;
    /** Where to write the blocks that were reached, as bytes; empty for nowhere. */
    mutantsReach: string;
  }
}

/** More blocks than src/ has. */
const MOST_BLOCKS = 2 ** 16;

// A thread of its own, since a loop without end leaves no turn to a timer of this one.
const watch = new Worker(
  `setTimeout(() => process.kill(process.pid, "SIGKILL"), ${inject("mutantsLimit")})`,
  { eval: true },
);
watch.unref();

const reached = new Uint8Array(MOST_BLOCKS);
Object.assign(globalThis, { mutantsReached: reached });

afterAll(async () => {
  const path = inject("mutantsReach");
  if (path !== "") writeFileSync(path, reached);
  await watch.terminate();
});

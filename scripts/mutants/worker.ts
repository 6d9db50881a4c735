// Runs in each worker before its test file: ends the worker that loops for ever, and tells which blocks the tests ran through.
import { writeFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { afterAll, inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Seconds of computing that a test file may take before its process ends itself: a busy machine takes longer, a loop without end too much. */
    mutantsLimit: number;
    /** A file to leave behind then. */
    mutantsMarker: string;
    /** Where to write the blocks that were reached, as bytes; empty for nowhere. */
    mutantsReach: string;
  }
}

/** More blocks than src/ has. */
const MOST_BLOCKS = 2 ** 16;

// A thread of its own, since a loop without end leaves no turn to a timer of this one.
const WATCH = `
  const { workerData } = require("node:worker_threads");
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    if (user + system < workerData.limit * 1e6) return;
    require("node:fs").writeFileSync(workerData.marker, "");
    process.kill(process.pid, "SIGKILL");
  }, 500);`;
const watch = new Worker(WATCH, {
  eval: true,
  workerData: { limit: inject("mutantsLimit"), marker: inject("mutantsMarker") },
});
watch.unref();

const reached = new Uint8Array(MOST_BLOCKS);
Object.assign(globalThis, { mutantsReached: reached });

afterAll(async () => {
  const path = inject("mutantsReach");
  if (path !== "") writeFileSync(path, reached);
  await watch.terminate();
});

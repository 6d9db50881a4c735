#!/usr/bin/env node
// The entry of the command line: binds the process to it.
import { run } from "./run.js";

// A reader that has seen enough (`| head`) is no failure.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });

// Files are written whole within one turn of the event loop; a handler runs between turns, so that nothing half-written stays.
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const)
  process.once(signal, () => process.exit(128 + number));

process.exitCode = await run(process.argv.slice(2), process);

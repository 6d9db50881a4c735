#!/usr/bin/env node
// The entry of the command line: binds the process to it.

// A reader that has seen enough (`| head`) is no failure.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });

// Work that can be ended in order is asked to; another signal later, or one that nobody listens to, ends the process. (A terminal and npx both
// send theirs, one right after the other.) Files are written whole within one turn of the event loop, and a handler runs between turns, so
// that nothing half-written stays.
const TOGETHER = 500;
let stop: (() => void) | undefined;
let interrupted: { readonly status: number; readonly time: number } | undefined;
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const)
  process.on(signal, () => {
    const time = performance.now();
    if (stop === undefined || (interrupted !== undefined && time > interrupted.time + TOGETHER))
      process.exit(128 + number);
    interrupted ??= { status: 128 + number, time };
    stop();
  });

const { stdout, stderr, env } = process;
const args = process.argv.slice(2);
const io = { stdout, stderr, env, onInterrupt: (listener: () => void) => void (stop = listener) };
// These two are asked for most, by people and by other tools: they do not wait for all commands to load.
const [only] = args.length === 1 ? args : [];
if (only === "--version" || only === "-V") {
  const { version } = await import("./version.js");
  stdout.write(`${version()}\n`);
} else if (only === "--help" || only === "-h") {
  const { printOverview } = await import("./overview.js");
  printOverview(io);
} else {
  const { INTERRUPTED, run } = await import("./run.js");
  const status = await run(args, io);
  process.exitCode = status === INTERRUPTED ? (interrupted?.status ?? status) : status;
}

// The machine: processes timed from outside, what else runs meanwhile, and where large files go.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";

/** Where generated models and results of quantizers are kept between runs; OCTAVO_BENCH_DIR names another place. */
export function scratch(...segments: string[]): string {
  const folder = process.env["OCTAVO_BENCH_DIR"] ?? join(tmpdir(), "octavo-bench");
  mkdirSync(folder, { recursive: true });
  return join(folder, ...segments);
}

export interface ProcessRun {
  readonly stdout: string;
  readonly stderr: string;
  /** Wall seconds, the start of the process included. */
  readonly seconds: number;
  /** Seconds of CPU. */
  readonly cpuSeconds: number;
  /** Highest resident memory. */
  readonly peakBytes: number;
}

/** GNU time: only a parent that waits itself can read a child's figures, and Node does not hand them on. */
const TIME = "/usr/bin/time";
const FORMAT = "%e %U %S %M";

/** Runs a program to its end, in a folder that is taken away again: some leave copies of the model where they run. Throws where it fails. */
export async function timedProcess(command: string, args: readonly string[]): Promise<ProcessRun> {
  if (!existsSync(TIME))
    throw new Error(`This bench needs GNU time as ${TIME} (package "time" on Linux)`);
  const cwd = mkdtempSync(scratch("run-"));
  const child = spawn(TIME, ["-f", FORMAT, command, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd,
  });
  const [stdout, stderr, status] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    }),
  ]).finally(() => rmSync(cwd, { recursive: true, force: true }));
  const lines = stderr.trimEnd().split("\n");
  if (status !== 0)
    throw new Error(
      `${command} ${args.join(" ")} ended with status ${status}:\n${stderr}${stdout}`,
    );
  const [seconds = NaN, user = NaN, system = NaN, peak = NaN] = (lines.pop() ?? "")
    .split(" ")
    .map(Number);
  return {
    stdout,
    stderr: lines.join("\n"),
    seconds,
    cpuSeconds: user + system,
    peakBytes: peak * 1024,
  };
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** Starts to watch the cores; the result tells the share of them (0…1) that others than this process have taken since. */
export function watchOthers(): () => number {
  const start = { all: coreTimes(), own: process.cpuUsage() };
  return () => {
    const all = coreTimes();
    const { user, system } = process.cpuUsage(start.own);
    const total = all.total - start.all.total;
    const busy = all.busy - start.all.busy;
    return total <= 0 ? 0 : Math.max(0, (busy - (user + system) / 1000) / total);
  };
}

/** Milliseconds of all cores together. */
function coreTimes(): { total: number; busy: number } {
  let [total, busy] = [0, 0];
  for (const { times } of cpus()) {
    const { user, nice, sys, idle, irq } = times;
    total += user + nice + sys + idle + irq;
    busy += user + nice + sys + irq;
  }
  return { total, busy };
}

function versionOf(manifest: string): string {
  return (createRequire(import.meta.url)(manifest) as { version: string }).version;
}

export function machine() {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    node: process.version,
    octavo: versionOf("../package.json"),
    onnxruntime: versionOf("onnxruntime-node/package.json"),
    load: loadavg()[0],
  };
}

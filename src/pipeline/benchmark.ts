// The verb benchmark: how fast models run against each other, by shape and threads, and the memory that each takes in a process of its own.
import { OptionError, RuntimeFailedError } from "../errors.js";
import type { BenchmarkedModel, BenchmarkReport, TimingReport } from "../report/benchmark.js";
import { parseReport } from "../report/schema.js";
import { REPORT_VERSION } from "../report/report.js";
import type { Runtime, Session } from "../runtime/runtime.js";
import {
  shapeName,
  shapesFor,
  subjectOf,
  type Shape,
  type Subject,
} from "../benchmark/benchmark-inputs.js";
import { commandLine } from "./command-line.js";
import type { Host } from "../host/host.js";
import { withSessions } from "../host/sessions.js";
import { interleavedLatencies, pairedRatio } from "../benchmark/latency.js";
import { median, quantile } from "../math/quantile.js";
import { BENCHMARK_DEFAULTS } from "../options/defaults.js";
import {
  benchmarkSettings,
  type BenchmarkOptions,
  type BenchmarkSettings,
} from "../options/benchmark.js";

/** Rounds before it counts. */
const WARMUP = 5;

/**
 * Times models in turn, round by round, on dummy inputs; the first is what the others are held against. Throws OptionError for a shape that
 * a model does not admit, RuntimeFailedError, and what opening a model throws.
 */
export async function benchmarkModels(
  host: Host,
  inputs: readonly string[],
  options: BenchmarkOptions = {},
): Promise<BenchmarkReport> {
  const settings = benchmarkSettings(options);
  if (inputs.length === 0) throw new OptionError("models", "none", "one model or more");
  const start = host.now();
  settings.onProgress?.({ step: "reading", done: 0, total: 0 });
  const subjects = inputs.map((input) => subjectOf(host, input));
  const shapes = shapesFor(subjects, settings.shapes);
  const runtime = await host.runtimeNamed(settings.runtime);
  // onnxruntime-web's threads are set once in a process.
  const apart = settings.runtime === "onnxruntime-web" && settings.threads.length > 1;
  const timings = apart
    ? await timedApart(host, subjects, shapes, settings)
    : await timed(host, runtime, subjects, shapes, settings);
  const models: BenchmarkedModel[] = [];
  const warnings: string[] = [];
  for (const { path, bytes } of subjects) {
    if (!settings.memory) {
      models.push({ model: path, bytes });
      continue;
    }
    settings.onProgress?.({ step: "measuring memory", done: models.length, total: inputs.length });
    const peak = await memoryOf(host, path, shapes, settings);
    if (typeof peak === "string") warnings.push(`The memory of ${path} is unknown: ${peak}`);
    models.push({ model: path, bytes, ...(typeof peak === "number" && { peakMemoryBytes: peak }) });
  }
  return {
    version: REPORT_VERSION,
    command: "benchmark",
    models,
    timings,
    seed: settings.seed,
    seconds: host.now() - start,
    peakMemoryBytes: host.peakMemory(),
    commandLine: commandLine("benchmark", inputs, options, BENCHMARK_DEFAULTS),
    environment: host.environment(runtime),
    warnings,
  };
}

async function timed(
  host: Host,
  runtime: Runtime,
  subjects: readonly Subject[],
  shapes: readonly Shape[],
  settings: BenchmarkSettings,
): Promise<TimingReport[]> {
  const timings: TimingReport[] = [];
  for (const threads of settings.threads) {
    const paths = subjects.map(({ path }) => path);
    await withSessions(
      { runtime },
      paths,
      async (sessions) => {
        for (const shape of shapes)
          timings.push(
            ...(await timedShape(host, sessions, subjects, { shape, threads }, settings)),
          );
      },
      // What users run: the runtime as it is by itself.
      { threads, integerSums: "native" },
    );
  }
  return timings;
}

async function timedShape(
  host: Host,
  sessions: readonly Session[],
  subjects: readonly Subject[],
  { shape, threads }: { readonly shape: Shape; readonly threads: number },
  { rounds, seconds, seed, signal, onProgress }: BenchmarkSettings,
): Promise<TimingReport[]> {
  const runs = sessions.map((session, i) => {
    const feeds = subjects[i]?.feeds(shape, seed) ?? {};
    return () => session.run(feeds);
  });
  const step = `timing ${shapeName(shape)}, threads ${threads}`;
  const times = await interleavedLatencies(runs, {
    warmup: Math.min(WARMUP, rounds),
    rounds,
    seconds,
    now: () => host.now(),
    onRound(done) {
      signal?.throwIfAborted();
      onProgress?.({ step, done, total: rounds + Math.min(WARMUP, rounds), unit: "rounds" });
    },
  });
  const [first = []] = times;
  return times.map((own, model) => ({
    model,
    threads,
    ...shape,
    rounds: own.length,
    median: median(own),
    lower: quantile(own, 0.25),
    upper: quantile(own, 0.75),
    tokensPerSecond: (shape.batch * shape.length) / median(own),
    ratio: pairedRatio(first, own, seed),
  }));
}

/** A process for each number of threads. */
async function timedApart(
  host: Host,
  subjects: readonly Subject[],
  shapes: readonly Shape[],
  settings: BenchmarkSettings,
): Promise<TimingReport[]> {
  const timings: TimingReport[] = [];
  for (const [i, threads] of settings.threads.entries()) {
    settings.onProgress?.({ step: `timing, threads ${threads}`, done: i, total: 0 });
    const paths = subjects.map(({ path }) => path);
    const report = await apart(host, paths, shapes, { ...settings, threads: [threads] });
    timings.push(...report.timings);
  }
  return timings;
}

/** Bytes, or why they are not known. */
async function memoryOf(
  host: Host,
  path: string,
  shapes: readonly Shape[],
  settings: BenchmarkSettings,
): Promise<number | string> {
  const threads = [Math.max(...settings.threads)];
  try {
    const limits = { ...settings, threads, rounds: 1, seconds: 0 };
    return (await apart(host, [path], shapes, limits)).peakMemoryBytes;
  } catch (error) {
    settings.signal?.throwIfAborted();
    return error instanceof Error ? error.message : String(error);
  }
}

/** The same verb in a process of its own. */
async function apart(
  host: Host,
  paths: readonly string[],
  shapes: readonly Shape[],
  { threads, rounds, seconds, seed, runtime, signal }: BenchmarkSettings,
): Promise<BenchmarkReport> {
  const options = [
    ["--shapes", shapes.map(shapeName).join(",")],
    ["--threads", threads.join(",")],
    ["--rounds", String(rounds)],
    ["--seconds", String(Math.ceil(seconds))],
    ["--seed", String(seed)],
    ["--runtime", runtime],
  ].flat();
  const args = ["benchmark", ...options, "--no-memory", "--json", "--", ...paths];
  const answer = await host.octavo(args, signal);
  const parsed = parseReport(answer);
  if (!parsed.ok || parsed.report.command !== "benchmark")
    throw new RuntimeFailedError("run", failureIn(answer), undefined, paths.join(", "));
  return parsed.report;
}

/** What a command that failed says in JSON; nothing is said by one that was killed. */
function failureIn(answer: string): string {
  const [, message] = /"message":\s*("(?:[^"\\]|\\.)*")/.exec(answer) ?? [];
  return message === undefined
    ? "its process ended before it could tell anything (is there memory enough?)"
    : String(JSON.parse(message));
}

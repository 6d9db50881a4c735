// The demo's work: quantizes the model in examples/, scores and times both models, and reads the user's sentence with both.
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { batchesByLength } from "../data/batches.js";
import { configurationOf } from "../data/configuration.js";
import { feedsOf } from "../data/feeds.js";
import { locateModel, readFolder } from "../data/folder.js";
import { allRecords, openRecords } from "../data/record-files.js";
import type { DataRecord } from "../data/records.js";
import { createTokenizer, type Encoded, type Tokenizer } from "../data/tokenize.js";
import { DemoMissingError } from "../errors.js";
import { quantize } from "../node.js";
import { evaluateModel, predict, type Evaluated } from "../evaluate/predictions.js";
import { medianLatencies } from "../benchmark/latency.js";
import type { OnProgress } from "../report/progress.js";
import {
  REPORT_VERSION,
  type DemoReport,
  type QuantizedModelReport,
  type OpinionReport,
} from "../report/report.js";
import { ortNode } from "../runtime/ort-node.js";
import type { Session } from "../runtime/runtime.js";
import { textClassification, type Classification } from "../tasks/text-classification.js";
import type { Task } from "../tasks/task.js";

/** The model with its sentences, in the repository. */
const FOLDER = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
const DATA = "reviews.tsv";
const THREADS = 1;
/** Sentences in a timed run. */
const BATCHES = [1, 32];

export interface DemoOptions {
  /** A sentence of the user's. */
  readonly sentence?: string | undefined;
  readonly folder?: string;
  readonly onProgress?: OnProgress;
}

/** Writes into a temporary folder alone. Throws DemoMissingError where the example is not there. */
export async function runDemo(options: DemoOptions = {}): Promise<DemoReport> {
  const { folder = FOLDER, onProgress = () => undefined } = options;
  const begun = now();
  if (!existsSync(join(folder, DATA))) throw new DemoMissingError(folder);
  const { path } = locateModel(folder);
  const temporary = mkdtempSync(join(tmpdir(), "octavo-demo-"));
  const sessions: Session[] = [];
  try {
    const output = join(temporary, "model_quantized.onnx");
    onProgress({ step: "quantizing", done: 0, total: 0 });
    await quantize(path, { mode: "dynamic", target: "cpu", output, check: false });
    const quantizeSeconds = now() - begun;
    // Waiting threads of one session would slow down the other.
    for (const file of [path, output])
      sessions.push(
        await ortNode.load(file, { threads: THREADS, spinning: "running", integerSums: "native" }),
      );
    const sizes = [statSync(path).size, statSync(output).size];
    const measured = await measure(folder, sessions, sizes, options);
    return {
      version: REPORT_VERSION,
      command: "demo",
      model: path,
      threads: THREADS,
      ...measured,
      seconds: { quantize: quantizeSeconds, total: now() - begun },
    };
  } finally {
    for (const session of sessions) await session.release();
    rmSync(temporary, { recursive: true, force: true });
  }
}

type Measured = Omit<DemoReport, "version" | "command" | "model" | "threads" | "seconds">;

async function measure(
  folder: string,
  sessions: readonly Session[],
  sizes: readonly number[],
  { sentence, onProgress = () => undefined }: DemoOptions,
): Promise<Measured> {
  const files = readFolder(folder);
  const tokenizer = createTokenizer(files);
  const task = textClassification(configurationOf(files.config).labels);
  const records = await allRecords(openRecords(join(folder, DATA)));

  const scores: Evaluated<Classification>[] = [];
  for (const [i, session] of sessions.entries()) {
    const step = i === 0 ? "reading with the float model" : "reading with the INT8 model";
    scores.push(
      await evaluateModel(session, tokenizer, task, records, {
        onProgress: (p) => onProgress({ step, unit: "sentences", ...p }),
      }),
    );
  }

  onProgress({ step: "timing", done: 0, total: 0 });
  const batches = BATCHES.map((size) => typicalBatch(tokenizer, task, records, size));
  const latencies: number[][] = [];
  for (const rows of batches) {
    const runs = sessions.map((session) => {
      const feeds = feedsOf(session.inputs, rows, { padding: tokenizer.padding });
      return () => session.run(feeds);
    });
    latencies.push(await medianLatencies(runs, { warmup: 5, rounds: 300, seconds: 6, now }));
  }

  const quantizedModels = scores.map(({ metrics, total }, i): QuantizedModelReport => {
    const accuracy = metrics["accuracy"] ?? NaN;
    return {
      bytes: sizes[i] ?? NaN,
      correct: Math.round(accuracy * total),
      accuracy,
      latency: latencies.map((medians) => medians[i] ?? NaN),
    };
  });
  const opinions =
    sentence === undefined ? [] : await opinionsOn(sentence, sessions, tokenizer, task);
  return {
    sentences: records.length,
    agreement: agreement(scores),
    shapes: batches.map((rows) => `${rows.length} × ${longest(rows)}`),
    ...pair(quantizedModels),
    ...(sentence === undefined ? {} : { sentence: { text: sentence, ...pair(opinions) } }),
  };
}

function pair<T>([float, quantized]: readonly T[]): { float: T; quantized: T } {
  if (float === undefined || quantized === undefined) throw new Error("internal: no pair");
  return { float, quantized };
}

function agreement([float, quantized]: readonly Evaluated<Classification>[]): number {
  const others = quantized?.predictions ?? [];
  return (float?.predictions ?? []).filter((p, i) => p.class === others[i]?.class).length;
}

/** The batch of sentences in the middle of all, by length. */
function typicalBatch(
  tokenizer: Tokenizer,
  task: Task<Classification>,
  records: readonly DataRecord[],
  size: number,
): Encoded[] {
  const rows = records.flatMap((record) => task.inputs(record).map((i) => tokenizer.encode(i)));
  const batches = batchesByLength(
    rows.map((row) => row.ids.length),
    size,
  );
  const middle = batches[Math.floor((batches.length - 1) / 2)] ?? [];
  return middle.map((i) => rows[i]).filter((row) => row !== undefined);
}

function longest(rows: readonly Encoded[]): number {
  return Math.max(...rows.map((row) => row.ids.length));
}

async function opinionsOn(
  sentence: string,
  sessions: readonly Session[],
  tokenizer: Tokenizer,
  task: Task<Classification>,
): Promise<OpinionReport[]> {
  const opinions: OpinionReport[] = [];
  for (const session of sessions) {
    const { predictions } = await predict(session, tokenizer, task, [{ text: sentence }]);
    const [said] = predictions;
    if (said === undefined) throw new Error("internal: no prediction");
    opinions.push({ label: said.label, probability: said.probabilities[said.class] ?? NaN });
  }
  return opinions;
}

function now(): number {
  return performance.now() / 1000;
}

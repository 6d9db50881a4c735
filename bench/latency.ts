// How fast the quantized file runs, against the float model and against what onnxruntime's own quantizer makes: one process, round by round in turn.
import { existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { locateModel } from "../src/data/folder.js";
import { quantize } from "../src/node.js";
import { medianLatencies } from "../src/benchmark/latency.js";
import { ortNode } from "../src/runtime/ort-node.js";
import type { Session } from "../src/runtime/runtime.js";
import { shared } from "../test/shared.js";
import { columns, type Bar, type Bench } from "./bench.js";
import { recordsFor, writeJsonl } from "./datasets.js";
import { scratch, watchOthers } from "./machine.js";
import { feedsFor } from "./outputs.js";
import { NO_PEER, peerDynamic, peerPython } from "./peers.js";
import { dataOf } from "./scored.js";

const SHAPES = [
  { batch: 1, length: 32 },
  { batch: 1, length: 128 },
  { batch: 8, length: 128 },
];
const THREADS = [1, 2];
/** How many times faster than the best peer, by shape, on one thread; everywhere else: not slower. */
const FASTER: Readonly<Record<string, readonly number[]>> = { "bert-sst2": [1.1, 1.15, 1.25] };
/** Time of the static model in that of the dynamic one, at most: on one thread, of models that are promised to be faster than the peer. */
const STATIC = 1.05;
/** Others' share of the cores above which figures are no good. */
const NOISY = 0.05;

interface QuantizedModel {
  readonly name: string;
  readonly path: string;
}

interface Timing {
  readonly model: string;
  readonly threads: number;
  readonly shape: string;
  /** Median milliseconds by quantized model. */
  readonly ms: Readonly<Record<string, number>>;
  /** Time of the fastest peer in ours. */
  readonly faster: number;
  /** Time of ours with ranges found beforehand in ours. */
  readonly static: number;
  /** Share of the cores that others took meanwhile. */
  readonly others: number;
}

export const latency: Bench = {
  name: "latency",
  about: "milliseconds per run, against the float model and onnxruntime's own dynamic files",
  options: "[FOLDER…] [--rounds 25] [--seconds 20] [--tries 3] [--peer MODEL:NAME=FILE …]",
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rounds: { type: "string", default: "25" },
        seconds: { type: "string", default: "20" },
        tries: { type: "string", default: "3" },
        peer: { type: "string", multiple: true, default: [] },
      },
    });
    const folders =
      positionals.length > 0
        ? positionals
        : ["bert-sst2", "roberta-sst2"].map((name) => shared("models", name));
    const timings: Timing[] = [];
    const limits = {
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      tries: Number(values.tries),
    };
    for (const folder of folders) {
      const quantizedModels = await quantizedModelsOf(folder, values.peer);
      for (const threads of THREADS)
        timings.push(...(await timed(basename(folder), quantizedModels, threads, limits)));
    }
    const names = [...new Set(folders.map((folder) => basename(folder)))];
    const noisy = timings.filter(({ others }) => others > NOISY);
    return {
      tables: names.map((name) => tableOf(name, timings)),
      bars: [
        ...timings.filter(({ faster }) => !Number.isNaN(faster)).map(barOf),
        ...timings.filter(({ model, threads }) => threads === 1 && model in FASTER).map(staticBar),
      ],
      notes: [
        "bars: how many times faster than the fastest peer file; others: their share of the cores.",
        ...(peerPython() === undefined ? [NO_PEER] : []),
        ...(noisy.length > 0
          ? [`other processes took more than ${NOISY * 100} % of the cores in some rows: run again`]
          : []),
      ],
      data: timings,
    };
  },
};

/** The float model, ours of both modes, and the peer's files with and without its documented first step. */
async function quantizedModelsOf(
  folder: string,
  extra: readonly string[],
): Promise<QuantizedModel[]> {
  const name = basename(folder);
  mkdirSync(scratch("latency"), { recursive: true });
  const model = locateModel(folder).path;
  const output = scratch("latency", `${name}.octavo.onnx`);
  await quantize(folder, { output, force: true, check: false });
  const quantizedModels = [
    { name: "float", path: model },
    { name: "ours", path: output },
  ];
  // The fine-tuned models say what data they were scored on.
  if (existsSync(join(folder, "result.json"))) {
    const data = scratch("latency", `${name}.train.jsonl`);
    writeJsonl(data, await recordsFor(dataOf(folder), "train"));
    const path = scratch("latency", `${name}.octavo-static.onnx`);
    await quantize(folder, { mode: "static", data, output: path, force: true, check: false });
    quantizedModels.push({ name: "static", path });
  }
  const python = peerPython();
  if (python !== undefined)
    for (const preprocess of [false, true]) {
      const suffix = preprocess ? "preprocessed" : "plain";
      const path = scratch("latency", `${name}.peer-${suffix}.onnx`);
      await peerDynamic(python, model, path, { preprocess });
      quantizedModels.push({ name: suffix, path });
    }
  for (const given of extra) {
    const [, of, peer, path] = /^([^:=]+):([^:=]+)=(.+)$/.exec(given) ?? [];
    if (of === undefined || peer === undefined || path === undefined)
      throw new Error(`--peer takes MODEL:NAME=FILE, got ${given}`);
    if (of === name) quantizedModels.push({ name: peer, path });
  }
  return quantizedModels;
}

/** Not a peer's. */
const OWN: ReadonlySet<string> = new Set(["float", "ours", "static"]);

interface Limits {
  readonly rounds: number;
  readonly seconds: number;
  /** How often a shape is measured until others leave the machine alone; the quietest try counts. */
  readonly tries: number;
}

async function timed(
  model: string,
  quantizedModels: readonly QuantizedModel[],
  threads: number,
  { tries, ...limits }: Limits,
): Promise<Timing[]> {
  const sessions: Session[] = [];
  for (const { path } of quantizedModels)
    sessions.push(
      await ortNode.load(path, { threads, spinning: "running", integerSums: "native" }),
    );
  const timings: Timing[] = [];
  for (const { batch, length } of SHAPES) {
    const feeds = feedsFor(quantizedModels[0]?.path ?? "", { batch, length });
    let quietest: { seconds: number[]; others: number } = { seconds: [], others: Infinity };
    for (let i = 0; i < tries && quietest.others > NOISY; i++) {
      const othersSince = watchOthers();
      const seconds = await medianLatencies(
        sessions.map((session) => () => session.run(feeds)),
        { warmup: 3, now: () => performance.now() / 1000, ...limits },
      );
      const others = othersSince();
      if (others < quietest.others) quietest = { seconds, others };
    }
    const ms = Object.fromEntries(
      quantizedModels.map(({ name }, i) => [name, 1000 * (quietest.seconds[i] ?? NaN)]),
    );
    const peers = Object.entries(ms).filter(([name]) => !OWN.has(name));
    const best = peers.length === 0 ? NaN : Math.min(...peers.map(([, time]) => time));
    const faster = best / (ms["ours"] ?? NaN);
    const { others } = quietest;
    const fixed = (ms["static"] ?? NaN) / (ms["ours"] ?? NaN);
    const shape = `${batch}×${length}`;
    timings.push({ model, threads, shape, ms, faster, static: fixed, others });
  }
  for (const session of sessions) await session.release();
  return timings;
}

function tableOf(model: string, all: readonly Timing[]) {
  const timings = all.filter((timing) => timing.model === model);
  const names = Object.keys(timings[0]?.ms ?? {});
  return {
    title: `${model}: median ms`,
    columns: columns("", ...names, "÷ float", "÷ peer", "others"),
    rows: timings.map(({ threads, shape, ms, faster, others }) => [
      `${shape} · ${threads} thr`,
      ...names.map((name) => (ms[name] ?? NaN).toFixed(2)),
      `${((ms["float"] ?? NaN) / (ms["ours"] ?? NaN)).toFixed(2)}×`,
      Number.isNaN(faster) ? "–" : `${faster.toFixed(2)}×`,
      `${(others * 100).toFixed(0)} %`,
    ]),
  };
}

function barOf({ model, threads, shape, faster }: Timing): Bar {
  const index = SHAPES.findIndex(({ batch, length }) => `${batch}×${length}` === shape);
  const bar = threads === 1 ? (FASTER[model]?.[index] ?? 1) : 1;
  const what = `${model} ${shape} · ${threads} thr`;
  return { what, value: faster, bar, kind: "at least", unit: "×" };
}

function staticBar({ model, threads, shape, static: value }: Timing): Bar {
  const what = `${model} ${shape} · ${threads} thr: static in dynamic`;
  return { what, value, bar: STATIC, kind: "at most", unit: "×" };
}

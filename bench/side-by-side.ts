// The table over all peers: seconds and memory to quantize, success, closeness, accuracy and latency, on the fine-tuned models and the zoo.
import { mkdirSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { medianLatencies } from "../src/benchmark/latency.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { shared, sharedModels, zooGraphs } from "../test/shared.js";
import { octavoQuantize } from "./base.js";
import type { Bench } from "./bench.js";
import { contestTable, type Contest, type Discipline } from "./contest.js";
import { recordsFor, writeJsonl } from "./datasets.js";
import { scratch } from "./machine.js";
import { feedsFor } from "./outputs.js";
import {
  bestPeer,
  inEither,
  NO_RESULTS,
  peerResults,
  type Mode,
  type PeerResults,
} from "./peer-results.js";
import { dataOf, metricOf, noiseOf, scored } from "./scored.js";
import { measuredGraph } from "./zoo.js";

const MODES: readonly Mode[] = ["dynamic", "static"];
/** batch × length, one thread, as the peers were timed. */
const SHAPES = [
  { batch: 1, length: 32 },
  { batch: 1, length: 128 },
  { batch: 8, length: 128 },
];

interface QuantizedModel {
  readonly model: string;
  readonly mode: Mode;
  readonly cpuSeconds: number;
  readonly peakMb: number;
  readonly share: number;
  readonly score: number;
  readonly snrDb: number;
  /** Times as fast as float, by shape. */
  readonly faster: readonly number[];
}

interface Graph {
  readonly graph: string;
  readonly snrDb: number;
}

const FAILED = { cpuSeconds: NaN, peakMb: NaN, share: NaN, score: NaN, snrDb: NaN };

export const sideBySide: Bench = {
  name: "table",
  about: "everything beside the best peer, and who is better: models, zoo, cost, latency (hours)",
  options: "[NAME…] [--modes dynamic,static] [--no-zoo] [--no-latency]",
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      allowNegative: true,
      options: {
        modes: { type: "string", default: MODES.join(",") },
        zoo: { type: "boolean", default: true },
        latency: { type: "boolean", default: true },
      },
    });
    const modes = MODES.filter((mode) => values.modes.split(",").includes(mode));
    const wanted = (name: string) => positionals.length === 0 || positionals.includes(name);
    const quantizedModels: QuantizedModel[] = [];
    for (const { name } of sharedModels().filter((one) => wanted(one.name)))
      for (const mode of modes)
        quantizedModels.push(await quantizedModel(name, mode, values.latency));
    const graphs: Graph[] = [];
    for (const { name, path } of values.zoo ? zooGraphs() : [])
      if (wanted(name)) graphs.push(await graphOf(name, path));
    const peers = peerResults();
    return {
      tables: tablesOf(quantizedModels, graphs, peers),
      bars: [],
      notes: [
        ...(peers === undefined ? [NO_RESULTS] : []),
        "Peers' figures are those of their harness, another day on such a machine; latency is therefore compared as times faster than float, cost in CPU seconds.",
        "Best peer: for each figure the best of all its recipes of that mode, in onnxruntime or OpenVINO; it may be another one in each table.",
      ],
      data: { quantizedModels, graphs },
    };
  },
};

async function quantizedModel(model: string, mode: Mode, timed: boolean): Promise<QuantizedModel> {
  mkdirSync(scratch("table"), { recursive: true });
  const folder = shared("models", model);
  const float = shared("models", model, "onnx", "model.onnx");
  const output = scratch("table", `${model}.${mode}.onnx`);
  const task = dataOf(folder);
  const data = scratch("table", `${task}.jsonl`);
  writeJsonl(data, await recordsFor(task, "train"));
  const more = mode === "static" ? ["--mode", "static", "--data", data] : [];
  try {
    const run = await octavoQuantize(folder, output, more);
    const [before, after] = [await scored(folder, float), await scored(folder, output)];
    const metric = metricOf(before);
    return {
      model,
      mode,
      cpuSeconds: run.cpuSeconds,
      peakMb: run.peakBytes / 1e6,
      share: statSync(output).size / statSync(float).size,
      score: after.metrics[metric] ?? NaN,
      snrDb: noiseOf(before.values, after.values),
      faster: timed ? await timesFaster(float, output) : [],
    };
  } catch (error) {
    process.stderr.write(`${model}, ${mode}: ${String(error)}\n`);
    return { model, mode, ...FAILED, faster: [] };
  }
}

/** Interleaved medians, one thread. */
async function timesFaster(float: string, output: string): Promise<number[]> {
  const sessions = [];
  for (const path of [float, output])
    sessions.push(
      await ortNode.load(path, { threads: 1, spinning: "running", integerSums: "native" }),
    );
  try {
    const all: number[] = [];
    for (const shape of SHAPES) {
      const feeds = feedsFor(float, shape);
      const runs = sessions.map((session) => () => session.run(feeds));
      const now = () => performance.now() / 1000;
      const [a = NaN, b = NaN] = await medianLatencies(runs, {
        warmup: 5,
        rounds: 100,
        seconds: 30,
        now,
      });
      all.push(a / b);
    }
    return all;
  } finally {
    for (const session of sessions) await session.release();
  }
}

async function graphOf(graph: string, path: string): Promise<Graph> {
  try {
    return await measuredGraph(graph, path);
  } catch (error) {
    process.stderr.write(`${graph}: ${String(error)}\n`);
    return { graph, snrDb: NaN };
  }
}

const CLOSENESS: Discipline = { title: "Signal-to-noise ratio, dB", better: "more", slack: 0.3 };
const SCORE: Discipline = { title: "Score on the test split", better: "more", slack: 0.001 };
const SHARE: Discipline = { title: "Size, of float", better: "less", slack: 0.002 };
const CPU: Discipline = { title: "CPU seconds to quantize", better: "less", slack: 0 };
const PEAK: Discipline = { title: "Peak memory, MB", better: "less", slack: 0 };
const FASTER: Discipline = {
  title: "Times as fast as float, one thread",
  better: "more",
  slack: 0.05,
};
const ZOO: Discipline = {
  title: "Zoo: signal-to-noise ratio, dB; Octavo without data, peers by any recipe",
  better: "more",
  slack: 0.3,
};
const SUCCESS: Discipline = {
  title: "Models and graphs quantized, of all tried",
  better: "more",
  slack: 0,
};

export function tablesOf(
  quantizedModels: readonly QuantizedModel[],
  graphs: readonly Graph[],
  peers: PeerResults | undefined,
) {
  const each = (
    figure: (one: QuantizedModel) => number,
    best: (one: QuantizedModel) => Contest["peer"],
  ) =>
    quantizedModels.map((one): Contest => ({
      subject: `${one.model}, ${one.mode}`,
      ours: figure(one),
      peer: best(one),
    }));
  const recipes = (model: string) => peers?.models[model];
  const sizeOf = (model: string) => recipes(model)?.["float"]?.size_mb;
  return [
    contestTable(
      CLOSENESS,
      each(
        (one) => one.snrDb,
        ({ model, mode }) =>
          bestPeer(recipes(model), mode, (row) => inEither(row, (s) => s.snr), "more"),
      ),
    ),
    contestTable(
      SCORE,
      each(
        (one) => one.score,
        ({ model, mode }) =>
          bestPeer(recipes(model), mode, (row) => inEither(row, (s) => s.value), "more"),
      ),
    ),
    contestTable(
      SHARE,
      each(
        (one) => one.share,
        ({ model, mode }) => {
          const float = sizeOf(model);
          return bestPeer(
            recipes(model),
            mode,
            (row) => float && row.size_mb && row.size_mb / float,
            "less",
          );
        },
      ),
    ),
    contestTable(
      CPU,
      each(
        (one) => one.cpuSeconds,
        ({ model, mode }) => bestPeer(recipes(model), mode, (row) => row.cpu_s, "less"),
      ),
    ),
    contestTable(
      PEAK,
      each(
        (one) => one.peakMb,
        ({ model, mode }) => bestPeer(recipes(model), mode, (row) => row.peak_mb, "less"),
      ),
    ),
    contestTable(FASTER, latencies(quantizedModels, peers)),
    contestTable(
      ZOO,
      graphs.map(({ graph, snrDb }) => ({
        subject: graph,
        ours: snrDb,
        peer: bestPeer(peers?.zoo[graph], "any", (row) => row.snr, "more"),
      })),
    ),
    contestTable(SUCCESS, successes(quantizedModels, graphs, peers)),
  ].filter(({ rows }) => rows.length > 0);
}

function latencies(
  quantizedModels: readonly QuantizedModel[],
  peers: PeerResults | undefined,
): Contest[] {
  return quantizedModels.flatMap(({ model, mode, faster }) =>
    faster.map((ours, i): Contest => {
      const { batch, length } = SHAPES[i] ?? { batch: 0, length: 0 };
      const times = peers?.latency[model] ?? {};
      const of = (name: string) => times[name]?.["ort-1"]?.[`${batch}x${length}`];
      const float = of("float");
      const rows = Object.fromEntries(
        Object.keys(times).map((name) => [
          name,
          { ok: true, snr: (float ?? NaN) / (of(name) ?? NaN) },
        ]),
      );
      const peer = bestPeer(rows, mode, (row) => row.snr, "more");
      return { subject: `${model}, ${mode}, ${batch} × ${length}`, ours, peer };
    }),
  );
}

/** How many of the models and graphs of this run each tool quantizes; the peer is the one with most. */
function successes(
  quantizedModels: readonly QuantizedModel[],
  graphs: readonly Graph[],
  peers: PeerResults | undefined,
): Contest[] {
  const names = [...new Set(quantizedModels.map(({ model }) => model))];
  const sets = [
    {
      subject: "models",
      tried: names,
      ok: (n: string) => quantizedModels.every((e) => e.model !== n || !Number.isNaN(e.snrDb)),
      from: peers?.models,
    },
    {
      subject: "zoo",
      tried: graphs.map(({ graph }) => graph),
      ok: (n: string) => graphs.some((g) => g.graph === n && !Number.isNaN(g.snrDb)),
      from: peers?.zoo,
    },
  ];
  return sets
    .filter(({ tried }) => tried.length > 0)
    .map(({ subject, tried, ok, from }) => {
      const recipes = new Set(tried.flatMap((name) => Object.keys(from?.[name] ?? {})));
      const rows = [...recipes].map((recipe) => {
        const count = tried.filter((name) => from?.[name]?.[recipe]?.ok === true).length;
        return [recipe, { ok: true, snr: count }] as const;
      });
      const peer = bestPeer(Object.fromEntries(rows), "any", (row) => row.snr, "more");
      return { subject: `${subject} (${tried.length})`, ours: tried.filter(ok).length, peer };
    });
}

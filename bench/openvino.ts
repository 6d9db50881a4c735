// What OpenVINO makes of the quantized models for it, and of NNCF's: what runs in INT8, and how long a run takes. One file per process, in turn.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { feedsOf } from "../src/data/feeds.js";
import { readFolder } from "../src/data/folder.js";
import { createTokenizer } from "../src/data/tokenize.js";
import { quantize } from "../src/node.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { shared } from "../test/shared.js";
import { columns, type Bar, type Bench, type BenchResult } from "./bench.js";
import { recordsFor, writeJsonl } from "./datasets.js";
import { scratch, timedProcess } from "./machine.js";
import { noiseOf, scored } from "./scored.js";
import { peerPython } from "./peers.js";

const SHAPES = ["1x32", "1x128", "8x128"];
/** Rows that NNCF calibrates with, as its documentation has it about. */
const NNCF_ROWS = 128;
/** Time of ours in NNCF's. */
const SLOWEST = 1.05;

const script = fileURLToPath(new URL("openvino_run.py", import.meta.url));

interface Run {
  readonly ms: Readonly<Record<string, number>>;
  /** Operators by kind and precision. */
  readonly products: Readonly<Record<string, number>>;
  readonly version: string;
}

interface QuantizedModel {
  readonly name: string;
  readonly path: string;
  readonly snrDb?: number;
}

interface Timed extends QuantizedModel {
  /** Milliseconds by shape: the lowest median of all tries, since what others do only makes them larger. */
  readonly ms: readonly number[];
  readonly products: Run["products"];
}

export const openvino: Bench = {
  name: "openvino",
  about: "milliseconds per run in OpenVINO, and what runs in INT8 there, against NNCF's own file",
  options: "[NAME bert-sst2] [--threads 1] [--rounds 31] [--tries 5]",
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        threads: { type: "string", default: "1" },
        rounds: { type: "string", default: "31" },
        tries: { type: "string", default: "5" },
      },
    });
    const python = peerPython();
    if (python === undefined) return withoutPython();
    const [name = "bert-sst2"] = positionals;
    const quantizedModels = await quantizedModelsOf(python, name);
    const runs = quantizedModels.map((): Run[] => []);
    for (let turn = 0; turn < Number(values.tries); turn++)
      for (const [i, { path }] of quantizedModels.entries()) {
        const given = ["time", path, values.threads, values.rounds, ...SHAPES];
        const { stdout } = await timedProcess(python, [script, ...given]);
        runs[i]?.push(JSON.parse(stdout) as Run);
      }
    const timed = quantizedModels.map((quantizedModel, i): Timed => {
      const own = runs[i] ?? [];
      const ms = SHAPES.map((shape) => Math.min(...own.map((run) => run.ms[shape] ?? NaN)));
      return { ...quantizedModel, ms, products: own[0]?.products ?? {} };
    });
    return resultOf(name, values.threads, timed, runs[0]?.[0]?.version ?? "?");
  },
};

function withoutPython(): BenchResult {
  const note =
    "Nothing was measured: set OCTAVO_PEER_PYTHON to the python of a virtual environment with openvino and nncf.";
  return { tables: [], bars: [], notes: [note], data: [] };
}

async function quantizedModelsOf(python: string, name: string): Promise<QuantizedModel[]> {
  mkdirSync(scratch("openvino"), { recursive: true });
  const folder = shared("models", name);
  const float = shared("models", name, "onnx", "model.onnx");
  const task = name.split("-").at(-1) ?? "";
  const train = await recordsFor(task, "train");
  const data = scratch("openvino", `${task}.jsonl`);
  writeJsonl(data, train);
  const ir = scratch("openvino", `${name}.nncf.xml`);
  const feeds = scratch("openvino", `${name}.feeds.json`);
  writeFileSync(feeds, JSON.stringify(await rowsOf(folder, float, train.slice(0, NNCF_ROWS))));
  await timedProcess(python, [script, "nncf", float, feeds, ir]);
  const quantizedModels: QuantizedModel[] = [
    { name: "NNCF", path: ir },
    { name: "float", path: float },
  ];
  const reference = await scored(folder, float);
  for (const attention of ["none", "values", "all"] as const) {
    const path = scratch("openvino", `${name}.${attention}.onnx`);
    const options = { mode: "static", target: "openvino", check: false, force: true } as const;
    await quantize(folder, { ...options, data, output: path, attention });
    const snrDb = noiseOf(reference.values, (await scored(folder, path)).values);
    quantizedModels.push({ name: `attention ${attention}`, path, snrDb });
  }
  return quantizedModels;
}

/** Rows as NNCF takes them: lists in lists by the names of the inputs. */
async function rowsOf(
  folder: string,
  path: string,
  records: Awaited<ReturnType<typeof recordsFor>>,
) {
  const tokenizer = createTokenizer(readFolder(folder));
  const session = await ortNode.load(path, { threads: 1 });
  try {
    return records.map((record) => {
      if (!("text" in record)) throw new Error("NNCF is measured on texts only");
      const row = tokenizer.encode(record, 128);
      const feeds = feedsOf(session.inputs, [row], { padding: tokenizer.padding });
      return Object.fromEntries(
        Object.entries(feeds).map(([name, { data }]) => [name, [Array.from(data, Number)]]),
      );
    });
  } finally {
    await session.release();
  }
}

function resultOf(
  name: string,
  threads: string,
  timed: readonly Timed[],
  version: string,
): BenchResult {
  const [nncf] = timed;
  const ours = timed.find((one) => one.name === "attention none");
  const share = (one: Timed | undefined, i: number) => (one?.ms[i] ?? NaN) / (nncf?.ms[i] ?? NaN);
  const bars = SHAPES.map((shape, i): Bar => ({
    what: `${name} at ${shape}: time in NNCF's`,
    value: share(ours, i),
    bar: SLOWEST,
    kind: "at most",
    unit: "",
  }));
  return {
    tables: [
      {
        title: `${name} in OpenVINO ${version}, ${threads} thread(s): ms, and time in NNCF's`,
        columns: columns("quantized model", ...SHAPES, "SNR dB", "what ran"),
        rows: timed.map((one) => [
          one.name,
          ...one.ms.map((ms, i) => `${ms.toFixed(2)} (${share(one, i).toFixed(2)})`),
          one.snrDb?.toFixed(1) ?? "–",
          Object.entries(one.products)
            .map(([what, count]) => `${count} ${what}`)
            .join(", "),
        ]),
      },
    ],
    bars,
    notes: ["Float parts run in float32 (INFERENCE_PRECISION_HINT)."],
    data: timed,
  };
}

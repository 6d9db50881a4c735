// A step of training (forward, backward, clipping, AdamW), plain and with quantizers, against PyTorch eager, process by process in turn; and whether memory stays flat.
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { shared } from "../test/shared.js";
import type { Bar, Bench, BenchResult } from "./bench.js";
import { timedProcess } from "./machine.js";

/** Ours in PyTorch's. */
const [SLOWEST, MOST_MEMORY] = [1, 1.3];
/** A step with quantizers in one without. */
const MOST_FOR_QUANTIZERS = 1.5;
/** Resident memory at the end in that after 100 steps. */
const MOST_GROWTH = 1.02;
const WARM = 5;
const LONG = 1000;

// By its place: the processes run in other folders.
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const own = fileURLToPath(new URL("train_run.ts", import.meta.url));
const peer = fileURLToPath(new URL("peer_train.py", import.meta.url));

const FORMS = ["plain", "qat"] as const;
type Form = (typeof FORMS)[number];

interface Run {
  readonly ms: readonly number[];
  readonly memory?: readonly number[];
  readonly peakBytes: number;
}

interface Runs {
  readonly form: Form;
  readonly ours: Run[];
  readonly theirs: Run[];
  long?: Run;
}

export const training: Bench = {
  name: "train",
  about:
    "a training step of 32 × 32 tokens on 2 threads against PyTorch's, and memory over 1,000 steps",
  options:
    "[NAME bert-sst2] [--form plain|qat]… [--steps 25] [--tries 3] [--long 1000; 0 leaves it out]",
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        form: { type: "string", multiple: true },
        steps: { type: "string", default: "25" },
        tries: { type: "string", default: "3" },
        long: { type: "string", default: String(LONG) },
      },
    });
    const folder = shared("models", positionals[0] ?? "bert-sst2");
    const python = process.env["OCTAVO_TORCH_PYTHON"] ?? "";
    const all = FORMS.filter((form) => values.form?.includes(form) ?? true).map((form): Runs => ({
      form,
      ours: [],
      theirs: [],
    }));
    for (let i = 0; i < Number(values.tries); i++)
      for (const { form, ours, theirs } of all) {
        ours.push(await ownRun(folder, values.steps, form));
        if (python !== "")
          theirs.push(await runOf(python, [peer, folder, values.steps, String(WARM), form]));
      }
    if (values.long !== "0")
      for (const runs of all) runs.long = await ownRun(folder, values.long, runs.form);
    return resultOf(all);
  },
};

const ownRun = (folder: string, steps: string, form: Form) =>
  runOf(process.execPath, [
    "--import",
    tsx,
    own,
    `${folder}/onnx/model.onnx`,
    steps,
    String(WARM),
    form,
  ]);

async function runOf(command: string, args: readonly string[]): Promise<Run> {
  const { stdout, peakBytes } = await timedProcess(command, args);
  const said = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Omit<Run, "peakBytes">;
  return { ...said, peakBytes };
}

const NAMES: Readonly<Record<Form, string>> = { plain: "float", qat: "QAT" };

function resultOf(all: readonly Runs[]): BenchResult {
  const rows = all.flatMap(({ form, ours, theirs }) => [
    [`Octavo, ${NAMES[form]}`, ...figures(ours)],
    ...(theirs.length === 0 ? [] : [[`PyTorch eager, ${NAMES[form]}`, ...figures(theirs)]]),
  ]);
  const [plain, qat] = FORMS.map((form) => all.find((runs) => runs.form === form));
  const bars = all.flatMap(barsOf);
  if (plain !== undefined && qat !== undefined)
    bars.push(
      at("QAT step in float step", fastest(qat.ours) / fastest(plain.ours), MOST_FOR_QUANTIZERS),
    );
  return {
    tables: [
      {
        title: "A step of 32 × 32 tokens, 2 threads: the lowest median of all tries",
        columns: [
          { title: "" },
          { title: "ms", align: "right" },
          { title: "peak MB", align: "right" },
        ],
        rows,
      },
    ],
    bars,
    notes: all.some(({ theirs }) => theirs.length > 0)
      ? []
      : ["No peer was measured: set OCTAVO_TORCH_PYTHON to a python with torch and transformers."],
    data: all.map(({ long, ...runs }) => ({ ...runs, memory: long?.memory })),
  };
}

function barsOf({ form, ours, theirs, long }: Runs): Bar[] {
  const bars: Bar[] = [];
  if (theirs.length > 0) {
    const ratio = (of: (runs: readonly Run[]) => number) => of(ours) / of(theirs);
    bars.push(
      at(`${NAMES[form]} step, ours in PyTorch's`, ratio(fastest), SLOWEST),
      at(`${NAMES[form]} memory, ours in PyTorch's`, ratio(peak), MOST_MEMORY),
    );
  }
  // One figure for 50 steps: the second is that after 100.
  const memory = long?.memory ?? [];
  const [start, end] = [memory[1], memory.at(-1)];
  if (start !== undefined && end !== undefined && memory.length > 2)
    bars.push(at(`${NAMES[form]} memory, end in 100 steps`, end / start, MOST_GROWTH));
  return bars;
}

function at(what: string, value: number, bar: number): Bar {
  return { what, value, bar, kind: "at most", unit: "times" };
}

function figures(runs: readonly Run[]): string[] {
  return [fastest(runs).toFixed(1), (peak(runs) / 1e6).toFixed(0)];
}

/** What others do meanwhile only makes medians larger. */
function fastest(runs: readonly Run[]): number {
  return Math.min(
    ...runs.map(({ ms }) => ms.toSorted((a, b) => a - b)[Math.floor(ms.length / 2)] ?? NaN),
  );
}

function peak(runs: readonly Run[]): number {
  return Math.min(...runs.map(({ peakBytes }) => peakBytes));
}

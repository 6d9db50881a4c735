// What the defaults of QAT and of weights of few bits rest on: each number varied by itself, on several models, judged on rows that nothing was chosen by.
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { DynamicOptions, QuantizeOptions, StaticOptions } from "../src/node.js";
import type { TrainingOptions } from "../src/options/quantize.js";
import { random } from "../src/math/random.js";
import { shared } from "../test/shared.js";
import { columns, type Bench, type BenchTable } from "./bench.js";
import { recordsFor, writeJsonl } from "./datasets.js";
import type { Trial, TrialResult } from "./defaults-trial.js";
import { scratch } from "./machine.js";
import { dataOf } from "./scored.js";

const MODELS = [
  "bert-sst2",
  "electra-stsb",
  "bert-wnut17",
  "roberta-sst2",
  "albert-sst2",
  "deberta-sst2",
  "minilm-stsb",
];

interface Form {
  readonly sites: Omit<DynamicOptions, "mode">;
  /** Where ranges are calibrated. */
  readonly calibrated: Omit<StaticOptions, "mode" | "ablation">;
}

// To the nearest: a third of a short run would be rounding on data.
const NEAREST = { sites: { round: false }, calibrated: { correct: false } } as const;

const FORMS: Readonly<Record<string, Form>> = {
  "4-bit": { ...NEAREST, sites: { ...NEAREST.sites, weightBits: 4 } },
  "5-bit": { ...NEAREST, sites: { ...NEAREST.sites, weightBits: 5 } },
  "8-bit": NEAREST,
  // Ranges as they were seen; codes whose sums no CPU saturates.
  residual: {
    sites: { ...NEAREST.sites, target: "tensorrt", reduceRange: true, smooth: false },
    calibrated: { ...NEAREST.calibrated, residual: "both", weightRange: "min-max" },
  },
};

interface Cell {
  readonly form: string;
  readonly name: string;
  readonly mode: "dynamic" | "static" | "qat";
  readonly weightRange?: "min-max";
  readonly training?: TrainingOptions;
  /** Constants of src/, by folder and name, that have another value. */
  readonly constants?: Readonly<Record<string, string>>;
}

/** What rests on one model first. */
function variations(form: string): Cell[] {
  const option = (name: string, training: TrainingOptions): Cell => ({
    form,
    name,
    mode: "qat",
    training,
  });
  const constant = (name: string, constants: Readonly<Record<string, string>>): Cell => ({
    form,
    name,
    mode: "qat",
    constants,
  });
  return [
    option("hidden weight 3", { hiddenWeight: 3 }),
    option("hidden weight 30", { hiddenWeight: 30 }),
    option("multiplier 60", { scaleRateMultiplier: 60 }),
    option("multiplier 600", { scaleRateMultiplier: 600 }),
    constant("starts within 0.1 of a step", { "qat/CELL": "0.1" }),
    constant("starts within 0.4 of a step", { "qat/CELL": "0.4" }),
    constant("highest rate 3e-5", { "qat/HIGHEST_RATE": "3e-5" }),
    constant("highest rate 1.2e-4", { "qat/HIGHEST_RATE": "1.2e-4" }),
    constant("pace 0.5", { "qat/PACE": "0.5" }),
    constant("pace 1", { "qat/PACE": "1" }),
  ];
}

function ranges(form: string, mode: "dynamic" | "static"): Cell[] {
  return [
    { form, name: mode, mode },
    { form, name: `${mode}, min-max`, mode, weightRange: "min-max" },
  ];
}

/** In the order in which they run: what takes minutes, and what all others are held against, first. */
const CELLS: readonly Cell[] = [
  ...ranges("4-bit", "dynamic"),
  ...ranges("5-bit", "dynamic"),
  { form: "residual", name: "static", mode: "static" },
  { form: "residual", name: "default", mode: "qat" },
  ...variations("residual").slice(0, 4),
  { form: "8-bit", name: "static", mode: "static" },
  {
    form: "8-bit",
    name: "accepted by any gain",
    mode: "qat",
    constants: { "qat/LEAST_GAIN": "0" },
  },
  { form: "8-bit", name: "default", mode: "qat" },
  ...variations("residual").slice(4),
  ...ranges("4-bit", "static"),
  { form: "4-bit", name: "default", mode: "qat" },
  ...variations("4-bit"),
  ...ranges("5-bit", "static"),
];

interface Size {
  readonly steps: number;
  readonly rows: number;
  readonly judged: number;
  readonly batch: number;
}

interface Done extends TrialResult {
  readonly model: string;
  readonly form: string;
  readonly cell: string;
}

export const defaults: Bench = {
  name: "defaults",
  about: "the defaults of QAT and of weights of few bits, each varied by itself on several models",
  options:
    "[NAME…] [--minutes 60] [--steps 60] [--rows 480] [--judged 200] [--batch-size 8] [--form 4-bit|5-bit|8-bit|residual]… [--cell NAME]…",
  async run(args) {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        minutes: { type: "string", default: "60" },
        steps: { type: "string", default: "60" },
        rows: { type: "string", default: "480" },
        judged: { type: "string", default: "200" },
        "batch-size": { type: "string", default: "8" },
        form: { type: "string", multiple: true },
        cell: { type: "string", multiple: true },
      },
    });
    const size: Size = {
      steps: Number(values.steps),
      rows: Number(values.rows),
      judged: Number(values.judged),
      batch: Number(values["batch-size"]),
    };
    const models = positionals.length > 0 ? positionals : MODELS;
    const end = Date.now() + 60_000 * Number(values.minutes);
    const cells = CELLS.filter(
      ({ form, name }) =>
        values.form?.includes(form) !== false && values.cell?.includes(name) !== false,
    );
    for (const together of grouped(cells)) {
      const missing: Trial[] = [];
      for (const cell of together)
        for (const model of models) {
          const trial = await trialOf(model, cell, size);
          if (!existsSync(trial.result)) missing.push(trial);
        }
      if (missing.length > 0 && Date.now() < end)
        await inProcess(codeWith(together[0]?.constants ?? {}), missing, end - Date.now());
    }
    const done: Done[] = [];
    for (const cell of cells)
      for (const model of models) {
        const { result } = await trialOf(model, cell, size);
        if (!existsSync(result)) continue;
        const found = JSON.parse(readFileSync(result, "utf8")) as TrialResult;
        done.push({ ...found, model, form: cell.form, cell: cell.name });
      }
    return {
      tables: [summary(done), ...Object.keys(FORMS).flatMap((form) => each(form, done))],
      bars: [],
      notes: [
        `${size.steps} steps of ${size.batch}, distilled from ${size.rows} rows of the training file, judged on ${size.judged} rows of the dev file.`,
        "One seed: score and SNR of what is handed out, so a quantized model that is not accepted counts as the static one.",
      ],
      data: { size, cells: done },
    };
  },
};

/** Cells in a row that the same code measures. */
function grouped(cells: readonly Cell[]): Cell[][] {
  const groups: Cell[][] = [];
  const codeOf = ({ constants = {} }: Cell) => JSON.stringify(constants);
  for (const cell of cells) {
    const last = groups.at(-1);
    if (last?.[0] !== undefined && codeOf(last[0]) === codeOf(cell)) last.push(cell);
    else groups.push([cell]);
  }
  return groups;
}

async function trialOf(model: string, cell: Cell, size: Size): Promise<Trial> {
  const { steps, batch, rows, judged } = size;
  const folder = fileURLToPath(
    new URL(`out/defaults/${steps}x${batch}-${rows}-${judged}/`, import.meta.url),
  );
  mkdirSync(folder, { recursive: true });
  const slug = `${model} ${cell.form} ${cell.name}`.replaceAll(/[^\w.-]+/g, "-");
  const files = await filesOf(model, size);
  const options = optionsOf(cell, files.data, size);
  return {
    folder: shared("models", model),
    options,
    judged: files.judged,
    stats: scratch("defaults", `${model}-${rows}-${options.target ?? "cpu"}.json`),
    float: scratch("defaults", `${model}-${judged}-float.json`),
    output: scratch("defaults", `${slug}.onnx`),
    result: `${folder}${slug}.json`,
  };
}

function optionsOf(cell: Cell, data: string, { steps, batch }: Size): QuantizeOptions {
  const { mode, weightRange, training } = cell;
  const form = FORMS[cell.form];
  if (form === undefined) throw new Error(`there is no form ${cell.form}`);
  const range = weightRange === undefined ? {} : { weightRange };
  if (mode === "dynamic") return { ...form.sites, ...range, mode };
  const common = {
    ...form.sites,
    ...form.calibrated,
    ...range,
    data,
    samples: 128,
    maxLength: 128,
  };
  if (mode === "static") return { ...common, mode };
  return {
    ...common,
    mode,
    loss: "distill",
    trainSteps: steps,
    batchSize: batch,
    evaluateEvery: Math.max(1, Math.ceil(steps / 2)),
    threads: 1,
    ...training,
  };
}

/** Rows to train on, of the training file, and rows to judge by, of the dev file: the test split is for reports. */
async function filesOf(model: string, { rows, judged }: Size) {
  mkdirSync(scratch("defaults"), { recursive: true });
  const task = dataOf(shared("models", model));
  const data = scratch("defaults", `${model}-${rows}.jsonl`);
  const other = scratch("defaults", `${model}-${judged}-judged.json`);
  if (!existsSync(data)) writeJsonl(data, some(await recordsFor(task, "train"), rows));
  if (!existsSync(other))
    writeFileSync(other, JSON.stringify(some(await recordsFor(task, "dev"), judged)));
  return { data, judged: other };
}

function some<T>(records: readonly T[], count: number): T[] {
  const order = random(17);
  return records
    .map((record) => ({ record, key: order.uniform() }))
    .toSorted((a, b) => a.key - b.key)
    .slice(0, count)
    .map(({ record }) => record);
}

/** A copy of the code in which these constants have other values; all of a run are of the code as it was when the run began. */
function codeWith(constants: Readonly<Record<string, string>>): string {
  const name = Object.entries(constants).flat().join("-").replaceAll("/", ".");
  const copy = scratch("defaults", `code-${process.pid}-${name}`);
  if (existsSync(copy)) return copy;
  const root = name === "" ? fileURLToPath(new URL("../", import.meta.url)) : codeWith({});
  for (const part of COPIED) cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(
    fileURLToPath(new URL("../node_modules", import.meta.url)),
    join(copy, "node_modules"),
  );
  for (const [place, value] of Object.entries(constants)) replaceConstant(copy, place, value);
  return copy;
}

const COPIED = [
  "src",
  "test/shared.ts",
  "package.json",
  "tsconfig.json",
  ...["defaults-trial.ts", "scored.ts", "datasets.ts"].map((file) => `bench/${file}`),
];

function replaceConstant(copy: string, place: string, value: string): void {
  const at = place.lastIndexOf("/");
  const folder = join(copy, "src", place.slice(0, at));
  const declared = new RegExp(`^((?:export )?const ${place.slice(at + 1)} = )[^;]+;`, "m");
  const files = readdirSync(folder)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => ({ path: join(folder, file), text: readFileSync(join(folder, file), "utf8") }))
    .filter(({ text }) => declared.test(text));
  const [file] = files;
  if (file === undefined || files.length > 1)
    throw new Error(`${files.length} files of ${folder} declare ${place}`);
  writeFileSync(file.path, file.text.replace(declared, `$1${value};`));
}

/** Ended when there is no time left: what it has measured by then is kept. */
async function inProcess(
  code: string,
  trials: readonly Trial[],
  milliseconds: number,
): Promise<void> {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", join(code, "bench", "defaults-trial.ts"), JSON.stringify(trials)],
    { cwd: code, stdio: ["ignore", "ignore", "inherit"], timeout: Math.max(1, milliseconds) },
  );
  const status = await new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (rc, signal) => resolve(signal ?? String(rc)));
  });
  if (status !== "0") process.stderr.write(`trials ended with ${status}\n`);
}

/** What each cell is held against: the same model and form at the defaults, trained or not. */
function baseOf({ model, form, cell }: Done, done: readonly Done[]): Done | undefined {
  const base =
    /^(?:dynamic|static)\b/.exec(cell)?.[0] ?? (cell === "default" ? "static" : "default");
  return done.find((one) => one.model === model && one.form === form && one.cell === base);
}

function summary(done: readonly Done[]): BenchTable {
  const rows = CELLS.flatMap(({ form, name }) => {
    const pairs = done
      .filter((one) => one.form === form && one.cell === name)
      .map((one) => ({ one, base: baseOf(one, done) }))
      .flatMap(({ one, base }) => (base === undefined || base === one ? [] : [{ one, base }]));
    if (pairs.length === 0) return [];
    const points = pairs.map(({ one, base }) => 100 * (one.score - base.score));
    const decibels = pairs.map(({ one, base }) => one.snrDb - base.snrDb);
    const base = pairs[0]?.base.cell ?? "";
    return [
      [
        form,
        name,
        base,
        String(pairs.length),
        signed(mean(decibels), 2),
        `${decibels.filter((x) => x > 0).length} of ${pairs.length}`,
        signed(mean(points), 2),
        `${points.filter((x) => x > 0).length} of ${pairs.length}`,
      ],
    ];
  });
  return {
    title: "Means over the models of what each gains",
    columns: columns("form", "cell", "against", "models", "dB", "closer", "points", "better"),
    rows,
  };
}

function each(form: string, done: readonly Done[]): BenchTable[] {
  const own = done.filter((one) => one.form === form);
  if (own.length === 0) return [];
  return [
    {
      title: form,
      columns: columns("model", "cell", "metric", "float", "score", "SNR dB", "best step", "rate"),
      rows: own.map((one) => [
        one.model,
        one.cell,
        one.metric,
        (100 * one.float).toFixed(2),
        (100 * one.score).toFixed(2),
        one.snrDb.toFixed(2),
        one.best === undefined ? "–" : String(one.best),
        one.rate === undefined ? "–" : one.rate.toExponential(1),
      ]),
    },
  ];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function signed(value: number, digits: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

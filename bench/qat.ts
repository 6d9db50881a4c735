// What quantization-aware training gives: the fine-tuned models in each form, float, before training and after, over their whole test splits.
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { quantize, type QatOptions, type StaticOptions } from "../src/node.js";
import { shared } from "../test/shared.js";
import { columns, type Bar, type Bench } from "./bench.js";
import { recordsFor, writeJsonl } from "./datasets.js";
import { scratch } from "./machine.js";
import { dataOf, metricOf, noiseOf, scored } from "./scored.js";

const FINE_TUNED = [
  "bert-sst2",
  "roberta-sst2",
  "deberta-sst2",
  "albert-sst2",
  "electra-stsb",
  "bert-wnut17",
];

interface Form {
  readonly name: string;
  readonly options: Omit<StaticOptions, "mode" | "ablation">;
  /** Of the static model whose loss is to come back, where it is not the one that training starts from. */
  readonly worst?: Omit<StaticOptions, "mode">;
  /** Where static mode loses points that are to come back. */
  readonly hard: boolean;
}

/** Ranges as they were seen, weights to the nearest. */
const PLAIN = { smooth: false, round: false, correct: false, weightRange: "min-max" } as const;
const FORMS: readonly Form[] = [
  { name: "cpu", options: { target: "cpu" }, hard: false },
  {
    name: "tensorrt",
    options: { target: "tensorrt", residual: "both", ...PLAIN },
    hard: true,
  },
  { name: "4-bit", options: { target: "cpu", weightBits: 4 }, worst: PLAIN, hard: true },
];
const HARD = new Set(["bert-sst2", "roberta-sst2", "deberta-sst2"]);

const LOSSES = ["task", "distill", "both"] as const;
type Loss = (typeof LOSSES)[number];

interface Row {
  readonly model: string;
  readonly form: string;
  readonly hard: boolean;
  readonly loss: Loss;
  readonly metric: string;
  readonly float: number;
  readonly worst: number;
  readonly before: number;
  readonly after: number;
  readonly snrBefore: number;
  readonly snrAfter: number;
  readonly best: number;
  readonly rate: number;
  readonly stepsPerSecond: number;
  readonly scores: readonly (number | null)[];
}

export const qat: Bench = {
  name: "qat",
  about: "float, static and trained models of the fine-tuned models, in easy and in hard forms",
  options:
    "[NAME…] [--form cpu|tensorrt|4-bit]… [--loss task|distill|both]… [--train-steps 600] [--lr RATE] [--scale-rate-multiplier 200] [--temperature 2] [--hidden-weight 10] [--seed 0]",
  async run(args) {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        form: { type: "string", multiple: true },
        loss: { type: "string", multiple: true },
        "train-steps": { type: "string", default: "600" },
        lr: { type: "string" },
        "scale-rate-multiplier": { type: "string", default: "200" },
        temperature: { type: "string", default: "2" },
        "hidden-weight": { type: "string", default: "10" },
        seed: { type: "string", default: "0" },
      },
    });
    const rate = values.lr === undefined ? {} : { rate: Number(values.lr) };
    const options = {
      ...rate,
      trainSteps: Number(values["train-steps"]),
      scaleRateMultiplier: Number(values["scale-rate-multiplier"]),
      temperature: Number(values.temperature),
      hiddenWeight: Number(values["hidden-weight"]),
      seed: Number(values.seed),
    };
    const losses = LOSSES.filter((loss) => (values.loss ?? ["task", "distill"]).includes(loss));
    const rows: Row[] = [];
    for (const name of positionals.length > 0 ? positionals : FINE_TUNED)
      for (const form of FORMS) {
        if (values.form?.includes(form.name) === false || (form.hard && !HARD.has(name))) continue;
        rows.push(...(await measured(name, form, losses, options)));
      }
    return {
      tables: [
        {
          title: `Scores on the test split, points; ${options.trainSteps} steps of 32`,
          columns: columns(
            "model",
            "form",
            "loss",
            "metric",
            "float",
            "plain",
            "static",
            "qat",
            "qat − float",
            "recovered %",
            "SNR dB",
            "→",
            "best step",
            "steps/s",
          ),
          rows: rows.map((row) => [
            row.model,
            row.form,
            row.loss,
            row.metric,
            ...[row.float, row.worst, row.before, row.after].map((value) =>
              (100 * value).toFixed(2),
            ),
            (100 * (row.after - row.float)).toFixed(2),
            row.float - row.worst > 0.01 ? recovered(row).toFixed(0) : "–",
            row.snrBefore.toFixed(1),
            row.snrAfter.toFixed(1),
            String(row.best),
            row.stepsPerSecond.toFixed(2),
          ]),
        },
      ],
      bars: barsOf(rows),
      notes: [
        "plain: static, ranges as they were seen and weights to the nearest; recovered: of what that loses.",
        "The best step is chosen on the dev split; the test split is scored once, at the end.",
      ],
      data: rows,
    };
  },
};

async function measured(
  name: string,
  form: Form,
  losses: readonly Loss[],
  options: Omit<QatOptions, "mode" | "data">,
): Promise<Row[]> {
  const folder = shared("models", name);
  const float = await scored(folder, shared("models", name, "onnx", "model.onnx"));
  const metric = metricOf(float);
  mkdirSync(scratch("qat"), { recursive: true });
  const file = async (split: "train" | "dev") => {
    const path = scratch("qat", `${name}-${split}.jsonl`);
    writeJsonl(path, await recordsFor(dataOf(folder), split), { labelled: true });
    return path;
  };
  const [data, evaluate] = [await file("train"), await file("dev")];
  const common = { ...form.options, data, force: true, check: false, maxLength: 128 };
  const fixed = async (title: string, more: Omit<StaticOptions, "mode">) => {
    const output = scratch("qat", `${name}-${form.name}-${title}.onnx`);
    await quantize(folder, { ...common, ...more, mode: "static", output });
    return scored(folder, output);
  };
  const start = await fixed("static", {});
  const worst = form.worst === undefined ? start : await fixed("plain", form.worst);
  const rows: Row[] = [];
  for (const loss of losses) {
    const output = scratch("qat", `${name}-${form.name}-${loss}.onnx`);
    const { report } = await quantize(folder, {
      ...common,
      ...options,
      mode: "qat",
      loss,
      evaluate,
      output,
    });
    const { training } = report;
    if (training === undefined) throw new Error("nothing was trained");
    const after = await scored(folder, output);
    const row: Row = {
      model: name,
      form: form.name,
      hard: form.hard,
      loss,
      metric,
      float: float.metrics[metric] ?? NaN,
      worst: worst.metrics[metric] ?? NaN,
      before: start.metrics[metric] ?? NaN,
      after: after.metrics[metric] ?? NaN,
      snrBefore: noiseOf(float.values, start.values),
      snrAfter: noiseOf(float.values, after.values),
      best: training.best,
      rate: training.rate,
      stepsPerSecond: training.steps / training.seconds,
      scores: training.scores.map(({ value }) => value),
    };
    process.stderr.write(`${JSON.stringify(row)}\n`);
    rows.push(row);
  }
  return rows;
}

/** Percent of what static mode lost. */
function recovered({ float, worst, after }: Row): number {
  return (100 * (after - worst)) / (float - worst);
}

function barsOf(rows: readonly Row[]): Bar[] {
  const bars: Bar[] = [];
  const least = (what: string, value: number, bar: number, unit: string): void =>
    void bars.push({ what, value, bar, kind: "at least", unit });
  for (const loss of LOSSES) {
    const easy = rows.filter((row) => row.loss === loss && !row.hard);
    for (const { model, float, before, after } of easy) {
      least(`${model}, ${loss}: qat − float`, 100 * (after - float), -0.2, "points");
      least(`${model}, ${loss}: qat − static`, 100 * (after - before), 0, "points");
    }
    const mean = easy.reduce((sum, { float, after }) => sum + after - float, 0) / easy.length;
    if (easy.length > 1) least(`mean, ${loss}: qat − float`, 100 * mean, -0.05, "points");
  }
  for (const row of rows)
    if (row.hard && row.float - row.worst > 0.01)
      least(`${row.model} ${row.form}, ${row.loss}: recovered`, recovered(row), 85, "%");
  for (const row of rows) {
    if (row.loss !== "distill") continue;
    const task = rows.find(
      ({ model, form, loss }) => model === row.model && form === row.form && loss === "task",
    );
    if (task !== undefined)
      least(
        `${row.model} ${row.form}: distilled − by labels`,
        100 * (row.after - task.after),
        -0.2,
        "points",
      );
  }
  return bars;
}

// What explicit quantization for Nvidia GPUs costs in accuracy: the same Q/DQ graphs, run by onnxruntime on the CPU, since no GPU is at hand.
import { mkdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { quantize } from "../src/node.js";
import type { ResidualChoice } from "../src/targets/target.js";
import { shared, sharedModels } from "../test/shared.js";
import { columns, type Bar, type Bench } from "./bench.js";
import { recordsFor, writeJsonl } from "./datasets.js";
import { scratch } from "./machine.js";
import { noiseOf, scored } from "./scored.js";

/** Points of a classifier's first metric. */
const LARGEST_LOSS = 1;

interface Form {
  readonly name: string;
  readonly residual: ResidualChoice;
  readonly attention?: "all";
  readonly fp16?: true;
}

/** The first has the bar. */
const FORMS: readonly Form[] = [
  { name: "skip", residual: "skip" },
  { name: "none", residual: "none" },
  { name: "both", residual: "both" },
  { name: "skip + attention", residual: "skip", attention: "all" },
  { name: "skip, FP16", residual: "skip", fp16: true },
];

interface Row {
  readonly model: string;
  readonly form: string;
  readonly metric: string;
  readonly float: number;
  readonly quantized: number;
  readonly snrDb: number;
}

export const tensorrt: Bench = {
  name: "tensorrt",
  about: "accuracy of the fine-tuned models' TensorRT forms, run by onnxruntime",
  options: "[NAME…] [--forms 5]",
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { forms: { type: "string", default: String(FORMS.length) } },
    });
    const all = sharedModels().map(({ name }) => name);
    const rows: Row[] = [];
    for (const name of positionals.length > 0 ? positionals : all)
      rows.push(...(await measured(name, FORMS.slice(0, Number(values.forms)))));
    const held = rows.filter(({ form }) => form === FORMS[0]?.name);
    return {
      tables: [
        {
          title: "Static models for TensorRT on the test splits",
          columns: columns("model", "residual", "metric", "float", "INT8", "points", "SNR dB"),
          rows: rows.map((row) => [
            row.model,
            row.form,
            row.metric,
            row.float.toFixed(4),
            row.quantized.toFixed(4),
            pointsOf(row).toFixed(2),
            row.snrDb.toFixed(1),
          ]),
        },
      ],
      bars: held.map(barOf),
      notes: [
        `Mean loss with the skip operands: ${(held.reduce((sum, row) => sum + pointsOf(row), 0) / held.length).toFixed(3)} points.`,
        "Run by onnxruntime on the CPU: the numbers are those of the Q/DQ graph, the speed would not be.",
      ],
      data: rows,
    };
  },
};

async function measured(name: string, forms: readonly Form[]): Promise<Row[]> {
  mkdirSync(scratch("tensorrt"), { recursive: true });
  const folder = shared("models", name);
  const { task } = JSON.parse(readFileSync(`${folder}/result.json`, "utf8")) as { task: string };
  const data = scratch("tensorrt", `${task}.jsonl`);
  writeJsonl(data, await recordsFor(task, "train"));
  const float = await scored(folder, shared("models", name, "onnx", "model.onnx"));
  const [first = ""] = Object.keys(float.metrics);
  const metric = float.task === "sentence-embedding" ? "spearman" : first;
  const rows: Row[] = [];
  for (const { name: form, ...choices } of forms) {
    const output = scratch("tensorrt", `${name}.onnx`);
    const options = { mode: "static", target: "tensorrt", check: false, force: true } as const;
    await quantize(folder, { ...options, data, output, ...choices });
    const quantized = await scored(folder, output);
    rows.push({
      model: name,
      form,
      metric,
      float: float.metrics[metric] ?? NaN,
      quantized: quantized.metrics[metric] ?? NaN,
      snrDb: noiseOf(float.values, quantized.values),
    });
  }
  return rows;
}

/** Points lost; negative where INT8 is better. */
function pointsOf({ float, quantized }: Row): number {
  return 100 * (float - quantized);
}

function barOf(row: Row): Bar {
  return {
    what: `${row.model}: points of ${row.metric} lost`,
    value: pointsOf(row),
    bar: LARGEST_LOSS,
    kind: "at most",
    unit: "",
  };
}

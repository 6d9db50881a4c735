// Whether memory follows the largest tensor and not the model: a BERT of 3 GB, with its data in a file beside it.
import { existsSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { median } from "../src/math/quantile.js";
import { bytes } from "../src/report/format.js";
import { octavoQuantize } from "./base.js";
import { columns, figure, type Bench } from "./bench.js";
import { BERT_3GB, writeBert } from "./build-bert.js";
import { scratch } from "./machine.js";
import { outputNoise } from "./outputs.js";

export const large: Bench = {
  name: "large",
  about: "memory to quantize a model of 3 GB with external data",
  options: "[--rounds 2]",
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: { rounds: { type: "string", default: "2" } },
    });
    const model = scratch("bert-3gb.onnx");
    const data = `${model}_data`;
    if (!existsSync(model) || !existsSync(data)) writeBert(model, BERT_3GB);
    const output = scratch("bert-3gb.octavo.onnx");
    const runs: Awaited<ReturnType<typeof octavoQuantize>>[] = [];
    for (let i = 0; i < Number(values.rounds); i++) runs.push(await octavoQuantize(model, output));
    const seconds = median(runs.map((run) => run.seconds));
    const peak = Math.max(...runs.map((run) => run.peakBytes));
    const snr = await outputNoise(model, output);
    const size = statSync(model).size + statSync(data).size;
    const written = runs[0]?.report.bytesAfter ?? NaN;
    return {
      tables: [
        {
          title: `A BERT of ${bytes(size)} with external data`,
          columns: columns("", "wall s", "peak", "file", "÷ float", "SNR dB"),
          rows: [
            [
              "octavo quantize",
              figure(seconds),
              bytes(peak),
              bytes(written),
              (written / size).toFixed(3),
              snr.toFixed(1),
            ],
          ],
        },
      ],
      bars: [
        { what: "peak memory", value: peak / 1e6, bar: 1500, kind: "at most", unit: "MB" },
        {
          what: "share of the float file",
          value: written / size,
          bar: 0.27,
          kind: "at most",
          unit: "",
        },
      ],
      notes: [],
      data: { runs, snr },
    };
  },
};

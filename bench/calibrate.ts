// What calibrating costs: a BERT-base on sentences of one length, as a process, against float inference of the same batches.
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { allRecords, openRecords } from "../src/data/record-files.js";
import { readyFeeds } from "../src/data/ready-feeds.js";
import { bytes } from "../src/report/format.js";
import type { CalibrateReport } from "../src/report/report.js";
import { random } from "../src/math/random.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { columns, figure, type Bench } from "./bench.js";
import { BERT_BASE, writeBert } from "./build-bert.js";
import { scratch, timedProcess } from "./machine.js";

const CLI = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
/** As calibration makes batches of texts with a model of this size. */
const BATCH_TOKENS = 256;
/** Words that every tokenizer of BERT has. */
const WORDS = 20_000;

export const calibration: Bench = {
  name: "calibrate",
  about: "seconds and memory to calibrate a BERT-base (438 MB), against float inference",
  options: "[--sentences 1000] [--length 128]",
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        sentences: { type: "string", default: "1000" },
        length: { type: "string", default: "128" },
      },
    });
    const [sentences, length] = [Number(values.sentences), Number(values.length)];
    const model = scratch("bert-base.onnx");
    if (!existsSync(model)) writeBert(model, BERT_BASE);
    const data = scratch("sentences.jsonl");
    const rows = Math.max(1, Math.floor(BATCH_TOKENS / length));
    const batches = Math.ceil(sentences / rows);
    writeFileSync(data, linesOf(batches, rows, length));
    const output = scratch("statistics.json");
    rmSync(output, { force: true });
    const options = ["--data", data, "--samples", String(batches), "-o", output, "--json"];
    const run = await timedProcess(process.execPath, [CLI, "calibrate", model, ...options]);
    const report = JSON.parse(run.stdout) as CalibrateReport;
    const float = await inference(model, data);
    const size = statSync(model).size;
    return {
      tables: [
        {
          title: `BERT-base, ${sentences} sentences of ${length} tokens in ${batches} batches`,
          columns: columns("", "wall s", "CPU s", "peak"),
          rows: [
            ["octavo calibrate", figure(run.seconds), figure(run.cpuSeconds), bytes(run.peakBytes)],
            ["float inference", figure(float.seconds), figure(float.cpuSeconds), ""],
          ],
        },
      ],
      bars: [
        {
          what: "times the CPU seconds of float inference",
          value: run.cpuSeconds / float.cpuSeconds,
          bar: 2,
          kind: "at most",
          unit: "×",
        },
        {
          what: "times the wall seconds of float inference",
          value: run.seconds / float.seconds,
          bar: 2,
          kind: "at most",
          unit: "×",
        },
        {
          what: "peak memory beyond the model's size",
          value: (run.peakBytes - size) / 1e6,
          bar: 500,
          kind: "at most",
          unit: "MB",
        },
      ],
      notes: [`Statistics of ${report.activations} activations: ${bytes(statSync(output).size)}.`],
      data: { run: { ...run, stdout: undefined }, float, report, sentences, length },
    };
  },
};

function linesOf(batches: number, rows: number, length: number): string {
  const draw = random(1);
  const tensor = (value: () => number) =>
    Array.from({ length: rows }, () => Array.from({ length }, value));
  return Array.from({ length: batches }, () => {
    const inputs = {
      input_ids: tensor(() => 1000 + draw.whole(WORDS)),
      attention_mask: tensor(() => 1),
      token_type_ids: tensor(() => 0),
    };
    return `${JSON.stringify({ inputs })}\n`;
  }).join("");
}

/** All batches once, in a session like that of the calibration, loading included. */
async function inference(model: string, data: string) {
  const records = await allRecords(openRecords(data));
  const [start, before] = [performance.now(), process.cpuUsage()];
  const session = await ortNode.load(model, { spinning: "running" });
  try {
    for (const record of records)
      if ("inputs" in record) await session.run(readyFeeds(session.inputs, record));
  } finally {
    await session.release();
  }
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
}

// How long `octavo quantize` takes on a BERT-base, and how much memory, against onnxruntime's documented way: whole processes, seen from outside.
import { existsSync, rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../src/math/quantile.js";
import { bytes } from "../src/report/format.js";
import type { QuantizeReport } from "../src/report/report.js";
import { columns, figure, type Bar, type Bench } from "./bench.js";
import { BERT_BASE, writeBert } from "./build-bert.js";
import { scratch, timedProcess, type ProcessRun } from "./machine.js";
import { outputNoise } from "./outputs.js";
import { NO_PEER, peerDynamic, peerPython, type PeerRun } from "./peers.js";

const CLI = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** `octavo quantize` as its own process, without the check (peers have none). */
export async function octavoQuantize(
  model: string,
  output: string,
  more: readonly string[] = [],
): Promise<ProcessRun & { readonly report: QuantizeReport }> {
  if (!existsSync(CLI)) throw new Error(`${CLI} is not there: npm run build`);
  // Replacing a file costs what freeing the old one does, which users of a new name do not pay.
  rmSync(output, { force: true });
  const args = ["quantize", model, "-o", output, "--no-check", "--force", "--json", ...more];
  const run = await timedProcess(process.execPath, [CLI, ...args]);
  return { ...run, report: JSON.parse(run.stdout) as QuantizeReport };
}

export const base: Bench = {
  name: "base",
  about: "seconds and memory to quantize a BERT-base (438 MB), against onnxruntime's own way",
  options: "[--rounds 5] [--peer-rounds 3]",
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: "string", default: "5" },
        "peer-rounds": { type: "string", default: "3" },
      },
    });
    const model = scratch("bert-base.onnx");
    if (!existsSync(model)) writeBert(model, BERT_BASE);
    const output = scratch("bert-base.octavo.onnx");
    const peerOutput = scratch("bert-base.peer.onnx");
    const python = peerPython();
    const ours: Awaited<ReturnType<typeof octavoQuantize>>[] = [];
    const peers: PeerRun[] = [];
    // The first run fills the system's file cache, for both.
    await octavoQuantize(model, output);
    const peerRounds = python === undefined ? 0 : Number(values["peer-rounds"]);
    for (let round = 0; round < Math.max(Number(values.rounds), peerRounds); round++) {
      if (round < Number(values.rounds)) ours.push(await octavoQuantize(model, output));
      if (python !== undefined && round < peerRounds)
        peers.push(await peerDynamic(python, model, peerOutput, { preprocess: true }));
    }
    const noise = {
      ours: await outputNoise(model, output),
      peer: python === undefined ? undefined : await outputNoise(model, peerOutput),
    };
    const mine = summary(ours, statSync(output).size);
    const theirs = python === undefined ? undefined : summary(peers, statSync(peerOutput).size);
    const inUse = median(peers.map((run) => run.secondsOfUse));
    const bars: Bar[] = [
      { what: "seconds", value: mine.seconds, bar: 1.5, kind: "at most", unit: "s" },
      { what: "peak memory", value: mine.peak / 1e6, bar: 600, kind: "at most", unit: "MB" },
    ];
    if (theirs !== undefined)
      bars.push({
        what: "times faster than onnxruntime's way",
        value: inUse / mine.seconds,
        bar: 8,
        kind: "at least",
        unit: "×",
      });
    const row = (name: string, s: Summary, snr: number) => [
      name,
      figure(s.seconds),
      figure(s.cpu),
      bytes(s.peak),
      bytes(s.bytes),
      snr.toFixed(1),
    ];
    return {
      tables: [
        {
          title: `BERT-base, ${bytes(statSync(model).size)}, median of ${ours.length} rounds`,
          columns: columns("", "wall s", "CPU s", "peak", "file", "SNR dB"),
          rows: [
            row("octavo quantize", mine, noise.ours),
            ...(theirs === undefined
              ? []
              : [
                  row("onnxruntime, documented", theirs, noise.peer ?? NaN),
                  ["… without the failed first attempt", figure(inUse)],
                ]),
          ],
        },
      ],
      bars,
      notes: [
        ...(theirs === undefined ? [NO_PEER] : [...new Set(peers.flatMap((p) => p.report.notes))]),
        "SNR is against the float model on dummy inputs; the weights are random.",
      ],
      data: { ours, peers, noise },
    };
  },
};

interface Summary {
  readonly seconds: number;
  readonly cpu: number;
  readonly peak: number;
  readonly bytes: number;
}

function summary(runs: readonly ProcessRun[], size: number): Summary {
  return {
    seconds: median(runs.map((run) => run.seconds)),
    cpu: median(runs.map((run) => run.cpuSeconds)),
    peak: Math.max(...runs.map((run) => run.peakBytes)),
    bytes: size,
  };
}

// Every architecture of the zoo: how close the dynamic model stays to the float model, and to what PyTorch computed.
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { readSafetensors } from "../src/data/safetensors.js";
import { quantize } from "../src/node.js";
import { FileSource } from "../src/onnx/file-source.js";
import { median } from "../src/math/quantile.js";
import type { RuntimeTensor } from "../src/runtime/runtime.js";
import { toRuntime } from "../src/runtime/tensors.js";
import { shared, zooGraphs } from "../test/shared.js";
import { columns, type Bench } from "./bench.js";
import { scratch } from "./machine.js";
import { lowestNoise, outputsOf } from "./outputs.js";

const LOWEST = 28;
const MEDIAN = 40;

interface Row {
  readonly graph: string;
  /** Against the float model in onnxruntime, and against PyTorch; the lower of two cases. */
  readonly snrDb: number;
  readonly againstPyTorch: number;
  readonly share: number;
  readonly int8: number;
  readonly sites: number;
}

type Outputs = Record<string, RuntimeTensor>;

export const zoo: Bench = {
  name: "zoo",
  about: "signal-to-noise ratio of every architecture's dynamic model",
  options: "[NAME…]",
  async run(args) {
    const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
    mkdirSync(scratch("zoo"), { recursive: true });
    const rows: Row[] = [];
    for (const { name, path } of zooGraphs())
      if (positionals.length === 0 || positionals.includes(name))
        rows.push(await measuredGraph(name, path));
    const ratios = rows.map((row) => row.snrDb);
    return {
      tables: [
        {
          title: "Dynamic models of the zoo, lowest over outputs and two cases",
          columns: columns("graph", "SNR dB", "PyTorch dB", "÷ float", "INT8 of sites"),
          rows: rows.map((row) => [
            row.graph,
            row.snrDb.toFixed(1),
            row.againstPyTorch.toFixed(1),
            row.share.toFixed(2),
            `${row.int8} of ${row.sites}`,
          ]),
        },
      ],
      bars: [
        ...rows.map((row) => ({
          what: row.graph,
          value: row.snrDb,
          bar: LOWEST,
          kind: "at least" as const,
          unit: "dB",
        })),
        { what: "median", value: median(ratios), bar: MEDIAN, kind: "at least", unit: "dB" },
      ],
      notes: [],
      data: rows,
    };
  },
};

export async function measuredGraph(graph: string, path: string): Promise<Row> {
  const output = scratch("zoo", `${graph}.onnx`);
  const { report } = await quantize(path, { output, force: true, check: false });
  const cases = casesOf(shared("zoo", graph, "reference.safetensors"));
  const feeds = cases.map((one) => one.inputs);
  const float = await outputsOf(path, feeds);
  const quantized = await outputsOf(output, feeds);
  const lowest = (reference: readonly Outputs[]) =>
    Math.min(...reference.map((outputs, i) => lowestNoise(outputs, quantized[i] ?? {})));
  return {
    graph,
    snrDb: lowest(float),
    againstPyTorch: lowest(cases.map((one) => one.outputs)),
    share: report.bytesAfter / report.bytesBefore,
    int8: report.sites.filter((site) => site.runs === "int8").length,
    sites: report.sites.length,
  };
}

/** Inputs and PyTorch's outputs. */
function casesOf(path: string): { inputs: Outputs; outputs: Outputs }[] {
  const source = new FileSource(path, (detail) => new Error(`${path}: ${detail}`));
  try {
    const { tensors } = readSafetensors(source);
    const under = (prefix: string): Outputs =>
      Object.fromEntries(
        [...tensors]
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, tensor]) => [name.slice(prefix.length), toRuntime(tensor)]),
      );
    return [0, 1].map((i) => ({
      inputs: under(`case${i}/input/`),
      outputs: under(`case${i}/output/`),
    }));
  } finally {
    source.close();
  }
}

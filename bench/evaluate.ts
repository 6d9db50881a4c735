// What octavo evaluate costs beside the runs themselves: its whole time after loading against a bare loop of onnxruntime-node over the same batches.
import { parseArgs } from "node:util";
import * as ort from "onnxruntime-node";
import { batchesByLength } from "../src/data/batches.js";
import { feedsOf } from "../src/data/feeds.js";
import { readFolder } from "../src/data/folder.js";
import { createTokenizer } from "../src/data/tokenize.js";
import { evaluate } from "../src/node.js";
import { portOf } from "../src/runtime/ort-values.js";
import { allRecords, openRecords } from "../src/data/record-files.js";
import { shared } from "../test/shared.js";
import { columns, type Bench } from "./bench.js";

const SLOWEST = 1.2;
const BATCH = 32;
const MAX_LENGTH = 128;
const MODELS = ["bert-sst2", "albert-sst2"];

interface Row {
  readonly model: string;
  readonly bare: number;
  readonly evaluate: number;
  readonly ratio: number;
}

export const evaluateBench: Bench = {
  name: "evaluate",
  about: "octavo evaluate (files, tokens, runs, metrics, intervals) against a bare loop of runs",
  options: "[NAME…] [--rounds 3]",
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { rounds: { type: "string", default: "3" } },
    });
    const rows: Row[] = [];
    for (const model of positionals.length > 0 ? positionals : MODELS)
      rows.push(await measured(model, Number(values.rounds)));
    return {
      tables: [
        {
          title: "Seconds on the dev split, after loading; medians",
          columns: columns("model", "bare loop", "evaluate", "ratio"),
          rows: rows.map((row) => [
            row.model,
            row.bare.toFixed(2),
            row.evaluate.toFixed(2),
            row.ratio.toFixed(3),
          ]),
        },
      ],
      bars: rows.map(({ model, ratio }) => ({
        what: `${model}: evaluate ÷ bare loop`,
        value: ratio,
        bar: SLOWEST,
        kind: "at most",
        unit: "",
      })),
      notes: ["Rounds are interleaved; the bare loop's feeds are made before its clock starts."],
      data: rows,
    };
  },
};

async function measured(model: string, rounds: number): Promise<Row> {
  const data = shared("datasets", "sst2", "dev.tsv");
  const folder = shared("models", model);
  const [bare, whole]: [number[], number[]] = [[], []];
  const loop = await bareLoop(folder, data);
  try {
    for (let round = 0; round < rounds; round++) {
      bare.push(await loop.run());
      const begun = performance.now();
      const { seconds } = await evaluate(folder, { data, maxLength: MAX_LENGTH });
      whole.push((performance.now() - begun) / 1000 - seconds.load);
    }
  } finally {
    await loop.release();
  }
  const [a, b] = [median(bare), median(whole)];
  return { model, bare: a, evaluate: b, ratio: b / a };
}

/** The same batches, made beforehand. */
async function bareLoop(folder: string, data: string) {
  const session = await ort.InferenceSession.create(`${folder}/onnx/model.onnx`, {
    logSeverityLevel: 3,
    // As evaluate has it: idle threads of one session would slow the other down.
    extra: { "session.force_spinning_stop": "1" },
  });
  const tokenizer = createTokenizer(readFolder(folder));
  const inputs = session.inputMetadata.map(portOf);
  const encoded = (await allRecords(openRecords(data))).map((record) => {
    if (!("text" in record)) throw new Error("expected texts");
    return tokenizer.encode(record, MAX_LENGTH);
  });
  const { padding, positionOffset } = tokenizer;
  const lengths = encoded.map(({ ids }) => ids.length);
  const batches = batchesByLength(lengths, BATCH).map((batch) => {
    const rows = batch.map((i) => encoded[i]).filter((row) => row !== undefined);
    const feeds = feedsOf(inputs, rows, { padding, positionOffset });
    return Object.fromEntries(
      Object.entries(feeds).map(([name, { data: elements, dims }]) => [
        name,
        new ort.Tensor("int64", elements as BigInt64Array, dims),
      ]),
    );
  });
  return {
    async run(): Promise<number> {
      const begun = performance.now();
      for (const feeds of batches) await session.run(feeds);
      return (performance.now() - begun) / 1000;
    },
    release: () => session.release(),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

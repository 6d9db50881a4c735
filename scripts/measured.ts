// What the pictures show: weights of the committed demo model, and what calibration sees at two of its layers on some of the demo's reviews.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseStatistics } from "../src/calibrate/statistics-file.js";
import type { TensorStatistics } from "../src/calibrate/tensor-statistics.js";
import { addObservers } from "../src/calibrate/observers.js";
import { feedsOf } from "../src/data/feeds.js";
import { readFolder } from "../src/data/folder.js";
import { allRecords, openRecords } from "../src/data/record-files.js";
import { createTokenizer } from "../src/data/tokenize.js";
import { exportModel } from "../src/graph/export.js";
import { importModel } from "../src/graph/import.js";
import { weightOf } from "../src/ptq/groups.js";
import type { Matrix } from "../src/ptq/products.js";
import { calibrate } from "../src/node.js";
import { decodeModel } from "../src/onnx/reader.js";
import { encodeModel } from "../src/onnx/writer.js";
import { prepare } from "../src/plan/prepare.js";
import { findSites, type LinearSite } from "../src/quant/sites.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { targetFor } from "../src/targets/all.js";

const FOLDER = fileURLToPath(new URL("../examples/demo-reviews", import.meta.url));
const MODEL = join(FOLDER, "onnx", "model.onnx");
const REVIEWS = join(FOLDER, "reviews.tsv");
const SAMPLES = 256;

export interface Layer {
  readonly name: string;
  readonly weight: Matrix;
  /** Of its input, over the sample. */
  readonly statistics: TensorStatistics;
  /** Its input, a row for each token of the sample. */
  readonly input: Matrix;
}

export interface Measured {
  /** The layer that widens, and the one behind the GELU, of the first feed-forward block. */
  readonly widening: Layer;
  readonly narrowing: Layer;
}

export async function measure(): Promise<Measured> {
  const model = importModel(decodeModel(new Uint8Array(readFileSync(MODEL))));
  prepare(model, targetFor("cpu", "static"));
  const sites = findSites(model).filter((site): site is LinearSite => site.kind === "linear");
  const [widening] = sites.filter(({ weight }) => weight.cols > weight.rows);
  const [narrowing] = sites.filter(({ weight }) => weight.rows > weight.cols && weight.cols > 2);
  if (widening === undefined || narrowing === undefined) throw new Error("no feed-forward block");
  const pair = [widening, narrowing];
  const names = pair.map((site) => site.activation.name);
  const weights = pair.map((site) => weightOf(site.weight));
  addObservers(model, names);
  const inputs = await inputsAt(names, encodeModel(exportModel(model)));
  const statistics = await statisticsAt(names);
  const layer = (i: number): Layer => {
    const [site, weight, input, seen] = [pair[i], weights[i], inputs[i], statistics[i]];
    if (site === undefined || weight === undefined || input === undefined || seen === undefined)
      throw new Error(`nothing was seen of ${names[i]}`);
    return { name: site.name, weight, statistics: seen, input };
  };
  return { widening: layer(0), narrowing: layer(1) };
}

async function statisticsAt(names: readonly string[]): Promise<(TensorStatistics | undefined)[]> {
  const folder = mkdtempSync(join(tmpdir(), "octavo-pictures-"));
  try {
    const output = join(folder, "stats.json");
    await calibrate(FOLDER, { data: REVIEWS, samples: SAMPLES, outliers: false, output });
    const { tensors } = parseStatistics(readFileSync(output, "utf8"));
    return names.map((name) => tensors.get(name));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The tensors of these names, the tokens of all sentences below each other; one sentence at a time, so nothing is padded. */
async function inputsAt(names: readonly string[], model: Uint8Array): Promise<Matrix[]> {
  const tokenizer = createTokenizer(readFolder(FOLDER));
  const records = (await allRecords(openRecords(REVIEWS))).slice(0, SAMPLES);
  const session = await ortNode.load(model);
  const parts = names.map((): Float32Array[] => []);
  try {
    for (const record of records) {
      if (!("text" in record)) continue;
      const row = tokenizer.encode({ text: record.text });
      const feeds = feedsOf(session.inputs, [row], { padding: tokenizer.padding });
      const outputs = await session.run(feeds, { outputs: names });
      for (const [i, name] of names.entries()) {
        const data = outputs[name]?.data;
        if (!(data instanceof Float32Array)) throw new Error(`${name} is no float tensor`);
        parts[i]?.push(data.slice());
      }
    }
    return names.map((name, i) => {
      const all = parts[i] ?? [];
      const shape = session.outputs.find((port) => port.name === name)?.shape ?? [];
      const cols = Number(shape.at(-1));
      const values = new Float32Array(all.reduce((sum, part) => sum + part.length, 0));
      let offset = 0;
      for (const part of all) {
        values.set(part, offset);
        offset += part.length;
      }
      return { values, rows: values.length / cols, cols };
    });
  } finally {
    await session.release();
  }
}

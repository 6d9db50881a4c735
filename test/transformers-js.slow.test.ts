// transformers.js as a user installs it loads the folders that octavo quantize wrote, and gives the labels that octavo itself reads from them.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configurationOf } from "../src/data/configuration.js";
import { readFolder } from "../src/data/folder.js";
import { createTokenizer } from "../src/data/tokenize.js";
import { quantize } from "../src/node.js";
import { predict } from "../src/evaluate/predictions.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { textClassification } from "../src/tasks/text-classification.js";
import { hasShared, shared } from "./shared.js";

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const SENTENCES = 50;
/** Decimals of a score: both sides compute it from the same logits, in another order. */
const DECIMALS = 4;

const folder = mkdtempSync(join(tmpdir(), "octavo-client-"));
const client = join(folder, "client");
/** Why the client cannot be installed here. */
let missing: string | undefined;

beforeAll(() => {
  cpSync(join(examples, "transformers-js"), client, {
    recursive: true,
    filter: (path) => !path.includes("node_modules"),
  });
  const { status, stderr, error } = spawnSync("npm", ["ci", "--fetch-retries=1"], {
    cwd: client,
    encoding: "utf8",
    shell: process.platform === "win32",
    timeout: 300_000,
  });
  if (status === 0) return;
  const reason = error?.message ?? stderr;
  // Without a network there is no client; any other failure is one of this test.
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|network/i.test(reason))
    missing = `no npm registry can be reached, so transformers.js was not installed (${reason.trim().slice(0, 200)})`;
  else throw new Error(`npm ci failed: ${reason}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Model {
  readonly name: string;
  readonly path: string;
  readonly sentences: string;
}

const demo: Model = {
  name: "demo-reviews",
  path: join(examples, "demo-reviews"),
  sentences: join(examples, "demo-reviews", "reviews.tsv"),
};
const models = hasShared
  ? [
      demo,
      {
        name: "bert-sst2",
        path: shared("models", "bert-sst2"),
        sentences: shared("datasets", "sst2", "test-labeled.tsv"),
      },
    ]
  : [demo];

const QUANTIZED_MODELS = [
  { dtype: "q8", weights: "int8", file: "model_quantized.onnx" },
  { dtype: "int8", weights: "int8-only", file: "model_int8.onnx" },
  { dtype: "q4", weights: "int4", file: "model_q4.onnx" },
] as const;

function sentencesOf({ sentences }: Model): string[] {
  const [, ...rows] = readFileSync(sentences, "utf8").trimEnd().split("\n");
  return rows.slice(0, SENTENCES).map((row) => (row.split("\t")[0] ?? "").trim());
}

interface Answer {
  readonly label: string;
  readonly score: number;
}

/** What octavo itself reads from a quantized model, a sentence at a time and by the CPU's own sums, as the client does. */
async function ours(path: string, model: string, sentences: readonly string[]): Promise<Answer[]> {
  const files = readFolder(path);
  const task = textClassification(configurationOf(files.config).labels);
  const session = await ortNode.load(model, { integerSums: "native" });
  try {
    const records = sentences.map((text) => ({ text }));
    const options = { batchSize: 1 };
    const { predictions } = await predict(session, createTokenizer(files), task, records, options);
    return predictions.map((p) => ({ label: p.label, score: p.probabilities[p.class] ?? NaN }));
  } finally {
    await session.release();
  }
}

describe.each(models)("transformers.js with $name", (model) => {
  const copy = join(folder, "models", model.name);
  beforeAll(() => cpSync(model.path, copy, { recursive: true }));

  test.for(QUANTIZED_MODELS)(
    "dtype $dtype: the labels of octavo",
    async ({ dtype, weights, file }, { skip }) => {
      skip(missing !== undefined, missing);
      const { path } = await quantize(copy, { weights, check: false });
      expect(path).toBe(join(copy, "onnx", file));
      const sentences = sentencesOf(model);
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ["classify.mjs", copy, "--dtype", dtype],
        { cwd: client, input: sentences.join("\n"), encoding: "utf8" },
      );
      expect([status, stderr.includes("Error")]).toEqual([0, false]);
      const answers = stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Answer);
      const expected = await ours(copy, path, sentences);
      expect(answers.map(({ label }) => label)).toEqual(expected.map(({ label }) => label));
      for (const [i, { score }] of answers.entries())
        expect(score).toBeCloseTo(expected[i]?.score ?? NaN, DECIMALS);
    },
  );
});

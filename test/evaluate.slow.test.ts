// The float models of ../shared score what the reference scored: the same rows, at most 128 tokens, batches of 32 by length.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordsFor } from "../bench/datasets.js";
import { evaluate } from "../src/node.js";
import { saturates } from "./integer-sums.js";
import { sharedModels } from "./shared.js";

interface Result {
  readonly task: string;
  readonly float: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Correlations of float32 outputs: those of the reference are of a CPU with VNNI, whose float kernels add in another order than those of CPUs without. */
const CORRELATION_WITHIN = saturates ? 1e-8 : 1e-9;

/** Names of the reference's scores, and ours. */
const NAMES: Readonly<Record<string, string>> = { entity_f1: "f1" };

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "octavo-scores-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const resultOf = (model: string) =>
  JSON.parse(readFileSync(join(model, "result.json"), "utf8")) as Result;

function expectScores(
  metrics: readonly { readonly name: string; readonly value: number }[],
  scores: Readonly<Record<string, number>> = {},
): void {
  const wanted = Object.entries(scores).filter(([name]) =>
    /accuracy|f1|pearson|spearman/.test(name),
  );
  expect(wanted.length).toBeGreaterThan(0);
  for (const [name, score] of wanted) {
    const metric = metrics.find((each) => each.name === (NAMES[name] ?? name));
    const within = /pearson|spearman/.test(name) ? CORRELATION_WITHIN : 1e-9;
    expect(Math.abs((metric?.value ?? NaN) - score), name).toBeLessThan(within);
  }
}

test("the repository's own model scores what its result.json says", async () => {
  const demo = fileURLToPath(new URL("../examples/demo-reviews", import.meta.url));
  const { metrics, rows } = await evaluate(demo, { data: join(demo, "reviews.tsv") });
  expect(rows).toBe(1000);
  expectScores(metrics, resultOf(demo).float["reviews"]);
});

describe.skipIf(sharedModels().length === 0)("models of ../shared on their dev split", () => {
  test.each(sharedModels())("$name", async ({ path }) => {
    const model = dirname(dirname(path));
    const { task, float } = resultOf(model);
    const data = join(folder, `${task}.jsonl`);
    const lines = (await recordsFor(task, "dev")).map((record) => {
      if ("tokens" in record) return { tokens: record.tokens, labels: record.labels };
      if (!("text" in record)) throw new Error("no data set has ready feeds");
      return { text: record.text, text_pair: record.textPair, label: record.label };
    });
    writeFileSync(data, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const { metrics } = await evaluate(model, { data, maxLength: 128 });
    expectScores(metrics, float["dev"]);
  });
});

// Statistics in shards, as many machines would make them, put together again: `node examples/shards.mjs [model] [data]`.
// Here the shards run one after the other; each could be a process of its own that knows nothing of the others.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { calibrate } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const [model = demo, data = join(demo, "reviews.tsv")] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "octavo-"));
const count = 3;

try {
  const settings = { data, samples: 96 };
  const parts = [];
  for (let index = 0; index < count; index++) {
    const output = join(folder, `part${index}.json`);
    const { report } = await calibrate(model, { ...settings, shard: { index, count }, output });
    console.log(`shard ${index + 1}/${count}: ${report.covered} of ${report.units} batches`);
    parts.push(output);
  }
  const merged = join(folder, "merged.json");
  await calibrate(undefined, { merge: parts.toReversed(), output: merged });

  const whole = join(folder, "whole.json");
  await calibrate(model, { ...settings, output: whole });
  const same = readFileSync(merged).equals(readFileSync(whole));
  console.log(`merged, in another order: ${same ? "the same bytes as" : "NOT"} one run`);
  process.exitCode = same ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
